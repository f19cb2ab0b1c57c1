// SPDX-License-Identifier: Apache-2.0
#include "transports/sim/connection.h"

#include "lib/base/assert.h"
#include "transports/sim/network.h"
#include "transports/sim/port.h"

#include <cerrno>

namespace netstor::sim {

namespace {
OpResult cancelled(Effect effect) {
  return OpResult::failure(ErrorKind::cancelled, Origin::library, 0, effect);
}
OpResult broken(Effect effect) { return OpResult::system(ECONNRESET, effect); }
}  // namespace

Connection::Connection(World& world, std::string client_host, std::string server_host)
    : world_(world), id_(world.next_id()), ends_{End(world), End(world)} {
  ends_[kClient].host = std::move(client_host);
  ends_[kServer].host = std::move(server_host);
  for (unsigned end = 0; end < 2; ++end) {
    const auto set = [&](Alarm& alarm, void (*fire)(Event&) noexcept) {
      alarm.connection = this;
      alarm.end = end;
      alarm.fire = fire;
    };
    set(ends_[end].pump, [](Event& event) noexcept {
      auto& alarm = static_cast<Alarm&>(event);
      alarm.connection->pump(alarm.end);
    });
    set(ends_[end].arrive, [](Event& event) noexcept {
      auto& alarm = static_cast<Alarm&>(event);
      alarm.connection->arrive(alarm.end);
    });
    set(ends_[end].broke, [](Event& event) noexcept {
      auto& alarm = static_cast<Alarm&>(event);
      alarm.connection->break_end(alarm.end);
    });
  }
  world_.network().add(*this);
}

Connection::~Connection() {
  for (End& end : ends_) {
    world_.unschedule(end.pump);
    world_.unschedule(end.arrive);
    world_.unschedule(end.broke);
  }
  world_.network().remove(*this);
}

void Connection::soon(Alarm& alarm, Duration after) {
  if (!alarm.scheduled()) world_.schedule(alarm, after);
}

void Connection::finish_send(End& end, OpResult result) {
  if (SendOp* const op = std::exchange(end.send, nullptr); op != nullptr) end.port->finish(*op, result);
}

void Connection::finish_receive(End& end, OpResult result) {
  if (RecvOp* const op = std::exchange(end.receive, nullptr); op != nullptr) end.port->finish(*op, result);
}

// The bytes are taken by an event and never inside submit: a caller that lets go of them before completion
// is found out.
void Connection::send(unsigned end, SendOp& op) {
  ends_[end].send = &op;
  ends_[end].unsent = PieceCursor(op.pieces, op.piece_count);
  soon(ends_[end].pump, Duration::zero());
}

void Connection::receive(unsigned end, RecvOp& op) {
  ends_[end].receive = &op;
  soon(ends_[end].pump, Duration::zero());
}

void Connection::pump(unsigned index) {
  End& end = ends_[index];
  End& peer = ends_[1 - index];
  if (end.state != State::open) {
    finish_send(end, broken(Effect::unknown));
    finish_receive(end, broken(Effect::none));
    return;
  }
  if (end.send != nullptr) {
    while (end.unsent.remaining() > 0 && end.outgoing.has_room()) end.outgoing.take(end.unsent);
    await_arrival(1 - index);
    if (end.unsent.remaining() == 0) {
      finish_send(end, OpResult::success(PieceCursor(end.send->pieces, end.send->piece_count).remaining()));
    }
  }
  if (end.receive == nullptr) return;
  PieceCursor into(end.receive->pieces, end.receive->piece_count);
  if (peer.outgoing.readable() > 0) {
    const std::size_t bytes = peer.outgoing.read(into, end.receive->peek);
    world_.trace("received", id_, index, bytes);
    finish_receive(end, OpResult::success(bytes));
    if (peer.send != nullptr) soon(peer.pump, Duration::zero());
  } else if (peer.outgoing.ended()) {
    finish_receive(end, OpResult::success(0));
  }
}

void Connection::await_arrival(unsigned index) {
  const Stream::Piece* const head = ends_[1 - index].outgoing.head();
  if (head == nullptr || head->mark == Stream::Mark::mute) return;
  soon(ends_[index].arrive, std::max(Duration::zero(), head->arrives - world_.now()));
}

void Connection::arrive(unsigned index) {
  End& end = ends_[index];
  End& peer = ends_[1 - index];
  const Stream::Piece* const head = peer.outgoing.head();
  if (head == nullptr) return;
  if (world_.cut(peer.host, end.host) || (end.state == State::closed && !world_.lives(end.host))) {
    world_.schedule(end.arrive, world_.faults().retransmit);  // sent again and again until somebody is there
    return;
  }
  const Stream::Mark mark = head->mark;
  if (end.state != State::open) {  // nobody listens any more: the system there says so
    peer.outgoing.drop();
    if (mark != Stream::Mark::end) tell_reset(1 - index);
    if (peer.send != nullptr) soon(peer.pump, Duration::zero());
    return;
  }
  peer.outgoing.arrive();
  if (mark == Stream::Mark::reset) {
    break_end(index);
    tell_reset(1 - index);
    return;
  }
  if (end.receive != nullptr) soon(end.pump, Duration::zero());
  await_arrival(index);
}

void Connection::tell_reset(unsigned end) {
  if (world_.cut(ends_[1 - end].host, ends_[end].host)) return;  // resets are not sent again
  soon(ends_[end].broke, world_.faults().latency);
}

void Connection::break_end(unsigned index) {
  End& end = ends_[index];
  if (end.state != State::open) return;
  world_.trace("broken", id_, index);
  end.state = State::broken;
  end.outgoing.drop();
  ends_[1 - index].outgoing.drop();
  world_.unschedule(end.arrive);
  finish_send(end, broken(Effect::unknown));
  finish_receive(end, broken(Effect::none));
}

void Connection::close(unsigned index, Op* closed) {
  End& end = ends_[index];
  End& peer = ends_[1 - index];
  finish_send(end, cancelled(Effect::unknown));
  finish_receive(end, cancelled(Effect::none));
  if (end.state == State::open) {
    // As the kernel does: what was taken is still delivered; bytes that nobody will read are a reset.
    if (peer.outgoing.readable() > 0) {
      tell_reset(1 - index);
    } else {
      end.outgoing.end();
      await_arrival(1 - index);
    }
  }
  end.state = State::closed;
  if (closed != nullptr) end.port->finish(*closed, OpResult::success());
}

void Connection::kill(std::string_view host, bool loudly) {
  for (unsigned index = 0; index < 2; ++index) {
    End& end = ends_[index];
    if (end.host != host || end.state == State::closed) continue;
    finish_send(end, broken(Effect::unknown));
    finish_receive(end, broken(Effect::none));
    if (loudly && end.state == State::open) tell_reset(1 - index);
    end.state = State::closed;
  }
}

SimLink::SimLink(std::shared_ptr<Connection> connection, unsigned end, SimPort& port, std::string peer)
    : connection_(std::move(connection)), end_(end), peer_(std::move(peer)) {
  connection_->attach(end, port);
}

SimLink::~SimLink() { NETSTOR_ASSERT(closed_); }

Submit SimLink::submit(SendOp& op) {
  if (connection_->sending(end_)) return Submit::full;
  connection_->send(end_, op);
  return Submit::accepted;
}

Submit SimLink::submit(RecvOp& op) {
  if (connection_->receiving(end_)) return Submit::full;
  connection_->receive(end_, op);
  return Submit::accepted;
}

void SimLink::close(Op* closed) {
  NETSTOR_ASSERT(!closed_);
  closed_ = true;
  connection_->close(end_, closed);
}

}  // namespace netstor::sim
