// SPDX-License-Identifier: Apache-2.0

#include "server/s3/connection.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/wire/s3/error_code.h"
#include "lib/wire/s3/xml.h"
#include "server/s3/endpoint_shard.h"
#include "server/s3/exchange.h"

namespace netstor::s3server {

namespace {

s3::ErrorCode code_of_refusal(unsigned status) {
  switch (status) {
    case 408:
      return s3::ErrorCode::request_timeout;
    case 411:
      return s3::ErrorCode::missing_content_length;
    case 413:
      return s3::ErrorCode::entity_too_large;
    case 414:
      return s3::ErrorCode::invalid_uri;
    case 431:
      return s3::ErrorCode::request_header_section_too_large;
    case 501:
      return s3::ErrorCode::not_implemented;
    default:
      return s3::ErrorCode::bad_request;
  }
}

/// What the machine refuses before there is an exchange is said in S3's words, too.
http::ServerOptions with_refusal(EndpointShard& shard) {
  http::ServerOptions options = shard.config().http;
  options.refusal = [&shard](unsigned status) {
    const s3::ErrorFacts& known = s3::facts(code_of_refusal(status));
    s3::ErrorBody body;
    body.code = known.name;
    body.message = known.message;
    body.request_id = shard.next_request_id();
    std::string text;
    s3::encode(body, text);
    return text;
  };
  return options;
}

}  // namespace

Connection::Connection(EndpointShard& shard, std::uint64_t id, std::unique_ptr<Link> link)
    : shard_(shard), id_(id), link_(std::move(link)), server_(with_refusal(shard), shard.loop().now()) {
  send_.user = recv_.user = closed_.user = this;
  send_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->was_sent(); };
  recv_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->was_received(); };
  closed_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->was_closed(); };
  pump_task_.connection = this;
  pump_task_.run = [](detail::Runnable& self) noexcept {
    Connection& connection = *static_cast<Self&>(self).connection;
    connection.pump_scheduled_ = false;
    connection.pump();
  };
  alarm_.connection = this;
  alarm_.fire = [](detail::Timer& self) noexcept { static_cast<SelfTimer&>(self).connection->on_timer(); };
}

Connection::~Connection() { NETSTOR_ASSERT(link_closed_ && !handling_ && !pump_scheduled_); }

void Connection::start() { pump(); }

// ---- The machine's turn: events, then what it wants to receive and to send.

void Connection::kick() noexcept {
  if (pumping_ || pump_scheduled_) return;
  pump_scheduled_ = true;
  shard_.loop().push(pump_task_);
}

void Connection::pump() {
  if (!ending_) {
    pumping_ = true;
    handle_events();
    pumping_ = false;
  }
  if (!ending_) {
    receive();
    send();
    arm();
  }
  finish_if_idle();
}

void Connection::handle_events() {
  using Event = http::Server::Event;
  while (!ending_) {
    switch (server_.next()) {
      case Event::more:
        return;
      case Event::request:
        NETSTOR_ASSERT(!handling_);
        handling_ = true;
        over_ = gone_ = body_full_ = body_done_ = sent_ = false;
        spawn(serve()).detach();
        break;
      case Event::body_full:
        body_full_ = true;
        resume_waiting();
        break;
      case Event::body_done:
        body_done_ = true;
        resume_waiting();
        break;
      case Event::sent:
        sent_ = true;
        resume_waiting();
        break;
      case Event::dropped:
        over_ = true;
        tell_gone();
        break;
      case Event::ended:
        return end();
    }
  }
}

Task<void> Connection::serve() {
  {
    Exchange exchange(*this);
    auto answering = exchange.run();
    auto answered = co_await std::move(answering);
    static_cast<void>(answered);
  }
  handling_ = false;
  kick();
  co_return ok();
}

// What was lent to the link is the coroutine's again when nothing is in flight.
void Connection::tell_gone() noexcept {
  if (!over_ || gone_ || (receiving_ && !link_closed_) || (sending_ && !link_closed_)) return;
  gone_ = true;
  resume_waiting();
}

void Connection::resume_waiting() noexcept {
  if (waiting_) std::exchange(waiting_, nullptr).resume();
}

// ---- What the coroutine asks for.

std::span<char> Connection::head_memory(std::size_t bytes) {
  if (head_memory_.size() < bytes) head_memory_.resize(bytes);
  return head_memory_;
}

void Connection::receive_body(const iovec* pieces, unsigned count) {
  if (gone_ || over_ || body_done_) return;
  body_full_ = false;
  server_.take_body(pieces, count, shard_.loop().now());
  kick();
}

void Connection::respond(const http::Reply& reply) {
  if (gone_ || over_) return;
  sent_ = false;
  server_.respond(reply, shard_.loop().now());
  kick();
}

void Connection::respond_more(const iovec* pieces, unsigned count, bool last) {
  if (gone_ || over_) return;
  sent_ = false;
  server_.add_reply(pieces, count, last);
  kick();
}

void Connection::abandon() {
  server_.abandon();
  kick();
}

// ---- The link.

void Connection::receive() {
  if (receiving_) return;
  recv_.piece_count = server_.want(recv_pieces_, static_cast<unsigned>(std::size(recv_pieces_)));
  if (recv_.piece_count == 0) return;
  recv_.pieces = recv_pieces_;
  receiving_ = true;
  const Submit submitted = link_->submit(recv_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void Connection::was_received() {
  receiving_ = false;
  tell_gone();
  if (ending_) return;
  if (!recv_.result.ok) return end();
  if (recv_.result.bytes == 0)
    server_.peer_closed();
  else
    server_.received(recv_.result.bytes, shard_.loop().now());
  pump();
}

void Connection::send() {
  if (sending_) return;
  batch_.clear();
  if (!server_.gather(batch_, shard_.loop().now())) return;
  send_.pieces = batch_.pieces();
  send_.piece_count = batch_.piece_count();
  sending_ = true;
  const Submit submitted = link_->submit(send_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void Connection::was_sent() {
  sending_ = false;
  tell_gone();
  if (ending_) return;
  if (!send_.result.ok) return end();
  server_.batch_sent(shard_.loop().now());
  pump();
}

// ---- Time.

void Connection::arm() {
  const Time when = std::min(server_.deadline(), drain_deadline_);
  // An alarm that comes early looks again; most requests end long before theirs.
  if (when == Time::max() || (alarm_.armed() && alarm_.when <= when)) return;
  shard_.loop().arm(alarm_, when);
}

void Connection::on_timer() {
  if (ending_) return;
  const Time now = shard_.loop().now();
  if (now >= drain_deadline_) return end();
  server_.tick(now);
  pump();
}

// ---- The end.

void Connection::drain(Time deadline) {
  if (ending_) return;
  drain_deadline_ = deadline;
  server_.close_soon();
  pump();
}

void Connection::end() {
  if (ending_) return;
  ending_ = true;
  over_ = true;
  if (alarm_.armed()) shard_.loop().disarm(alarm_);
  link_->close(&closed_);
}

void Connection::was_closed() {
  link_closed_ = true;
  if (handling_) tell_gone();
  finish_if_idle();
}

void Connection::finish_if_idle() {
  if (link_closed_ && !handling_ && !pump_scheduled_ && !pumping_) shard_.connection_gone(*this);
}

}  // namespace netstor::s3server
