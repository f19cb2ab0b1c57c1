// SPDX-License-Identifier: Apache-2.0
#pragma once
// Operations that a port has decided and owes an answer: completed from its poll(), in order.

#include <netstor/ext/driver.h>

namespace netstor {

class FinishedOps {
 public:
  FinishedOps() noexcept = default;
  FinishedOps(const FinishedOps&) = delete;
  FinishedOps& operator=(const FinishedOps&) = delete;

  void add(Op& op, OpResult result) noexcept {
    op.result = result;
    op.next = nullptr;
    *tail_ = &op;
    tail_ = &op.next;
  }

  /// Completes at most `max`; answers how many.
  unsigned run(unsigned max) noexcept {
    unsigned done = 0;
    while (head_ != nullptr && done < max) {
      Op& op = *head_;
      head_ = op.next;
      if (head_ == nullptr) tail_ = &head_;
      ++done;
      op.complete(op);
    }
    return done;
  }

  bool empty() const noexcept { return head_ == nullptr; }

 private:
  Op* head_ = nullptr;
  Op** tail_ = &head_;
};

}  // namespace netstor
