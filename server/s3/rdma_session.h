// SPDX-License-Identifier: Apache-2.0
#pragma once
// The reliable connection of an HTTP connection, over which payload goes: offered, taken up by the client,
// ended. It outlives the HTTP connection until nothing moves any more. And a transfer over it, to be awaited:
// one that takes too long ends the session, as nothing less takes memory back from a card.

#include <coroutine>
#include <memory>
#include <utility>

#include "server/s3/rdma_terms.h"
#include "transports/message_link.h"

namespace netstor::s3server {

class Connection;
class EndpointShard;

class RdmaSession final : MessageObserver {
 public:
  RdmaSession(EndpointShard& shard, Connection& connection, const s3::RdmaId& session,
              const s3::RdmaId& ticket, std::string access_key_id);
  ~RdmaSession();
  RdmaSession(const RdmaSession&) = delete;
  RdmaSession& operator=(const RdmaSession&) = delete;

  RdmaTerms& terms() noexcept { return terms_; }
  /// Somebody asks for the connection; `request` is used up.
  void answer(MessagePort& port, const Ticket& request, const s3::RdmaId& ticket, std::string_view peer);
  /// Null where nothing can be moved.
  MessageLink* link() noexcept { return ended_ ? nullptr : link_.get(); }
  detail::Loop& loop() noexcept;
  /// How long a transfer may take: what HTTP allows the same peer in the same direction.
  Duration patience(bool to_client) const noexcept;
  /// The HTTP connection does without it from now on; what is under way fails. EndpointShard::session_gone()
  /// follows, in a turn to come when there is something to close.
  void end();

 private:
  void message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                    std::uint32_t ended_key) noexcept override;
  void link_lost(OpResult why) noexcept override;

  EndpointShard& shard_;
  Connection* connection_;  // null once it does without
  RdmaTerms terms_;
  std::unique_ptr<MessageLink> link_;
  Op closed_;
  bool ended_ = false;
};

/// Pieces of registered memory to or from the client's; may be started again. Whoever has started one awaits
/// it before the pieces, or this, go.
class RdmaTransfer : MessageOp {
 public:
  RdmaTransfer();
  RdmaTransfer(const RdmaTransfer&) = delete;
  RdmaTransfer& operator=(const RdmaTransfer&) = delete;
  /// Over a session that has a link.
  void start(RdmaSession& session, bool to_client, RemoteMemory where, const iovec* from, unsigned count);

  class Wait {
   public:
    explicit Wait(RdmaTransfer& transfer) : transfer_(transfer) {}
    bool await_ready() const noexcept { return !transfer_.running_; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { transfer_.waiting_ = handle; }
    bool await_resume() const noexcept { return transfer_.result.ok; }

   private:
    RdmaTransfer& transfer_;
  };
  /// To be awaited: whether it moved; true of one that was never started.
  Wait moved() { return Wait(*this); }

 private:
  struct Alarm : detail::Timer {
    RdmaSession* session = nullptr;  // which outlives what moves over it
  };
  Alarm alarm_;
  bool running_ = false;
  std::coroutine_handle<> waiting_;
};

}  // namespace netstor::s3server
