// SPDX-License-Identifier: Apache-2.0
#include "transports/sim/network.h"

#include "lib/base/assert.h"
#include "transports/sim/port.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace netstor::sim {

namespace {
bool is_own(std::string_view host) {
  constexpr std::array<std::string_view, 6> kOwn = {"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"};
  return std::find(kOwn.begin(), kOwn.end(), host) != kOwn.end();
}
}  // namespace

Network::~Network() {
  for (auto& [number, attempt] : attempts_) world_.unschedule(*attempt);
}

void Network::connect(SimPort& port, ConnectOp& op) {
  auto attempt = std::make_unique<Attempt>();
  attempt->network = this;
  attempt->port = &port;
  attempt->op = &op;
  attempt->place = {is_own(op.address.host) ? port.host() : op.address.host, op.address.port};
  // The shard's clock need not be the world's.
  attempt->deadline =
      op.deadline == Time::max() ? Time::max() : world_.now() + (op.deadline - port.context().loop().now());
  attempt->lost = world_.strikes(Fault::lost_connect, world_.faults().connect_lost);
  attempt->fire = [](Event& event) noexcept {
    auto& self = static_cast<Attempt&>(event);
    self.network->attempt(self);
  };
  op.driver_words[0] = world_.next_id();
  world_.schedule(*attempt, 2 * world_.faults().latency);
  attempts_.emplace(op.driver_words[0], std::move(attempt));
}

void Network::finish(Attempt& attempt, OpResult result) {
  world_.trace(result.ok ? "connected" : "connect-failed", static_cast<std::uint64_t>(result.native));
  world_.unschedule(attempt);
  attempt.port->finish(*attempt.op, result);
  attempts_.erase(attempt.op->driver_words[0]);
}

void Network::attempt(Attempt& attempt) {
  const std::string& from = attempt.port->host();
  const std::string& to = attempt.place.first;
  if (!world_.knows(to)) return finish(attempt, OpResult::system(EHOSTUNREACH));
  if (attempt.port->dead()) return finish(attempt, OpResult::system(ENETDOWN));
  if (world_.now() >= attempt.deadline) return finish(attempt, OpResult::system(ETIMEDOUT));
  if (!world_.lives(to) || attempt.lost || world_.cut(from, to) || world_.cut(to, from)) {
    // Sent again and again; without a deadline the system gives up, after two minutes as Linux does.
    if (attempt.deadline == Time::max()) attempt.deadline = world_.now() + std::chrono::minutes(2);
    const Duration rest = attempt.deadline - world_.now();
    return world_.schedule(attempt, std::min(rest, std::max(world_.faults().retransmit, Duration(1))));
  }
  const auto found = listeners_.find(attempt.place);
  if (found == listeners_.end() || world_.strikes(Fault::refused_connect, world_.faults().refuse)) {
    return finish(attempt, OpResult::system(ECONNREFUSED));
  }
  auto connection = std::make_shared<Connection>(world_, from, to);
  const std::uint64_t ticket = world_.next_id();
  const std::string peer = from + ':' + std::to_string(1024 + ticket % 60000);
  pending_.emplace(ticket, Pending{connection, peer});
  if (!found->second->offer(ticket, peer)) {
    pending_.erase(ticket);
    return finish(attempt, OpResult::system(ECONNREFUSED));
  }
  attempt.op->link =
      std::make_unique<SimLink>(connection, Connection::kClient, *attempt.port,
                                attempt.op->address.host + ':' + std::to_string(attempt.place.second));
  finish(attempt, OpResult::success());
}

void Network::cancel_connect(ConnectOp& op) {
  const auto found = attempts_.find(op.driver_words[0]);
  if (found != attempts_.end() && found->second->op == &op) {
    finish(*found->second, OpResult::failure(ErrorKind::cancelled));
  }
}

Result<std::unique_ptr<Listener>> Network::listen(SimPort& port, const Address& address) {
  Address bound = address;
  while (bound.port == 0) {
    if (!listeners_.contains({port.host(), ++last_port_})) bound.port = last_port_;
  }
  if (listeners_.contains({port.host(), bound.port})) {
    return Error::system(EADDRINUSE, "sim: listen on " + bound.host + ':' + std::to_string(bound.port));
  }
  return std::unique_ptr<Listener>(std::make_unique<SimListener>(*this, port, std::move(bound)));
}

Result<std::unique_ptr<Link>> Network::adopt(SimPort& port, const Ticket& ticket) {
  const auto found = pending_.find(ticket.words[0]);
  if (found == pending_.end())
    return Error(ErrorKind::not_found, "sim: the ticket was used already, or is not ours");
  Pending pending = std::move(found->second);
  pending_.erase(found);
  return std::unique_ptr<Link>(std::make_unique<SimLink>(std::move(pending.connection), Connection::kServer,
                                                         port, std::move(pending.peer)));
}

void Network::refuse(const Ticket& ticket) noexcept {
  const auto found = pending_.find(ticket.words[0]);
  if (found == pending_.end()) return;
  const std::shared_ptr<Connection> connection = std::move(found->second.connection);
  pending_.erase(found);
  connection->close(Connection::kServer, nullptr);
}

void Network::kill(std::string_view host, bool loudly) {
  for (auto& [id, connection] : connections_) connection->kill(host, loudly);
}

void Network::forget(SimPort& port) {
  for (const auto& [place, listener] : listeners_) NETSTOR_ASSERT(&listener->port() != &port);
  for (const auto& [number, attempt] : attempts_) NETSTOR_ASSERT(attempt->port != &port);
}

SimListener::SimListener(Network& network, SimPort& port, Address address)
    : network_(network), port_(port), address_(std::move(address)) {
  arrived_.listener = this;
  arrived_.fire = [](Event& event) noexcept { static_cast<Alarm&>(event).listener->serve(); };
  network_.listeners_.emplace(std::pair(port.host(), address_.port), this);
}

SimListener::~SimListener() { NETSTOR_ASSERT(closed_); }

Submit SimListener::submit(AcceptOp& op) {
  if (waiting_ != nullptr) return Submit::full;
  waiting_ = &op;
  if (!arrived_.scheduled()) network_.world_.schedule(arrived_, Duration::zero());
  return Submit::accepted;
}

bool SimListener::offer(std::uint64_t ticket, const std::string& peer) {
  if (port_.dead() || backlog_.size() >= kBacklogMax) return false;
  backlog_.emplace_back(ticket, peer);
  if (!arrived_.scheduled()) network_.world_.schedule(arrived_, Duration::zero());
  return true;
}

void SimListener::serve() {
  if (waiting_ == nullptr || backlog_.empty()) return;
  AcceptOp& op = *std::exchange(waiting_, nullptr);
  op.ticket.words[0] = backlog_.front().first;
  op.peer = std::move(backlog_.front().second);
  backlog_.pop_front();
  port_.finish(op, OpResult::success());
}

void SimListener::close() {
  if (std::exchange(closed_, true)) return;
  network_.world_.unschedule(arrived_);
  network_.listeners_.erase({port_.host(), address_.port});
  for (const auto& [ticket, peer] : backlog_) network_.refuse(Ticket{.words = {ticket}});
  backlog_.clear();
  if (AcceptOp* const op = std::exchange(waiting_, nullptr); op != nullptr) {
    port_.finish(*op, OpResult::failure(ErrorKind::cancelled));
  }
}

}  // namespace netstor::sim
