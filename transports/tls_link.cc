// SPDX-License-Identifier: Apache-2.0
#include "transports/tls_link.h"

#include "lib/base/assert.h"

#include <utility>

namespace netstor {
namespace {

// How long close() tries to tell the peer before it just ends the stream.
constexpr Duration kLinger = std::chrono::milliseconds(500);

void complete(Op& op, OpResult result) {
  op.result = result;
  op.complete(op);
}

}  // namespace

TlsLink::TlsLink(detail::Loop& loop, Metrics& metrics, std::unique_ptr<Link> link,
                 std::unique_ptr<tls::Session> session)
    : loop_(loop), metrics_(metrics), link_(std::move(link)), session_(std::move(session)) {
  work_.link = linger_.link = this;
  work_.run = [](detail::Runnable& work) noexcept {
    TlsLink& self = *static_cast<Work&>(work).link;
    self.worked_ = false;
    self.pump();
  };
  linger_.fire = [](detail::Timer& timer) noexcept {
    TlsLink& self = *static_cast<Linger&>(timer).link;
    self.send_broken_ = OpResult::failure(ErrorKind::timed_out);
    self.pump();
  };
  out_.user = in_.user = link_closed_.user = this;
  out_.complete = [](Op& op) noexcept { static_cast<TlsLink*>(op.user)->was_sent(); };
  in_.complete = [](Op& op) noexcept { static_cast<TlsLink*>(op.user)->was_received(); };
  link_closed_.complete = [](Op& op) noexcept {
    TlsLink& self = *static_cast<TlsLink*>(op.user);
    if (self.closed_ != nullptr) complete(*self.closed_, OpResult::success());
  };
}

TlsLink::~TlsLink() { NETSTOR_ASSERT(!worked_ && !linger_.armed()); }

void TlsLink::later() {
  if (std::exchange(worked_, true)) return;
  loop_.push(work_);
}

void TlsLink::start(Op* established) {
  established_ = established;
  later();
}

Submit TlsLink::submit(SendOp& op) {
  if (send_ != nullptr) return Submit::full;
  send_ = &op;
  send_piece_ = 0;
  send_offset_ = 0;
  send_bytes_ = 0;
  move();
  return Submit::accepted;
}

Submit TlsLink::submit(RecvOp& op) {
  if (recv_ != nullptr) return Submit::full;
  recv_ = &op;
  recv_bytes_ = 0;
  move();
  return Submit::accepted;
}

// A message that was begun cannot be ended in an orderly way, an idle or failed session can.
void TlsLink::close(Op* closed) {
  closed_ = closed;
  closing_ = true;
  if (send_ != nullptr || !session_->established()) {
    if (!failed_) send_broken_ = OpResult::failure(ErrorKind::cancelled);
  } else {
    session_->end();
  }
  later();
}

OpResult TlsLink::session_failure() const {
  return OpResult::failure(session_->failure().kind, Origin::tls, session_->failure().native);
}

void TlsLink::pump() {
  if (closing_below_) return;
  work();
  answer();
}

// What was submitted goes on its way at once; what it has come to is told later.
void TlsLink::move() {
  work();
  const bool over = failed_ || !recv_broken_.ok || closing_;
  const bool recv = recv_ != nullptr && (recv_->peek || recv_bytes_ != 0 || ended_);
  const bool send =
      send_ != nullptr && (!send_broken_.ok || (send_piece_ == send_->piece_count && !sending_));
  if (over || recv || send) later();
}

void TlsLink::work() {
  wants_in_ = false;
  if (!closing_ && shake_hands()) {
    encrypt();
    decrypt();
  }
  send_out();
  if (!closing_) receive_in();
}

bool TlsLink::shake_hands() {
  if (failed_) return false;
  const tls::Step step = session_->handshake();
  failed_ = step == tls::Step::failed;
  wants_in_ = step == tls::Step::needs_in;
  return step == tls::Step::done;
}

void TlsLink::encrypt() {
  while (!failed_ && send_broken_.ok && send_ != nullptr && send_piece_ < send_->piece_count) {
    const iovec& piece = send_->pieces[send_piece_];
    if (send_offset_ == piece.iov_len) {
      ++send_piece_;
      send_offset_ = 0;
      continue;
    }
    std::size_t bytes = 0;
    const std::span all(static_cast<const std::byte*>(piece.iov_base), piece.iov_len);
    const tls::Step step = session_->write(all.subspan(send_offset_), bytes);
    send_offset_ += bytes;
    send_bytes_ += bytes;
    failed_ = step == tls::Step::failed;
    if (step != tls::Step::done) return;
  }
}

void TlsLink::decrypt() {
  // What was placed already is told first: pieces are filled once.
  if (failed_ || ended_ || recv_ == nullptr || recv_->peek || recv_bytes_ != 0) return;
  for (unsigned i = 0; i < recv_->piece_count; ++i) {
    const iovec& piece = recv_->pieces[i];
    std::span into(static_cast<std::byte*>(piece.iov_base), piece.iov_len);
    while (!into.empty()) {
      std::size_t bytes = 0;
      const tls::Step step = session_->read(into, bytes);
      recv_bytes_ += bytes;
      into = into.subspan(bytes);
      if (step == tls::Step::done) continue;
      wants_in_ = step == tls::Step::needs_in;
      ended_ = step == tls::Step::ended;
      failed_ = step == tls::Step::failed;
      return;
    }
  }
}

void TlsLink::send_out() {
  const auto bytes = session_->to_send();
  if (sending_ || !send_broken_.ok || bytes.empty()) return;
  sending_ = true;
  out_piece_ = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  out_.pieces = &out_piece_;
  out_.piece_count = 1;
  const Submit submitted = link_->submit(out_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void TlsLink::receive_in() {
  if (receiving_ || !wants_in_ || failed_ || !recv_broken_.ok || recv_bytes_ != 0) return;
  const auto space = session_->space();
  if (space.empty()) return;
  receiving_ = true;
  in_piece_ = {space.data(), space.size()};
  in_.pieces = &in_piece_;
  in_.piece_count = 1;
  const Submit submitted = link_->submit(in_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void TlsLink::was_sent() {
  sending_ = false;
  if (out_.result.ok) {
    session_->sent(static_cast<std::size_t>(out_.result.bytes));
  } else if (send_broken_.ok) {
    send_broken_ = out_.result;
  }
  pump();
}

void TlsLink::was_received() {
  receiving_ = false;
  if (!in_.result.ok) {
    recv_broken_ = in_.result;
  } else if (in_.result.bytes == 0) {
    session_->peer_closed();
  } else {
    session_->received(static_cast<std::size_t>(in_.result.bytes));
  }
  pump();
}

// An owner that hears of one operation may submit the next or close the link.
void TlsLink::answer() {
  const OpResult cancelled = OpResult::failure(ErrorKind::cancelled);
  const bool shaken = session_->established();
  const bool broken = failed_ || !recv_broken_.ok;
  const OpResult why = failed_ ? session_failure() : recv_broken_;
  if (established_ != nullptr && (closing_ || shaken || broken || !send_broken_.ok)) {
    complete(*std::exchange(established_, nullptr), closing_ ? cancelled
                                                    : shaken ? OpResult::success()
                                                    : broken ? why
                                                             : send_broken_);
  }
  if (recv_ != nullptr) {
    if (recv_->peek) {
      complete(*std::exchange(recv_, nullptr), OpResult::failure(ErrorKind::unsupported));
    } else if (const std::uint64_t bytes = std::exchange(recv_bytes_, 0); bytes != 0) {
      metrics_.copied_bytes += bytes;
      complete(*std::exchange(recv_, nullptr), OpResult::success(bytes));
    } else if (closing_) {
      complete(*std::exchange(recv_, nullptr), cancelled);
    } else if (broken || ended_) {
      complete(*std::exchange(recv_, nullptr), broken ? why : OpResult::success());
    }
  }
  if (send_ != nullptr) {
    const bool whole =
        shaken && send_piece_ == send_->piece_count && !sending_ && session_->to_send().empty();
    if (whole || closing_ || failed_ || !send_broken_.ok || (!shaken && broken)) {
      metrics_.copied_bytes += send_bytes_;
      complete(*std::exchange(send_, nullptr), whole              ? OpResult::success(send_bytes_)
                                               : closing_         ? cancelled
                                               : !send_broken_.ok ? send_broken_
                                                                  : why);
    }
  }
  if (closing_) finish_closing();
}

void TlsLink::finish_closing() {
  if (closing_below_ || worked_) return;
  if (send_broken_.ok && (sending_ || !session_->to_send().empty())) {
    if (!linger_.armed()) loop_.arm(linger_, loop_.now() + kLinger);
    return;
  }
  if (linger_.armed()) loop_.disarm(linger_);
  closing_below_ = true;
  link_->close(&link_closed_);
}

}  // namespace netstor
