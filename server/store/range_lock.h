// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who may touch which bytes of a volume while their operation is under way, over all shards: writers share,
// compare_and_write stands alone. Reads take no part. One lock a volume.
//
// It costs a write one uncontended mutex and two list steps; compare_and_write, which is rare, pays for the
// search. Waiters are served in order, so that writers cannot starve a compare_and_write.
//
// Thread rule: any shard. A waiter is woken on its own.

#include "server/store/block_store.h"

#include <mutex>

namespace netstor::store {

class RangeLock {
 public:
  RangeLock() = default;
  RangeLock(const RangeLock&) = delete;
  RangeLock& operator=(const RangeLock&) = delete;

  /// Alone: `op.side.alone`. True: held. False: `op.side.later` is posted to `op.side.loop` when it is held.
  bool take(StoreOp& op);
  void give_back(StoreOp& op);

 private:
  class List {
   public:
    void push(StoreOp& op) noexcept;
    void remove(StoreOp& op) noexcept;
    bool blocks(const StoreOp& op, const StoreOp* before = nullptr) const noexcept;
    StoreOp* first() const noexcept { return first_; }

   private:
    StoreOp* first_ = nullptr;
    StoreOp* last_ = nullptr;
  };

  List& holders_like(const StoreOp& op) noexcept;
  bool free_for(const StoreOp& op, const StoreOp* before) const noexcept;

  std::mutex mutex_;
  List writers_;
  List alone_;
  List waiting_;
};

}  // namespace netstor::store
