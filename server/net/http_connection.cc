// SPDX-License-Identifier: Apache-2.0

#include "server/net/http_connection.h"

#include <algorithm>

#include "lib/base/assert.h"

namespace netstor::net {

HttpConnection::HttpConnection(PortContext& context, const http::ServerOptions& options,
                               std::unique_ptr<Link> link)
    : context_(context), link_(std::move(link)), server_(options, context.loop().now()) {
  send_.user = recv_.user = closed_.user = this;
  send_.complete = [](Op& op) noexcept { static_cast<HttpConnection*>(op.user)->was_sent(); };
  recv_.complete = [](Op& op) noexcept { static_cast<HttpConnection*>(op.user)->was_received(); };
  closed_.complete = [](Op& op) noexcept { static_cast<HttpConnection*>(op.user)->was_closed(); };
  pump_task_.connection = this;
  pump_task_.run = [](detail::Runnable& self) noexcept {
    HttpConnection& connection = *static_cast<Self&>(self).connection;
    connection.pump_scheduled_ = false;
    connection.pump();
  };
  alarm_.connection = this;
  alarm_.fire = [](detail::Timer& self) noexcept { static_cast<SelfTimer&>(self).connection->on_timer(); };
}

HttpConnection::~HttpConnection() { NETSTOR_ASSERT(link_closed_ && !handling_ && !pump_scheduled_); }

void HttpConnection::start() { pump(); }

// ---- The machine's turn: events, then what it wants to receive and to send.

void HttpConnection::kick() noexcept {
  if (pumping_ || pump_scheduled_) return;
  pump_scheduled_ = true;
  context_.loop().push(pump_task_);
}

void HttpConnection::pump() {
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

void HttpConnection::handle_events() {
  using Event = http::Server::Event;
  while (!ending_) {
    switch (server_.next()) {
      case Event::more:
        return;
      case Event::request:
        NETSTOR_ASSERT(!handling_);
        handling_ = true;
        over_ = gone_ = body_full_ = body_done_ = sent_ = false;
        body_counted_ = 0;
        spawn(serve()).detach();
        break;
      case Event::body_full:
        body_full_ = true;
        count_body();
        resume_waiting();
        break;
      case Event::body_done:
        body_done_ = true;
        count_body();
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

void HttpConnection::count_body() {
  bytes_in_ += server_.body_bytes() - std::exchange(body_counted_, server_.body_bytes());
  context_.metrics().copied_bytes +=
      server_.copied_bytes() - std::exchange(copied_bytes_, server_.copied_bytes());
}

Task<void> HttpConnection::serve() {
  auto answering = answer();
  auto answered = co_await std::move(answering);
  static_cast<void>(answered);
  handling_ = false;
  kick();
  co_return ok();
}

// What was lent to the link is the coroutine's again when nothing is in flight.
void HttpConnection::tell_gone() noexcept {
  if (!over_ || gone_ || (receiving_ && !link_closed_) || (sending_ && !link_closed_)) return;
  gone_ = true;
  resume_waiting();
}

void HttpConnection::resume_waiting() noexcept {
  if (waiting_) std::exchange(waiting_, nullptr).resume();
}

// ---- What the coroutine asks for.

std::span<char> HttpConnection::head_memory(std::size_t bytes) {
  if (head_memory_.size() < bytes) head_memory_.resize(bytes);
  return head_memory_;
}

void HttpConnection::receive_body(const iovec* pieces, unsigned count) {
  if (gone_ || over_ || body_done_) return;
  body_full_ = false;
  server_.take_body(pieces, count, context_.loop().now());
  kick();
}

void HttpConnection::respond(const http::Reply& reply) {
  if (gone_ || over_) return;
  sent_ = false;
  for (unsigned i = 0; i < reply.body_pieces; ++i) bytes_out_ += reply.body[i].iov_len;
  server_.respond(reply, context_.loop().now());
  kick();
}

void HttpConnection::respond_more(const iovec* pieces, unsigned count, bool last) {
  if (gone_ || over_) return;
  sent_ = false;
  for (unsigned i = 0; i < count; ++i) bytes_out_ += pieces[i].iov_len;
  server_.add_reply(pieces, count, last);
  kick();
}

void HttpConnection::abandon() {
  server_.abandon();
  kick();
}

// ---- The link.

void HttpConnection::receive() {
  if (receiving_) return;
  recv_.piece_count = server_.want(recv_pieces_, static_cast<unsigned>(std::size(recv_pieces_)));
  if (recv_.piece_count == 0) return;
  recv_.pieces = recv_pieces_;
  receiving_ = true;
  const Submit submitted = link_->submit(recv_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void HttpConnection::was_received() {
  receiving_ = false;
  tell_gone();
  if (ending_) return;
  if (!recv_.result.ok) return end();
  if (recv_.result.bytes == 0)
    server_.peer_closed();
  else
    server_.received(recv_.result.bytes, context_.loop().now());
  pump();
}

void HttpConnection::send() {
  if (sending_) return;
  batch_.clear();
  if (!server_.gather(batch_, context_.loop().now())) return;
  send_.pieces = batch_.pieces();
  send_.piece_count = batch_.piece_count();
  sending_ = true;
  const Submit submitted = link_->submit(send_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void HttpConnection::was_sent() {
  sending_ = false;
  tell_gone();
  if (ending_) return;
  if (!send_.result.ok) return end();
  server_.batch_sent(context_.loop().now());
  pump();
}

// ---- Time.

void HttpConnection::arm() {
  const Time when = std::min(server_.deadline(), drain_deadline_);
  // An alarm that comes early looks again; most requests end long before theirs.
  if (when == Time::max() || (alarm_.armed() && alarm_.when <= when)) return;
  context_.loop().arm(alarm_, when);
}

void HttpConnection::on_timer() {
  if (ending_) return;
  const Time now = context_.loop().now();
  if (now >= drain_deadline_) return end();
  server_.tick(now);
  pump();
}

// ---- The end.

void HttpConnection::drain(Time deadline) {
  if (ending_) return;
  drain_deadline_ = deadline;
  server_.close_soon();
  pump();
}

void HttpConnection::end() {
  if (ending_) return;
  ending_ = true;
  over_ = true;
  if (alarm_.armed()) context_.loop().disarm(alarm_);
  link_->close(&closed_);
  ends();
}

void HttpConnection::was_closed() {
  link_closed_ = true;
  if (handling_) tell_gone();
  finish_if_idle();
}

void HttpConnection::finish_if_idle() {
  if (link_closed_ && !handling_ && !pump_scheduled_ && !pumping_) over();
}

}  // namespace netstor::net
