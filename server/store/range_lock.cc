// SPDX-License-Identifier: Apache-2.0
// See range_lock.h.

#include "server/store/range_lock.h"

namespace netstor::store {

void RangeLock::List::push(StoreOp& op) noexcept {
  op.side.previous = last_;
  op.side.following = nullptr;
  (last_ != nullptr ? last_->side.following : first_) = &op;
  last_ = &op;
}

void RangeLock::List::remove(StoreOp& op) noexcept {
  (op.side.previous != nullptr ? op.side.previous->side.following : first_) = op.side.following;
  (op.side.following != nullptr ? op.side.following->side.previous : last_) = op.side.previous;
}

bool RangeLock::List::blocks(const StoreOp& op, const StoreOp* before) const noexcept {
  for (const StoreOp* other = first_; other != before && other != nullptr; other = other->side.following) {
    const bool overlap = op.offset < other->offset + other->length && other->offset < op.offset + op.length;
    if (overlap && (op.side.alone || other->side.alone)) return true;
  }
  return false;
}

RangeLock::List& RangeLock::holders_like(const StoreOp& op) noexcept {
  return op.side.alone ? alone_ : writers_;
}

bool RangeLock::free_for(const StoreOp& op, const StoreOp* before) const noexcept {
  if (alone_.blocks(op) || waiting_.blocks(op, before)) return false;
  return !op.side.alone || !writers_.blocks(op);
}

bool RangeLock::take(StoreOp& op) {
  const std::lock_guard guard(mutex_);
  const bool free = free_for(op, nullptr);
  (free ? holders_like(op) : waiting_).push(op);
  return free;
}

void RangeLock::give_back(StoreOp& op) {
  const std::lock_guard guard(mutex_);
  holders_like(op).remove(op);
  for (StoreOp* waiter = waiting_.first(); waiter != nullptr;) {
    StoreOp* const following = waiter->side.following;
    if (free_for(*waiter, waiter)) {
      waiting_.remove(*waiter);
      holders_like(*waiter).push(*waiter);
      waiter->side.loop->post(waiter->side.later);
    }
    waiter = following;
  }
}

}  // namespace netstor::store
