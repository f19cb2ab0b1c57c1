// SPDX-License-Identifier: Apache-2.0
#pragma once
// The alarms of one shard: a binary heap of intrusive timers, earliest first.

#include <netstor/detail/loop.h>

#include <vector>

namespace netstor::detail {

class TimerHeap {
 public:
  /// Sets (or moves) the alarm.
  void arm(Timer& timer, Time when);
  /// No effect on an idle timer.
  void disarm(Timer& timer) noexcept;
  /// Fires all that are due, each once; answers how many. A timer may arm itself again while it fires.
  unsigned fire_until(Time now);
  /// Fires each that is armed now, due or not, once and in order; not what the firing of another disarms, nor
  /// what is armed (or moved) meanwhile.
  void fire_all();
  /// Time::max() when there is none.
  Time next() const noexcept { return heap_.empty() ? Time::max() : heap_.front()->when; }

 private:
  void place(Timer& timer, std::size_t index) noexcept {
    heap_[index] = &timer;
    timer.heap_index = index;
  }
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;
  std::vector<Timer*> heap_;
};

}  // namespace netstor::detail
