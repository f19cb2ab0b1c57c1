// SPDX-License-Identifier: Apache-2.0
#pragma once
// A bucket's part on one shard: its connections, the signer, the retry budget, and the memory that may be
// held.

#include "lib/engine/shard_loop.h"
#include "lib/engine/use_count.h"
#include "lib/object/joint.h"
#include "lib/object/pool.h"
#include "lib/wire/s3/sigv4.h"

#include <memory>
#include <optional>
#include <vector>

namespace netstor::detail {
class BucketCore;
}

namespace netstor::object {

/// What operations of a shard hold of the bucket's memory.
struct HeldMemory {
  std::uint64_t bytes = 0;
  std::uint64_t given_back = 0;  // how often
};

/// Memory that an operation holds of what the bucket may; given back by its end, on its shard.
class Reservation {
 public:
  Reservation() noexcept = default;
  Reservation(HeldMemory* held, std::uint64_t bytes) noexcept : held_(held), bytes_(bytes) {
    held->bytes += bytes;
  }
  Reservation(Reservation&& other) noexcept
      : held_(std::exchange(other.held_, nullptr)), bytes_(other.bytes_) {}
  Reservation& operator=(Reservation&& other) noexcept {
    std::swap(held_, other.held_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Reservation() {
    if (held_ == nullptr) return;
    held_->bytes -= bytes_;
    ++held_->given_back;
  }
  explicit operator bool() const noexcept { return held_ != nullptr; }

 private:
  HeldMemory* held_ = nullptr;
  std::uint64_t bytes_ = 0;
};

class ObjectShard final : detail::StopHook {
 public:
  ObjectShard(detail::BucketCore& core, detail::ShardLoop& loop);
  ~ObjectShard();
  ObjectShard(const ObjectShard&) = delete;
  ObjectShard& operator=(const ObjectShard&) = delete;

  detail::BucketCore& core() noexcept { return core_; }
  detail::ShardLoop& loop() noexcept { return loop_; }
  const BucketOptions& options() const noexcept;
  s3::Signer& signer() noexcept { return signer_; }
  /// Where requests go: to the endpoint, or where the service said that it is for good.
  Pool& pool() noexcept { return *current_; }
  /// The one for a redirect. Errors: protocol, when a service leads to more places than any should.
  Result<Pool*> pool_of(const Endpoint& endpoint);
  /// Requests go there from now on.
  void move_to(Pool& pool) noexcept { current_ = &pool; }
  RetryBudget& budget() noexcept { return budget_; }
  bool closed() const noexcept { return closed_; }

  /// The signer has none, they have ended, or it is time to renew them.
  bool wants_credentials() const noexcept;
  /// Finds credentials, or says why there are none. Those that are to be renewed, and are still good, are
  /// renewed meanwhile. One at a time, for however many wait.
  Task<void> refresh_credentials();
  /// The service says that those in use have ended: finds others.
  Task<void> replace_credentials();

  /// Of this shard's share of BucketOptions::memory_limit_bytes. Waits for others to give back; more than all
  /// of it is `exhausted`, and so is a wait in which nobody did for first_byte_timeout: streams keep what
  /// they have read ahead until somebody reads them.
  Task<Reservation> reserve(std::uint64_t bytes);
  /// Nothing when there is not enough left.
  Reservation try_reserve(std::uint64_t bytes) noexcept;

  /// On the shard.
  Task<void> open();

  /// Ends every connection; waiting exchanges are cancelled.
  Task<void> close();
  /// Who frees it waits for none.
  detail::UseCount& users() noexcept { return users_; }

 private:
  void stop(detail::Runnable& ended) noexcept override;
  void unused() noexcept;
  Task<void> renew(std::uint64_t refused);

  detail::BucketCore& core_;
  detail::ShardLoop& loop_;
  Port* port_ = nullptr;
  s3::Signer signer_;
  RetryBudget budget_;
  HeldMemory held_;

  Joint<void> renewal_;
  std::uint64_t credentials_ = 0;            // which are in use; 0: none
  std::optional<WallTime> credentials_end_;  // nothing: they do not expire
  std::optional<WallTime> renew_at_;

  std::vector<std::unique_ptr<Pool>> pools_;  // the first: of the endpoint
  Pool* current_ = nullptr;
  detail::UseCount users_;  // closers
  bool closed_ = false;
  bool finished_ = false;
  bool told_ = false;  // the core
};

}  // namespace netstor::object
