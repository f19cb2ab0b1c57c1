// SPDX-License-Identifier: Apache-2.0
#pragma once
// A store whose answers are known at once. Operations are carried out inside submit() and completed in a
// later step of the shard's turn, as the contract asks. null_store and memory_store fill in what an operation
// does.

#include "server/store/block_store.h"

namespace netstor::store {

class ImmediateStore : public BlockStore {
 public:
  ImmediateStore(detail::Loop& loop, const StoreLimits& limits) noexcept : loop_(loop), limits_(limits) {}
  ~ImmediateStore() override;

  const StoreLimits& limits() const noexcept final { return limits_; }
  Submit submit(StoreOp& op) final;
  void close(Op& closed) final;

 protected:
  /// `op` is within the limits.
  virtual OpResult perform(StoreOp& op) noexcept = 0;
  bool contains(std::uint64_t offset, std::uint64_t length) const noexcept {
    return offset <= limits_.size_bytes && length <= limits_.size_bytes - offset;
  }

 private:
  struct CloseStep : detail::Runnable {
    ImmediateStore* store = nullptr;
  };
  void finish(StoreOp& op) noexcept;

  detail::Loop& loop_;
  StoreLimits limits_;
  unsigned in_flight_ = 0;
  Op* closed_ = nullptr;
  CloseStep close_step_;
};

}  // namespace netstor::store
