// SPDX-License-Identifier: Apache-2.0
#pragma once
// One connection to a service: a link, through a proxy where one is set, over TLS where the endpoint says
// https, the HTTP machine that says what goes over it, the session beside it over which payload may go, and
// the exchange under way.

#include <netstor/ext/link.h>

#include "lib/engine/shard_loop.h"
#include "lib/object/exchange.h"
#include "lib/object/rdma_session.h"
#include "lib/object/tunnel.h"
#include "lib/proto/http/client.h"
#include "transports/tls_link.h"

#include <array>
#include <memory>
#include <optional>
#include <vector>

namespace netstor::object {

class Pool;

class Connection final : RdmaSession::Owner {
 public:
  enum class State : std::uint8_t { connecting, tunnelling, securing, idle, busy, closing };

  /// Connects to the pool's endpoint; the pool hears of it by idle() or ended().
  explicit Connection(Pool& pool);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  State state() const noexcept { return state_; }
  Time idle_since() const noexcept { return idle_since_; }
  /// True once: of a connection that connects, or has just connected.
  bool was_new() noexcept { return std::exchange(new_, false); }
  /// Idle: starts the exchange, which ends by Pool::ended().
  void begin(Exchange& exchange);
  /// Idle: begins to listen for the end of the stream, so that none is begun on a connection that is closed.
  void watch();
  bool watched() const noexcept { return receiving_; }
  /// Ends it in any state, which cancels the exchange under way; ended() follows.
  void cancel();
  /// The same between exchanges.
  void close();

 private:
  struct Alarm : detail::Timer {
    Connection* connection = nullptr;
  };
  /// Of a busy one.
  enum class Stage : std::uint8_t { asking, joining, opening, request, releasing };

  void connected();
  void ask_proxy();
  void tunnel_received();
  void secure();
  void secured();
  void ready();
  /// Endpoint and proxy, for messages.
  std::string where() const;
  /// The words for a result of the link.
  std::string say(const OpResult& result) const;
  // RdmaSession::Owner, and the way there
  void ask_for_session();
  void asked();
  void rdma_connected() override;
  /// Of the exchange, to the endpoint; or the session was all that it wanted.
  void open_memory();
  void rdma_opened() override;
  void rdma_released() override;
  void rdma_lost() override;
  void rdma_closed() override;
  /// The exchange is nothing without RDMA.
  bool needs_session() const noexcept;
  /// Nothing of the exchange was sent, and it does not go by RDMA: Outcome::declined; or where it needs a
  /// session and this passes, a failure after which it may be sent again. `by_endpoint`: neither would the
  /// next one.
  void decline(const RdmaFailure& failure, bool by_endpoint = false);
  bool take_rdma_answer(const http::ResponseHead& head);
  /// Of the peer, without its port.
  std::string peer_host() const;

  void send_request();
  std::span<const std::byte> head_of(void (Exchange::*write)(http::HeadWriter&));
  void pump();
  void sent();
  void trace_sent();
  void received();
  void send();
  void receive();
  void take_answer();
  bool grow_text();
  /// The exchange is over; the connection may go on.
  void finish();
  /// The exchange failed, and the connection with it.
  void fail(ErrorKind kind, std::string why, Origin origin = Origin::library, std::int32_t native = 0);
  void progressed();
  bool send_goes_on() const;
  void check_progress();
  void link_closed();
  void end();

  Pool& pool_;
  State state_ = State::connecting;
  ConnectOp connect_;
  std::unique_ptr<Link> link_;
  const TlsLink* tls_ = nullptr;    // link_, when it is one
  std::unique_ptr<Tunnel> tunnel_;  // while it is made
  Op secured_;
  std::optional<Error> never_ready_;
  http::Client client_;
  http::SendBatch batch_;
  SendOp send_;
  RecvOp recv_;
  Op closed_;
  std::array<iovec, 64> pieces_{};
  bool sending_ = false;
  bool receiving_ = false;
  bool link_closed_ = false;
  bool new_ = true;
  bool used_ = false;
  bool head_sent_ = false;
  Stage stage_ = Stage::request;
  std::unique_ptr<RdmaSession> rdma_;
  std::string offer_;  // as it came
  unsigned offer_status_ = 0;
  std::string session_identity_;
  Exchange* exchange_ = nullptr;
  std::vector<char> head_;
  iovec text_piece_{};
  std::uint64_t text_used_ = 0;
  std::uint64_t copied_bytes_ = 0;
  Time progress_{};                            // the last time that bytes moved
  std::optional<std::uint64_t> acknowledged_;  // by the peer, when half of the time since then was over
  Time idle_since_{};
  Alarm alarm_;
};

}  // namespace netstor::object
