// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the threads of a runtime end together: its shards, and the one that stops it. What a shard still does
// may send a task to another that had nothing left: they go on in rounds, until all found nothing to do in
// the same one. Behind the last round nobody posts to a shard any more, and what it woke by may be taken
// apart.

#include <atomic>
#include <barrier>
#include <cstddef>

namespace netstor::detail {

class Settling {
 public:
  /// Tasks that send each other around for ever are not waited for.
  static constexpr unsigned kRoundsMax = 1000;

  explicit Settling(std::ptrdiff_t threads) : round_(threads, Ended{this}) {}

  /// Each thread, once a round: did it do anything? Returns when all have said so.
  void found(bool busy) noexcept {
    if (busy) busy_.store(true, std::memory_order_relaxed);
    round_.arrive_and_wait();
  }
  /// Of the round that ended last.
  bool quiet() const noexcept { return quiet_; }

 private:
  struct Ended {
    void operator()() noexcept {
      self->quiet_ = !self->busy_.exchange(false, std::memory_order_relaxed) || ++self->rounds_ == kRoundsMax;
    }
    Settling* self;
  };
  std::atomic<bool> busy_{false};
  bool quiet_ = false;
  unsigned rounds_ = 0;
  std::barrier<Ended> round_;
};

}  // namespace netstor::detail
