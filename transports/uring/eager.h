// SPDX-License-Identifier: Apache-2.0
#pragma once
// Receives that the port tries by itself while its shard polls. A ring that waits for a socket pays for it
// three times: it hangs itself on the socket's wait queue, the sender's thread wakes it, and the shard enters
// the kernel to let it go on. When the answer is a few microseconds away and the shard does nothing else,
// trying recv(2) until it succeeds costs less. Whatever still waits when the shard goes to sleep, or when
// others wait on the port's descriptor, is the ring's.

#include <array>
#include <cstddef>

namespace netstor::uring {

/// A receive that waits here; its link.
struct EagerReceive {
  bool (*attempt)(EagerReceive&) noexcept = nullptr;    ///< false: nothing has come yet
  void (*hand_over)(EagerReceive&) noexcept = nullptr;  ///< to the ring
  bool waiting = false;
};

class EagerReceives {
 public:
  /// False: the ring should wait for this one. It is so with many links, where each try would be one of many
  /// in vain, and with a shard that has mostly slept before its answers came.
  bool add(EagerReceive& receive) noexcept {
    if (count_ == kReceivesMax) return false;
    if (credit_ == 0 && ++passed_ % kPassedMax != 0) return false;
    receive.waiting = true;
    all_[count_++] = &receive;
    return true;
  }

  void remove(EagerReceive& receive) noexcept {
    std::size_t at = 0;
    while (all_[at] != &receive) ++at;
    all_[at] = all_[--count_];
    receive.waiting = false;
  }

  /// Answers how many succeeded. Each removes itself before its operation completes.
  unsigned attempt() noexcept {
    unsigned done = 0;
    // What completes may add, remove and close others; to miss one here is to try it a turn later.
    for (std::size_t i = 0; i < count_;) {
      if (all_[i]->attempt(*all_[i])) {
        ++done;
        credit_ = kCreditMax;
      } else {
        ++i;
      }
    }
    return done;
  }

  void hand_over() noexcept {
    while (count_ > 0) {
      EagerReceive& receive = *all_[0];
      remove(receive);
      receive.hand_over(receive);
      if (credit_ > 0) --credit_;
    }
  }

  bool empty() const noexcept { return count_ == 0; }

 private:
  static constexpr std::size_t kReceivesMax = 2;
  static constexpr unsigned kCreditMax = 4;
  static constexpr unsigned kPassedMax = 64;  // of so many one is tried all the same: times change

  std::array<EagerReceive*, kReceivesMax> all_{};
  std::size_t count_ = 0;
  unsigned credit_ = kCreditMax;
  unsigned passed_ = 0;
};

}  // namespace netstor::uring
