// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/connection.h"

#include <netstor/metrics.h>

#include "lib/base/assert.h"
#include "transports/nvmeof/port.h"

namespace netstor::nvmeof {

namespace {

// For the last words on a link whose other end broke the protocol, and may not read either.
constexpr Duration kPartingLimit = std::chrono::seconds(1);

}  // namespace

Connection::Connection(NvmeofPort& port, Owner& owner, Kind kind, nvme::HostCommands& commands)
    : port_(port), owner_(owner), commands_(commands), kind_(kind) {
  alarm_.connection = this;
  alarm_.fire = [](detail::Timer& timer) noexcept {
    Connection& self = *static_cast<Alarm&>(timer).connection;
    if (self.state_ == State::parting) return self.begin_close();
    if (self.state_ != State::open) return;
    if (self.commands_.overdue(self.port_.loop().now()))
      self.give_up(OpResult::failure(ErrorKind::timed_out));
  };
  port_.add(*this);
}

Connection::~Connection() {
  NETSTOR_ASSERT(state_ == State::ended);
  port_.remove(*this);
}

void Connection::watch() {
  // Here all of a turn's answers are in, and what was withdrawn has been passed over.
  if (room_wanted_ != 0 && commands_.room() >= room_wanted_) {
    room_wanted_ = 0;
    owner_.queue_has_room();
  }
  const Time next_one = commands_.next_deadline();
  if (next_one == Time::max() || (alarm_.armed() && alarm_.when <= next_one)) return;
  if (alarm_.armed()) port_.loop().disarm(alarm_);
  port_.loop().arm(alarm_, next_one);
}

// Only the user's payload counts.
void Connection::count_copies(std::uint64_t copied) noexcept {
  if (kind_ != Kind::io || copied == copied_bytes_) return;
  port_.context().metrics().copied_bytes += copied - copied_bytes_;
  copied_bytes_ = copied;
}

Error Connection::error(std::string_view what) const {
  return why_.error(std::string(what) + " of " + std::string(peer()));
}

void Connection::give_up(OpResult why) {
  if (state_ != State::open) return;
  lost_ = true;
  why_ = why;
  begin_close();
}

void Connection::part(OpResult why, bool may_speak) {
  if (!may_speak) return give_up(why);
  lost_ = true;
  why_ = why;
  state_ = State::parting;
  if (alarm_.armed()) port_.loop().disarm(alarm_);
  port_.loop().arm(alarm_, port_.loop().now() + kPartingLimit);
}

void Connection::begin_close() {
  state_ = State::closing;
  close_link();
}

void Connection::close(Op& closed) {
  lost_ = false;
  if (state_ == State::ended) return port_.finish(closed, OpResult::success());
  closed_ = &closed;
  if (state_ <= State::parting) begin_close();
}

// The link has let go of everything, so the requests may be too.
void Connection::link_ended() noexcept {
  state_ = State::ended;
  if (alarm_.armed()) port_.loop().disarm(alarm_);
  commands_.fail_all(port_.loop().now());
  if (lost_) {
    owner_.connection_lost(*this);
  } else if (closed_ != nullptr) {
    port_.finish(*closed_, OpResult::success());
  }
}

}  // namespace netstor::nvmeof
