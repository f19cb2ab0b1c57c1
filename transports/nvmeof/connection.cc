// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/connection.h"

#include <netstor/metrics.h>

#include "lib/base/assert.h"
#include "transports/cause.h"
#include "transports/nvmeof/port.h"

namespace netstor::nvmeof {

static_assert(nvme::tcp::SendBatch::kPiecesMax <= kLinkPiecesMax);

namespace {

// For the last words on a link whose other end broke the protocol, and may not read either.
constexpr Duration kPartingLimit = std::chrono::seconds(1);

}  // namespace

Connection::Connection(NvmeofPort& port, Owner& owner, std::unique_ptr<Link> link, Kind kind,
                       const nvme::tcp::HostQueueOptions& options)
    : port_(port), owner_(owner), link_(std::move(link)), kind_(kind), queue_(options) {
  send_.user = recv_.user = link_closed_.user = this;
  send_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->sent(); };
  recv_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->received(); };
  link_closed_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->ended(); };
  alarm_.connection = this;
  alarm_.fire = [](detail::Timer& timer) noexcept {
    Connection& self = *static_cast<Alarm&>(timer).connection;
    if (self.state_ == State::parting) return self.begin_close();
    if (self.state_ != State::open) return;
    if (self.queue_.overdue(self.port_.loop().now())) self.give_up(OpResult::failure(ErrorKind::timed_out));
  };
  port_.add(*this);
}

Connection::~Connection() {
  NETSTOR_ASSERT(state_ == State::ended);
  port_.remove(*this);
}

void Connection::flush() {
  if (state_ > State::parting) return;
  if (!sending_ && queue_.has_work()) {
    batch_.clear();
    queue_.gather(batch_);
    if (!batch_.empty()) {
      send_.pieces = batch_.pieces();
      send_.piece_count = batch_.piece_count();
      sending_ = true;
      const Submit submitted = link_->submit(send_);
      NETSTOR_ASSERT(submitted == Submit::accepted);
    }
  }
  // The TermReq was the last to say.
  if (state_ == State::parting) {
    if (!sending_) begin_close();
    return;
  }
  if (!receiving_) {
    recv_.pieces = pieces_.data();
    recv_.piece_count = queue_.want(pieces_.data(), static_cast<unsigned>(pieces_.size()));
    receiving_ = true;
    const Submit submitted = link_->submit(recv_);
    NETSTOR_ASSERT(submitted == Submit::accepted);
  }
  watch_deadlines();
  watch_room();
}

// Here all of a turn's answers are in, and what was withdrawn has been passed over.
void Connection::watch_room() {
  if (room_wanted_ == 0 || queue_.room() < room_wanted_) return;
  room_wanted_ = 0;
  owner_.queue_has_room();
}

void Connection::watch_deadlines() {
  const Time next_one = queue_.next_deadline();
  if (next_one == Time::max() || (alarm_.armed() && alarm_.when <= next_one)) return;
  if (alarm_.armed()) port_.loop().disarm(alarm_);
  port_.loop().arm(alarm_, next_one);
}

void Connection::sent() {
  sending_ = false;
  if (state_ == State::open && !send_.result.ok) return give_up(send_.result);
  // The batch has let go of its payload: what was answered or cancelled meanwhile is given back.
  if (state_ <= State::parting && send_.result.ok) queue_.batch_sent();
  if (state_ == State::parting) begin_close();
}

void Connection::received() {
  receiving_ = false;
  if (state_ != State::open) return;
  if (!recv_.result.ok) return give_up(recv_.result);
  if (recv_.result.bytes == 0) {
    return give_up(OpResult::failure(ErrorKind::disconnected, Origin::library, cause::kClosedByPeer));
  }
  const bool alive = queue_.received(static_cast<std::size_t>(recv_.result.bytes));
  // Only the user's payload counts.
  if (const std::uint64_t copied = queue_.copied_bytes(); kind_ == Kind::io && copied != copied_bytes_) {
    port_.context().metrics().copied_bytes += copied - copied_bytes_;
    copied_bytes_ = copied;
  }
  if (alive || state_ != State::open) return;
  lost_ = true;
  const auto& fault = queue_.fault();
  why_ = OpResult::failure(
      ErrorKind::protocol, Origin::library,
      fault ? cause::nvme_tcp(fault->error, fault->kind == nvme::tcp::HostFault::Kind::terminated) : 0);
  // flush() sends the TermReq where there is one to send; a batch in flight would have to be waited for.
  if (sending_) return begin_close();
  state_ = State::parting;
  if (alarm_.armed()) port_.loop().disarm(alarm_);
  port_.loop().arm(alarm_, port_.loop().now() + kPartingLimit);
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

void Connection::begin_close() {
  state_ = State::closing;
  link_->close(&link_closed_);
}

void Connection::close(Op& closed) {
  lost_ = false;
  if (state_ == State::ended) return port_.finish(closed, OpResult::success());
  closed_ = &closed;
  if (state_ <= State::parting) begin_close();
}

// The link has let go of everything, so the requests may be too.
void Connection::ended() {
  state_ = State::ended;
  if (alarm_.armed()) port_.loop().disarm(alarm_);
  queue_.fail_all(port_.loop().now());
  if (lost_) {
    owner_.connection_lost(*this);
  } else if (closed_ != nullptr) {
    port_.finish(*closed_, OpResult::success());
  }
}

}  // namespace netstor::nvmeof
