// SPDX-License-Identifier: Apache-2.0
#pragma once
// A connection: two ends, a stream each way, and when things happen to them. SimLink is an end's face.

#include "transports/sim/stream.h"

#include <netstor/ext/link.h>

#include <array>
#include <memory>
#include <string>

namespace netstor::sim {

class SimPort;

class Connection {
 public:
  Connection(World& world, std::string client_host, std::string server_host);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  static constexpr unsigned kClient = 0;
  static constexpr unsigned kServer = 1;

  std::uint64_t id() const noexcept { return id_; }

  /// The end's port is known: from now on it can submit.
  void attach(unsigned end, SimPort& port) noexcept { ends_[end].port = &port; }
  void send(unsigned end, SendOp& op);
  void receive(unsigned end, RecvOp& op);
  bool sending(unsigned end) const noexcept { return ends_[end].send != nullptr; }
  bool receiving(unsigned end) const noexcept { return ends_[end].receive != nullptr; }
  void close(unsigned end, Op* closed);

  /// An end's host was killed. `loudly`: its system lives and tells the peer.
  void kill(std::string_view host, bool loudly);

 private:
  enum class State : std::uint8_t {
    open,
    broken,  ///< told of a reset
    closed,  ///< by its owner, or by its death
  };
  struct Alarm : Event {
    Connection* connection = nullptr;
    unsigned end = 0;
  };
  struct End {
    explicit End(World& world) : outgoing(world) {}
    std::string host;
    SimPort* port = nullptr;
    State state = State::open;
    Stream outgoing;
    SendOp* send = nullptr;
    RecvOp* receive = nullptr;
    PieceCursor unsent;
    Alarm pump;    // the kernel takes bytes that are to be sent, and hands out those that came
    Alarm arrive;  // the head of the peer's stream arrives
    Alarm broke;   // a reset arrives
  };

  void pump(unsigned end);
  void arrive(unsigned end);
  void break_end(unsigned end);
  void soon(Alarm& alarm, Duration after);
  void await_arrival(unsigned end);
  void tell_reset(unsigned end);
  void finish_send(End& end, OpResult result);
  void finish_receive(End& end, OpResult result);

  World& world_;
  const std::uint64_t id_;
  std::array<End, 2> ends_;
};

class SimLink final : public Link {
 public:
  SimLink(std::shared_ptr<Connection> connection, unsigned end, SimPort& port, std::string peer);
  ~SimLink() override;
  Submit submit(SendOp& op) override;
  Submit submit(RecvOp& op) override;
  void close(Op* closed) override;
  std::string_view peer() const noexcept override { return peer_; }

 private:
  std::shared_ptr<Connection> connection_;
  const unsigned end_;
  const std::string peer_;
  bool closed_ = false;
};

}  // namespace netstor::sim
