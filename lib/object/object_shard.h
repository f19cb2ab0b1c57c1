// SPDX-License-Identifier: Apache-2.0
#pragma once
// A bucket's part on one shard: its connections, who waits for one, the signer, the retry budget, and the
// memory that may be held.

#include "lib/engine/shard_loop.h"
#include "lib/engine/use_count.h"
#include "lib/object/connection.h"
#include "lib/object/endpoint.h"
#include "lib/proto/tls/session.h"
#include "lib/wire/s3/sigv4.h"

#include <memory>
#include <optional>
#include <vector>

namespace netstor::detail {
class BucketCore;
}

namespace netstor::object {

/// Memory that an operation holds of what the bucket may; given back by its end, on its shard.
class Reservation {
 public:
  Reservation() noexcept = default;
  Reservation(std::uint64_t* held, std::uint64_t bytes) noexcept : held_(held), bytes_(bytes) {
    *held += bytes;
  }
  Reservation(Reservation&& other) noexcept
      : held_(std::exchange(other.held_, nullptr)), bytes_(other.bytes_) {}
  Reservation& operator=(Reservation&& other) noexcept {
    std::swap(held_, other.held_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Reservation() {
    if (held_ != nullptr) *held_ -= bytes_;
  }
  explicit operator bool() const noexcept { return held_ != nullptr; }

 private:
  std::uint64_t* held_ = nullptr;
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
  const Endpoint& endpoint() const noexcept;
  Port& port() noexcept { return *port_; }
  s3::Signer& signer() noexcept { return signer_; }
  /// Of a new connection; only with https.
  std::unique_ptr<tls::Session> make_session();
  RetryBudget& budget() noexcept { return budget_; }
  bool closed() const noexcept { return closed_; }

  /// Ready when it is answered, failed or cancelled, and its bytes are given back.
  Future<void> exchange(Exchange& exchange);
  /// The signer has none, or they end within five minutes.
  bool needs_credentials() const noexcept;
  /// Finds credentials, or says why there are none.
  Task<void> refresh_credentials();

  /// Of this shard's share of BucketOptions::memory_limit_bytes. Waits for others to give back; more than all
  /// of it is `exhausted`.
  Task<Reservation> reserve(std::uint64_t bytes);
  /// Nothing when there is not enough left.
  Reservation try_reserve(std::uint64_t bytes) noexcept;

  /// On the shard.
  Task<void> open();

  /// Ends every connection; waiting exchanges are cancelled.
  Task<void> close();
  /// Who frees it waits for none.
  detail::UseCount& users() noexcept { return users_; }

  // From the connections.
  void idle(Connection& connection);
  void not_idle(Connection& connection);
  void answered(Exchange& exchange);
  void ended(Connection& connection, std::optional<Error> why);

 private:
  friend class ExchangeState;
  struct Sweep : detail::Timer {
    ObjectShard* shard = nullptr;
  };
  void stop(detail::Runnable& ended) noexcept override;
  void start(Exchange& exchange);
  void cancel(Exchange& exchange);
  void wait(Exchange& exchange);
  void unlink(Exchange& exchange);
  void serve();
  void unused() noexcept;
  void sweep();
  void sweep_soon();

  detail::BucketCore& core_;
  detail::ShardLoop& loop_;
  Port* port_ = nullptr;
  s3::Signer signer_;
  RetryBudget budget_;
  tls::Resumption resumption_;
  std::uint64_t held_bytes_ = 0;
  std::optional<WallTime> credentials_end_;  // nothing: they do not expire
  bool has_credentials_ = false;
  bool refreshing_ = false;

  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;  // the one that was used last at the end
  unsigned connecting_ = 0;
  Exchange* first_waiting_ = nullptr;
  Exchange* last_waiting_ = nullptr;
  unsigned waiting_ = 0;
  Sweep sweep_;
  detail::UseCount users_;  // closers
  bool closed_ = false;
  bool finished_ = false;
  bool told_ = false;  // the core
};

}  // namespace netstor::object
