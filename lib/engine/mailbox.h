// SPDX-License-Identifier: Apache-2.0
#pragma once
// The door of a shard: any thread posts, the shard takes all. A stack that is reversed when taken, so that
// messages of one sender stay in order.

#include <netstor/detail/loop.h>

namespace netstor::detail {

class Mailbox {
 public:
  void post(Runnable& task) noexcept {
    Runnable* head = head_.load(std::memory_order_relaxed);
    do {
      task.next = head;
    } while (!head_.compare_exchange_weak(head, &task, std::memory_order_seq_cst, std::memory_order_relaxed));
  }
  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

  /// Hands every message to `take`, oldest first.
  template <class Take>
  unsigned drain(Take take) noexcept {
    if (head_.load(std::memory_order_relaxed) == nullptr) return 0;
    Runnable* newest = head_.exchange(nullptr, std::memory_order_acquire);
    Runnable* oldest = nullptr;
    while (newest != nullptr) {
      Runnable* const next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    unsigned taken = 0;
    while (oldest != nullptr) {
      Runnable* const next = oldest->next;
      take(*oldest);
      oldest = next;
      ++taken;
    }
    return taken;
  }

 private:
  std::atomic<Runnable*> head_{nullptr};
};

}  // namespace netstor::detail
