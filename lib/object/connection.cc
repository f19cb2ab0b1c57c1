// SPDX-License-Identifier: Apache-2.0
#include "lib/object/connection.h"

#include <netstor/metrics.h>

#include "lib/base/assert.h"
#include "lib/object/pool.h"

#include <algorithm>

namespace netstor::object {
namespace {

constexpr std::size_t kHeadBytesMost = 24 * 1024;
constexpr std::size_t kTextBytesFirst = 4096;

}  // namespace

Connection::Connection(Pool& pool) : pool_(pool), client_({.peek = !pool.endpoint().tls}) {
  connect_.user = secured_.user = send_.user = recv_.user = closed_.user = this;
  connect_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->connected(); };
  secured_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->secured(); };
  send_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->sent(); };
  recv_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->received(); };
  closed_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->end(); };
  alarm_.connection = this;
  alarm_.fire = [](detail::Timer& timer) noexcept {
    static_cast<Alarm&>(timer).connection->check_progress();
  };
  const Endpoint& to = pool_.endpoint();
  connect_.address = to.proxy ? Address{.host = to.proxy->host, .port = to.proxy->port}
                              : Address{.host = to.host, .port = to.port};
  connect_.deadline = pool_.loop().now() + pool_.options().connect_timeout;
  pool_.port().connect(connect_);
}

Connection::~Connection() { NETSTOR_ASSERT(exchange_ == nullptr && !alarm_.armed()); }

void Connection::connected() {
  if (connect_.result.ok) link_ = std::move(connect_.link);
  if (state_ == State::closing || !connect_.result.ok) {
    state_ = State::closing;
    if (link_) return link_->close(&closed_);
    return pool_.ended(*this, connect_.result.error("connect to " + where()));
  }
  if (!pool_.endpoint().tls) return ready();
  pool_.loop().arm(alarm_, connect_.deadline);
  return pool_.endpoint().proxy ? ask_proxy() : secure();
}

void Connection::ask_proxy() {
  state_ = State::tunnelling;
  tunnel_ = std::make_unique<Tunnel>(pool_.endpoint());
  pieces_[0] = tunnel_->request();
  sending_ = true;
  send_.pieces = pieces_.data();
  send_.piece_count = 1;
  const Submit submitted = link_->submit(send_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void Connection::tunnel_received() {
  if (!recv_.result.ok) {
    never_ready_ = recv_.result.error("connect to " + where());
    return close();
  }
  switch (tunnel_->received(static_cast<std::size_t>(recv_.result.bytes))) {
    case Tunnel::State::more:
      return receive();
    case Tunnel::State::refused:
      never_ready_ =
          Error(tunnel_->why().kind(), "connect to " + where() + ", which " + tunnel_->why().text());
      return close();
    case Tunnel::State::open:
      tunnel_.reset();
      return secure();
  }
}

void Connection::secure() {
  state_ = State::securing;
  auto secure =
      std::make_unique<TlsLink>(pool_.loop(), pool_.loop().metrics(), std::move(link_), pool_.make_session());
  tls_ = secure.get();
  secure->start(&secured_);
  link_ = std::move(secure);
}

void Connection::secured() {
  if (state_ == State::closing) return;
  if (secured_.result.ok) return ready();
  const OpResult& why = secured_.result;
  never_ready_ = Error(why.kind, "connect to " + say(why), Effect::none, why.origin, why.native);
  close();
}

void Connection::ready() {
  state_ = State::idle;
  idle_since_ = pool_.loop().now();
  pool_.idle(*this);
}

std::string Connection::where() const {
  const Endpoint& to = pool_.endpoint();
  if (!to.proxy) return to.authority;
  return to.authority + " by way of the proxy " + to.proxy->host + ":" + std::to_string(to.proxy->port);
}

std::string Connection::say(const OpResult& result) const {
  if (tls_ != nullptr && result.origin == Origin::tls) return where() + ": " + tls_->failure();
  return result.error(where()).text();
}

void Connection::begin(Exchange& exchange) {
  NETSTOR_ASSERT(state_ == State::idle);
  state_ = State::busy;
  exchange_ = &exchange;
  exchange.connection_ = this;
  head_.resize(kHeadBytesMost);
  http::HeadWriter head(std::span<char>(head_.data(), head_.size()));
  exchange.write_head(head);
  if (!head.finish()) {
    exchange.outcome = Exchange::Outcome::failed;
    exchange.kind = ErrorKind::invalid_argument;
    exchange.why = "the request's head would be longer than " + std::to_string(kHeadBytesMost) +
                   " bytes, or a value in it has control characters";
    return finish();
  }
  client_.begin({.head = head.written(),
                 .body = exchange.body,
                 .body_pieces = exchange.body_pieces,
                 .to_head = exchange.to_head,
                 .continue_wait = exchange.expects_continue ? std::optional<Duration>(std::chrono::seconds(1))
                                                            : std::nullopt,
                 .expected_body = exchange.expected_body});
  progress_ = pool_.loop().now();
  if (!alarm_.armed()) pool_.loop().arm(alarm_, progress_ + pool_.options().first_byte_timeout);
  pump();
}

void Connection::watch() {
  if (state_ == State::idle) receive();
}

void Connection::close() {
  if (state_ == State::closing) return;
  if (state_ == State::connecting) {
    state_ = State::closing;
    return pool_.port().cancel_connect(connect_);
  }
  // It ends in a turn to come: until then none is to be begun on it.
  if (state_ == State::idle) pool_.not_idle(*this);
  state_ = State::closing;
  link_->close(&closed_);
}

void Connection::cancel() {
  if (exchange_ != nullptr && exchange_->outcome == Exchange::Outcome::pending) {
    exchange_->outcome = Exchange::Outcome::cancelled;
  }
  close();
}

void Connection::send() {
  if (sending_) return;
  batch_.clear();
  if (!client_.gather(batch_)) return;
  exchange_->sent = true;
  sending_ = true;
  send_.pieces = batch_.pieces();
  send_.piece_count = batch_.piece_count();
  const Submit submitted = link_->submit(send_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void Connection::receive() {
  if (receiving_) return;
  recv_.pieces = pieces_.data();
  if (tunnel_) {
    pieces_[0] = tunnel_->room();
    recv_.piece_count = 1;
    recv_.peek = false;
  } else {
    recv_.piece_count = client_.want(pieces_.data(), static_cast<unsigned>(pieces_.size()), recv_.peek);
  }
  if (recv_.piece_count == 0) return;
  receiving_ = true;
  const Submit submitted = link_->submit(recv_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void Connection::pump() {
  while (state_ == State::busy) {
    switch (client_.next()) {
      case http::Client::Event::more:
        send();
        return receive();
      case http::Client::Event::head:
        take_answer();
        break;
      case http::Client::Event::body_full:
        if (exchange_->into_pieces != 0 && exchange_->status / 100 == 2) {
          return fail(ErrorKind::protocol, where() + " sent more than was asked for");
        }
        if (!grow_text()) {
          return fail(ErrorKind::protocol, where() + " answered with more than " +
                                               std::to_string(exchange_->text_bytes_most) + " bytes of text");
        }
        break;
      case http::Client::Event::done:
        return finish();
      case http::Client::Event::failed: {
        const bool broken = client_.failure() == http::ClientFailure::bad_head ||
                            client_.failure() == http::ClientFailure::bad_chunk ||
                            client_.failure() == http::ClientFailure::interim_flood;
        const std::string what = client_.failure() == http::ClientFailure::bad_head
                                     ? std::string(to_string(client_.head_error()))
                                     : std::string(to_string(client_.failure()));
        return fail(broken ? ErrorKind::protocol : ErrorKind::disconnected, where() + ": " + what);
      }
    }
  }
}

void Connection::take_answer() {
  const http::ResponseHead& head = client_.response();
  exchange_->status = head.status;
  exchange_->take_head(head);
  const std::uint64_t length = client_.body_length().value_or(0);
  if (exchange_->into_pieces != 0 && head.status / 100 == 2) {
    // Compared before a byte is written: an answer longer than its place is none of what was asked for.
    if (length > exchange_->into_bytes) {
      return fail(ErrorKind::protocol, where() + " answered with " + std::to_string(length) +
                                           " bytes where " + std::to_string(exchange_->into_bytes) +
                                           " were asked for");
    }
    return client_.take_body(exchange_->into, exchange_->into_pieces);
  }
  if (length == 0 && client_.body_length().has_value()) return client_.discard_body();
  text_used_ = 0;
  exchange_->text.resize(std::clamp<std::size_t>(length, kTextBytesFirst, exchange_->text_bytes_most));
  text_piece_ = {exchange_->text.data(), exchange_->text.size()};
  client_.take_body(&text_piece_, 1);
}

bool Connection::grow_text() {
  std::string& text = exchange_->text;
  text_used_ = text.size();
  if (text_used_ >= exchange_->text_bytes_most) return false;
  text.resize(std::min(2 * text_used_, exchange_->text_bytes_most));
  text_piece_ = {text.data() + text_used_, text.size() - text_used_};
  client_.take_body(&text_piece_, 1);
  return true;
}

void Connection::sent() {
  sending_ = false;
  progress_ = pool_.loop().now();
  // Of a CONNECT that failed the receive says more.
  if (state_ == State::tunnelling) return receive();
  if (state_ != State::busy) return;
  if (send_.result.ok) {
    client_.batch_sent(progress_);
  } else {
    client_.send_failed();
  }
  pump();
}

void Connection::received() {
  receiving_ = false;
  if (state_ == State::closing) return;
  if (state_ == State::tunnelling) return tunnel_received();
  progress_ = pool_.loop().now();
  if (state_ == State::idle) return close();  // the end of the stream, or bytes that nobody asked for
  if (!recv_.result.ok) {
    const OpResult& why = recv_.result;
    return fail(why.origin == Origin::tls ? why.kind : ErrorKind::disconnected, say(why), why.origin,
                why.native);
  }
  if (recv_.result.bytes == 0) {
    client_.peer_closed();
  } else {
    client_.received(static_cast<std::size_t>(recv_.result.bytes));
  }
  // Over TLS the link has counted them.
  if (const std::uint64_t copied = client_.copied_bytes(); copied != copied_bytes_) {
    if (exchange_->into_pieces != 0 && tls_ == nullptr)
      pool_.loop().metrics().copied_bytes += copied - copied_bytes_;
    copied_bytes_ = copied;
  }
  pump();
}

void Connection::finish() {
  Exchange& exchange = *exchange_;
  if (exchange.outcome == Exchange::Outcome::pending) {
    exchange.outcome = Exchange::Outcome::answered;
    const bool direct = exchange.into_pieces != 0 && exchange.status / 100 == 2;
    if (direct) {
      exchange.received = client_.body_bytes();
    } else {
      exchange.text.resize(std::min<std::uint64_t>(exchange.text.size(), client_.body_bytes()));
    }
  }
  // What is still being sent borrows the request's bytes: it is over when the link is.
  if (sending_ || !client_.reusable()) return close();
  exchange_ = nullptr;  // the alarm stays, and looks again when it fires
  exchange.connection_ = nullptr;
  state_ = State::idle;
  idle_since_ = pool_.loop().now();
  pool_.answered(exchange);
  pool_.idle(*this);
}

void Connection::fail(ErrorKind kind, std::string why, Origin origin, std::int32_t native) {
  Exchange& exchange = *exchange_;
  if (exchange.outcome == Exchange::Outcome::pending) {
    exchange.outcome = Exchange::Outcome::failed;
    exchange.kind = kind;
    exchange.why = std::move(why);
    exchange.origin = origin;
    exchange.native = native;
    exchange.failure.unanswered = kind == ErrorKind::disconnected || kind == ErrorKind::timed_out;
  }
  close();
}

void Connection::check_progress() {
  if (state_ == State::tunnelling || state_ == State::securing) {
    never_ready_ = Error(ErrorKind::timed_out, "connect to " + where() + ": no " +
                                                   (state_ == State::securing ? "TLS" : "answer to CONNECT") +
                                                   " within BucketOptions::connect_timeout");
    return close();
  }
  if (state_ != State::busy) return;  // begin() arms it again
  client_.tick(pool_.loop().now());
  const Duration limit = pool_.options().first_byte_timeout;
  const Time due = progress_ + limit;
  if (due <= pool_.loop().now()) {
    return fail(ErrorKind::timed_out, where() + " moved no byte for BucketOptions::first_byte_timeout");
  }
  pool_.loop().arm(alarm_, std::min(due, client_.deadline()));
  pump();
}

void Connection::end() {
  if (alarm_.armed()) pool_.loop().disarm(alarm_);
  if (Exchange* const exchange = std::exchange(exchange_, nullptr)) {
    exchange->connection_ = nullptr;
    pool_.answered(*exchange);
  }
  pool_.ended(*this, std::move(never_ready_));
}

}  // namespace netstor::object
