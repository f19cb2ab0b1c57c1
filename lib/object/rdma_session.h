// SPDX-License-Identifier: Apache-2.0
#pragma once
// The reliable connection beside an HTTP connection, over which the endpoint reaches one request's buffer at
// a time (docs/formats/s3-rdma.md). What it reaches is lent to it until release() or close() has ended.

#include "lib/engine/shard_loop.h"
#include "lib/wire/s3/rdma.h"
#include "transports/message_link.h"

#include <array>
#include <memory>
#include <optional>
#include <string>

namespace netstor::object {

/// Why there is no session.
struct RdmaFailure {
  ErrorKind kind = ErrorKind::unsupported;
  std::string why;
  bool passing = false;  ///< another one may be had in a moment
  Origin origin = Origin::library;
  std::int32_t native = 0;
};

class RdmaSession final : MessageObserver {
 public:
  /// Told of each step; never inside the call that asked for it.
  class Owner {
   public:
    /// The session is there; or it is closed() and never was: failure() says why.
    virtual void rdma_connected() = 0;
    /// The endpoint reaches the memory: token() is to be shown.
    virtual void rdma_opened() = 0;
    virtual void rdma_released() = 0;
    /// Close it; the memory is lent until then.
    virtual void rdma_lost() = 0;
    /// After close(): no memory is lent, and it may be freed.
    virtual void rdma_closed() = 0;

   protected:
    ~Owner() = default;
  };

  /// Connects. `host`: where the offer names none.
  RdmaSession(MessagePort& port, detail::ShardLoop& loop, Owner& owner, const s3::RdmaOffer& offer,
              const std::string& host, Time deadline);
  ~RdmaSession();
  RdmaSession(const RdmaSession&) = delete;
  RdmaSession& operator=(const RdmaSession&) = delete;

  /// Lost is not connected, also before rdma_lost() has said so.
  bool connected() const noexcept {
    return link_ != nullptr && !connecting_ && !closing_ && !link_->broken();
  }
  bool closed() const noexcept { return closed_already_; }
  const RdmaFailure& failure() const noexcept { return failure_; }
  std::uint64_t bytes_max() const noexcept { return bytes_max_; }
  /// Lets the endpoint into `memory`, registered for that time where it is not already; false: it cannot be.
  bool open(iovec memory, bool writable, Duration life);
  const std::string& token() const noexcept { return token_; }
  bool is_first_token() const noexcept { return sequence_ == 1; }
  /// Memory is open, or on its way to be or to be no more.
  bool holds_memory() const noexcept { return holding_; }
  void release();
  /// Also while it connects.
  void close();

 private:
  void message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                    std::uint32_t ended_key) noexcept override;
  void link_lost(OpResult why) noexcept override;
  void was_connected() noexcept;
  std::optional<RdmaFailure> failure_to_connect() const;
  void was_closed() noexcept;
  void let_go() noexcept;

  MessagePort& port_;
  detail::ShardLoop& loop_;
  Owner& owner_;
  const s3::RdmaId id_;
  const std::uint64_t bytes_max_;
  const std::array<std::byte, s3::kRdmaGreetingBytes> greeting_;
  MessageConnectOp connect_;
  std::unique_ptr<MessageLink> link_;
  Time began_{};
  std::uint64_t sequence_ = 0;
  MessageOp opened_;
  MessageOp released_;
  Op closed_;
  RdmaFailure failure_;
  MutableBytes borrowed_;  // registered for this request, and perhaps for others
  std::string token_;
  bool connecting_ = true;
  bool holding_ = false;
  bool closing_ = false;
  bool closed_already_ = false;
};

}  // namespace netstor::object
