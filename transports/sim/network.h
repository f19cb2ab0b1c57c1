// SPDX-License-Identifier: Apache-2.0
#pragma once
// The network: who listens where, connects under way, and connections that were accepted and not yet
// adopted. A host name is the name that its ports were entered with; "localhost", "127.0.0.1", "::1" and
// the wildcard addresses mean the port's own host.

#include "transports/sim/connection.h"
#include "transports/sim/world.h"

#include <netstor/ext/driver.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace netstor::sim {

class SimListener;

class Network {
 public:
  explicit Network(World& world) : world_(world) {}
  ~Network();

  void connect(SimPort& port, ConnectOp& op);
  void cancel_connect(ConnectOp& op);
  Result<std::unique_ptr<Listener>> listen(SimPort& port, const Address& address);
  Result<std::unique_ptr<Link>> adopt(SimPort& port, const Ticket& ticket);
  void refuse(const Ticket& ticket) noexcept;

  void kill(std::string_view host, bool loudly);
  void forget(SimPort& port);  ///< it is being destroyed

  void add(Connection& connection) { connections_.emplace(connection.id(), &connection); }
  void remove(Connection& connection) noexcept { connections_.erase(connection.id()); }

 private:
  friend class SimListener;
  using Place = std::pair<std::string, std::uint16_t>;

  /// A connect under way: one event that fires at each try, and at the deadline.
  struct Attempt : Event {
    Network* network = nullptr;
    SimPort* port = nullptr;
    ConnectOp* op = nullptr;
    Place place;
    Time deadline{};
    bool lost = false;
  };
  struct Pending {
    std::shared_ptr<Connection> connection;
    std::string peer;
  };

  void attempt(Attempt& attempt);
  void finish(Attempt& attempt, OpResult result);

  World& world_;
  std::map<Place, SimListener*> listeners_;
  std::map<std::uint64_t, std::unique_ptr<Attempt>> attempts_;  // by the number in the op's driver_words
  std::map<std::uint64_t, Pending> pending_;                    // by ticket
  std::map<std::uint64_t, Connection*> connections_;
  std::uint16_t last_port_ = 49152;
};

class SimListener final : public Listener {
 public:
  static constexpr std::size_t kBacklogMax = 64;

  SimListener(Network& network, SimPort& port, Address address);
  ~SimListener() override;
  Submit submit(AcceptOp& op) override;
  void close() override;
  const Address& address() const noexcept override { return address_; }

  /// A connection has come. False when the backlog is full or the listener is closed.
  bool offer(std::uint64_t ticket, const std::string& peer);
  SimPort& port() noexcept { return port_; }

 private:
  void serve();
  struct Alarm : Event {
    SimListener* listener = nullptr;
  };
  Network& network_;
  SimPort& port_;
  const Address address_;
  std::deque<std::pair<std::uint64_t, std::string>> backlog_;
  AcceptOp* waiting_ = nullptr;
  Alarm arrived_;
  bool closed_ = false;
};

}  // namespace netstor::sim
