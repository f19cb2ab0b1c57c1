// SPDX-License-Identifier: Apache-2.0
#include "lib/object/connection.h"

#include <netstor/metrics.h>

#include "lib/base/assert.h"
#include "lib/object/pool.h"
#include "lib/wire/http/text.h"

#include <algorithm>

namespace netstor::object {
namespace {

constexpr std::size_t kHeadBytesMost = 24 * 1024;
constexpr std::size_t kTextBytesFirst = 4096;

/// Answers to who asks for a session: of credentials, of the region, of another place.
constexpr bool is_of_asker(unsigned status) {
  return status == 301 || status == 307 || status == 308 || status == 400 || status == 401 || status == 403;
}
// Of the moment.
constexpr bool is_busy(unsigned status) { return status == 429 || (status >= 500 && status != 501); }
constexpr bool says_nothing_of_rdma(unsigned status) { return is_of_asker(status) || is_busy(status); }

}  // namespace

Connection::Connection(Pool& pool) : pool_(pool), client_({.peek = !pool.endpoint().tls}) {
  connect_.user = secured_.user = send_.user = recv_.user = closed_.user = this;
  connect_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->connected(); };
  secured_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->secured(); };
  send_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->sent(); };
  recv_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->received(); };
  closed_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->link_closed(); };
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

Connection::~Connection() {
  NETSTOR_ASSERT(exchange_ == nullptr && !alarm_.armed() && (rdma_ == nullptr || rdma_->closed()));
}

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
  exchange.trace("connection", std::exchange(used_, true) ? "kept" : "new", link_->peer());
  progressed();
  if (!alarm_.armed()) pool_.loop().arm(alarm_, progress_ + pool_.options().first_byte_timeout / 2);
  if (exchange.remote.iov_len == 0 && !exchange.session_only) return send_request();
  stage_ = Stage::asking;
  if (rdma_ == nullptr) return ask_for_session();
  // With a new connection comes a session of who asks now.
  if (session_identity_ != exchange.identity())
    return fail(ErrorKind::disconnected, "the RDMA session of " + where() + " is of other credentials");
  if (rdma_->connected()) return open_memory();
  const std::string why = "the RDMA connection to " + where() + " was lost";
  // The next one wants a new connection, too.
  if (needs_session()) return fail(ErrorKind::disconnected, why);
  decline({.why = why});
}

/// Nothing: the exchange has failed.
std::span<const std::byte> Connection::head_of(void (Exchange::*write)(http::HeadWriter&)) {
  head_.resize(kHeadBytesMost);
  http::HeadWriter head(std::span<char>(head_.data(), head_.size()));
  (exchange_->*write)(head);
  if (head.finish()) return head.written();
  exchange_->outcome = Exchange::Outcome::failed;
  exchange_->kind = ErrorKind::invalid_argument;
  exchange_->why = "the request's head would be longer than " + std::to_string(kHeadBytesMost) +
                   " bytes, or a value in it has control characters";
  finish();
  return {};
}

void Connection::send_request() {
  stage_ = Stage::request;
  head_sent_ = false;
  const auto head = head_of(&Exchange::write_head);
  if (head.empty()) return;
  http::ClientRequest request{.head = head, .to_head = exchange_->to_head};
  if (exchange_->token_.empty()) {
    request.body = exchange_->body;
    request.body_pieces = exchange_->body_pieces;
    request.body_follows = exchange_->body_follows;
    if (exchange_->expects_continue) request.continue_wait = std::chrono::seconds(1);
    request.expected_body = exchange_->expected_body;
  }
  client_.begin(request);
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
  if (rdma_ != nullptr) rdma_->close();
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
  if (stage_ == Stage::request && client_.wants_body()) {
    const Exchange::BodyPart part = exchange_->next_body();
    client_.add_body(part.pieces, part.count, part.last);
  }
  batch_.clear();
  if (!client_.gather(batch_)) return;
  if (stage_ == Stage::request) exchange_->sent = true;
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
        return stage_ == Stage::asking ? asked() : finish();
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
  if (stage_ == Stage::asking) {
    offer_ = head.status == 200 ? head.fields.value(s3::kRdmaSessionHeader) : std::string_view();
    offer_status_ = head.status;
    if (!says_nothing_of_rdma(head.status) || !needs_session()) return client_.discard_body();
  }
  exchange_->status = head.status;
  if (exchange_->is_traced()) exchange_->trace("connection", "answered", std::to_string(head.status));
  if (!exchange_->token_.empty() && !take_rdma_answer(head)) return;
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
  progressed();
  // Of a CONNECT that failed the receive says more.
  if (state_ == State::tunnelling) return receive();
  if (state_ != State::busy) return;
  if (send_.result.ok) {
    client_.batch_sent(progress_);
    if (stage_ == Stage::request && exchange_->is_traced()) trace_sent();
  } else {
    client_.send_failed();
  }
  pump();
}

void Connection::trace_sent() {
  if (!std::exchange(head_sent_, true)) exchange_->trace("connection", "head sent");
  const bool has_body = exchange_->body_pieces != 0 || exchange_->body_follows;
  if (exchange_->token_.empty() && has_body && client_.sent()) exchange_->trace("connection", "body sent");
}

void Connection::received() {
  receiving_ = false;
  if (state_ == State::closing) return;
  if (state_ == State::tunnelling) return tunnel_received();
  progressed();
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
      exchange.received += client_.body_bytes();
    } else {
      exchange.text.resize(std::min<std::uint64_t>(exchange.text.size(), client_.body_bytes()));
    }
    if (client_.body_bytes() != 0) exchange.trace("connection", "body received");
  }
  // What is still being sent borrows the request's bytes: it is over when the link is.
  if (sending_ || !client_.reusable()) return close();
  if (rdma_ != nullptr && rdma_->holds_memory()) {
    stage_ = Stage::releasing;
    // The endpoint may know it no more: who comes next asks for another.
    return exchange.rdma_reply == kRdmaDeclined ? rdma_->close() : rdma_->release();
  }
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
    exchange.failure.never_sent = exchange.failure.unanswered && stage_ < Stage::request;
  }
  close();
}

void Connection::progressed() {
  progress_ = pool_.loop().now();
  acknowledged_.reset();
}

/// Of bytes that lie in the kernel only the peer's acknowledgements say that they move: of those that came in
/// the second half of the time.
bool Connection::send_goes_on() const { return acknowledged_ && link_->acknowledged_bytes() > acknowledged_; }

void Connection::check_progress() {
  if (state_ == State::tunnelling || state_ == State::securing) {
    never_ready_ = Error(ErrorKind::timed_out, "connect to " + where() + ": no " +
                                                   (state_ == State::securing ? "TLS" : "answer to CONNECT") +
                                                   " within BucketOptions::connect_timeout");
    return close();
  }
  if (state_ != State::busy) return;  // begin() arms it again
  const Time now = pool_.loop().now();
  client_.tick(now);
  const Duration limit = pool_.options().first_byte_timeout;
  if (progress_ + limit <= now && !send_goes_on())
    return fail(ErrorKind::timed_out, where() + " moved no byte for BucketOptions::first_byte_timeout");
  if (progress_ + limit <= now) progress_ = now - limit / 2;
  const Time half = progress_ + limit / 2;
  if (half <= now) acknowledged_ = link_->acknowledged_bytes();
  pool_.loop().arm(alarm_, std::min(now < half ? half : progress_ + limit, client_.deadline()));
  pump();
}

void Connection::link_closed() {
  link_closed_ = true;
  end();
}

void Connection::end() {
  // As long as the endpoint may reach it the exchange's memory is not its owner's.
  if (!link_closed_ || (rdma_ != nullptr && rdma_->holds_memory())) return;
  if (alarm_.armed()) pool_.loop().disarm(alarm_);
  if (Exchange* const exchange = std::exchange(exchange_, nullptr)) {
    exchange->connection_ = nullptr;
    pool_.answered(*exchange);
  }
  if (rdma_ != nullptr && !rdma_->closed()) return;
  pool_.ended(*this, std::move(never_ready_));
}

// ---- Payload by RDMA: a session is asked for, taken up, the exchange's memory opened to it, and then the
// request sent, which names it.

void Connection::ask_for_session() {
  exchange_->trace("rdma", "asks for a session");
  session_identity_ = exchange_->identity();
  const auto head = head_of(&Exchange::write_session_head);
  if (head.empty()) return;
  client_.begin({.head = head});
  pump();
}

void Connection::asked() {
  const auto offer = s3::decode_rdma_offer(std::exchange(offer_, {}));
  const std::string said = " (HTTP " + std::to_string(offer_status_) + " to who asks";
  // Who needs a session makes of an answer that says nothing of RDMA what any request does.
  if (says_nothing_of_rdma(offer_status_) && needs_session()) return finish();
  // By HTTP the same one comes again. Others do not ask with every request: some services have such an answer
  // for all that they do not know.
  if (is_of_asker(offer_status_))
    return decline({.why = where() + " does not say whether it offers it" + said + ")"}, true);
  if (is_busy(offer_status_))
    return decline({.why = where() + " is too busy to say whether it offers it" + said + ")"});
  if (!offer || !client_.reusable()) {
    const std::string hint = "; netstord does with --s3-listen-rdma)";
    return decline({.why = where() + " does not offer it" + said + hint}, true);
  }
  exchange_->rdma_offered = true;
  stage_ = Stage::joining;
  exchange_->trace("rdma", "connects", offer->host);
  RdmaSession::Owner& owner = *this;
  rdma_ = std::make_unique<RdmaSession>(pool_.messages(), pool_.loop(), owner, *offer, peer_host(),
                                        pool_.loop().now() + pool_.options().connect_timeout);
}

std::string Connection::peer_host() const {
  const std::string_view peer = link_->peer();
  const std::string_view host = peer.substr(0, peer.rfind(':'));
  return std::string(host.starts_with('[') ? host.substr(1, host.size() - 2) : host);
}

void Connection::rdma_connected() {
  if (rdma_->connected()) {
    exchange_->trace("rdma", "connected");
    return open_memory();
  }
  const RdmaFailure failure = rdma_->failure();
  rdma_.reset();
  decline(failure, true);
}

void Connection::open_memory() {
  progressed();
  exchange_->rdma_offered = true;  // by what it gave to an earlier one, too
  if (exchange_->session_only) {
    exchange_->status = 200;
    exchange_->outcome = Exchange::Outcome::answered;
    return finish();
  }
  stage_ = Stage::opening;
  if (exchange_->remote.iov_len > rdma_->bytes_max())
    return decline({.why = where() + " does not move so much at once"});
  if (!rdma_->open(exchange_->remote, exchange_->remote_writable, pool_.options().first_byte_timeout))
    decline({.why = "its memory could not be registered (ulimit -l; netstor info --capabilities)"});
}

void Connection::rdma_opened() {
  exchange_->trace("rdma", "opened");
  exchange_->token_ = rdma_->token();
  exchange_->first_token = rdma_->is_first_token();
  send_request();
}

void Connection::rdma_released() {
  exchange_->trace("rdma", "closed");
  finish();
}

void Connection::rdma_lost() {
  if (state_ == State::idle) return close();
  if (rdma_->holds_memory())
    return fail(ErrorKind::disconnected, "the RDMA connection to " + where() + " was lost");
  rdma_->close();  // what is under way goes by HTTP
}

void Connection::rdma_closed() {
  if (state_ == State::closing) return end();
  rdma_.reset();
  if (stage_ == Stage::releasing) rdma_released();
}

bool Connection::needs_session() const noexcept {
  return exchange_->session_only || pool_.options().rdma == RdmaUse::required;
}

void Connection::decline(const RdmaFailure& failure, bool by_endpoint) {
  Exchange& exchange = *exchange_;
  exchange.trace("rdma", "declined", failure.why);
  exchange.why = failure.why;
  exchange.origin = failure.origin;
  exchange.native = failure.native;
  if (failure.passing && needs_session()) {
    exchange.outcome = Exchange::Outcome::failed;
    exchange.rdma_missing = true;
    exchange.kind = failure.kind;
    exchange.failure = {.unanswered = true, .never_sent = true};
  } else {
    exchange.outcome = Exchange::Outcome::declined;
    if (by_endpoint && !exchange.session_only) pool_.rdma_declined(failure.why);
  }
  finish();
}

/// False: the exchange has failed.
bool Connection::take_rdma_answer(const http::ResponseHead& head) {
  exchange_->rdma_reply =
      static_cast<unsigned>(http::decode_number(head.fields.value(s3::kRdmaReplyHeader), 999).value_or(0));
  if (exchange_->rdma_reply >= 300) {
    exchange_->trace("rdma", "declined");
    exchange_->why = "it was declined (HTTP " + std::to_string(head.status) + ")";
  }
  if (head.status / 100 != 2) return true;
  const bool may_come_by_http = exchange_->remote_writable && pool_.options().rdma != RdmaUse::required;
  if (exchange_->rdma_reply == 0 && may_come_by_http) return true;
  const std::uint64_t lent = exchange_->remote.iov_len;
  const auto moved = exchange_->remote_writable
                         ? http::decode_number(head.fields.value(s3::kRdmaBytesHeader), lent)
                         : std::optional(lent);
  const bool has_body = exchange_->remote_writable && client_.body_length() != 0;
  if (exchange_->rdma_reply / 100 != 2 || !moved || has_body) {
    fail(ErrorKind::protocol, where() + " did not say what it moved by RDMA");
    return false;
  }
  exchange_->trace("rdma", "moved");
  if (exchange_->remote_writable) exchange_->received = *moved;
  ++pool_.loop().metrics().rdma_requests;
  pool_.loop().metrics().rdma_bytes += *moved;
  return true;
}

}  // namespace netstor::object
