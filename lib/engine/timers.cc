// SPDX-License-Identifier: Apache-2.0
#include "lib/engine/timers.h"

#include <algorithm>

namespace netstor::detail {

void TimerHeap::arm(Timer& timer, Time when) {
  disarm(timer);
  timer.when = when;
  heap_.push_back(&timer);
  timer.heap_index = heap_.size() - 1;
  sift_up(timer.heap_index);
}

void TimerHeap::disarm(Timer& timer) noexcept {
  if (!timer.armed()) return;
  const std::size_t index = timer.heap_index;
  Timer& last = *heap_.back();
  heap_.pop_back();
  timer.heap_index = Timer::kIdle;
  if (&last == &timer) return;
  place(last, index);
  sift_up(index);
  sift_down(last.heap_index);
}

unsigned TimerHeap::fire_until(Time now) {
  unsigned fired = 0;
  // Bounded by the number that was there: one that arms itself for "now" waits for the next turn.
  for (std::size_t most = heap_.size(); most > 0 && !heap_.empty() && heap_.front()->when <= now; --most) {
    Timer& timer = *heap_.front();
    disarm(timer);
    timer.fire(timer);
    ++fired;
  }
  return fired;
}

void TimerHeap::fire_all() {
  // All are moved before any time that one can be armed for, in the order that they have: a heap still.
  for (Timer* const timer : heap_)
    timer->when = Time::min() + std::max(timer->when, Time{}).time_since_epoch();
  while (!heap_.empty() && heap_.front()->when < Time{}) {
    Timer& timer = *heap_.front();
    disarm(timer);
    timer.fire(timer);
  }
}

void TimerHeap::sift_up(std::size_t index) noexcept {
  Timer& timer = *heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->when <= timer.when) break;
    place(*heap_[parent], index);
    index = parent;
  }
  place(timer, index);
}

void TimerHeap::sift_down(std::size_t index) noexcept {
  Timer& timer = *heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->when < heap_[child]->when) ++child;
    if (heap_[child]->when >= timer.when) break;
    place(*heap_[child], index);
    index = child;
  }
  place(timer, index);
}

}  // namespace netstor::detail
