// SPDX-License-Identifier: Apache-2.0
// The server's way in, and time.

#include "lib/proto/http/server.h"

#include <algorithm>
#include <utility>

#include "lib/base/assert.h"

namespace netstor::http {

namespace {
constexpr std::size_t kBufferBytes = 8 * 1024;
}

Server::Server(const ServerOptions& options, Time now)
    : buffer_(kBufferBytes, options.limits.head_bytes_max + kBufferBytes),
      reader_(options.chunked),
      now_(now),
      since_(now),
      options_(options) {}

// The body is to be received: it goes on, and there is a place for it.
bool Server::body_wanted() const {
  return phase_ == Phase::handling && !body_over_ && (has_memory_ || reader_.discarding());
}

unsigned Server::want(iovec* pieces, unsigned max) {
  NETSTOR_ASSERT(max >= 2);
  direct_offered_ = 0;
  if (closed_) return 0;
  switch (phase_) {
    case Phase::idle:
    case Phase::head:
      pieces[0] = buffer_.tail();
      return 1;
    case Phase::lingering:
      buffer_.consume(buffer_.text().size());
      pieces[0] = buffer_.tail();
      return 1;
    case Phase::handling:
      break;
    case Phase::refusing:
    case Phase::ended:
      return 0;
  }
  if (!body_wanted()) return 0;
  unsigned count = reader_.direct(pieces, max - 1, direct_offered_);
  if (const std::uint64_t room = reader_.buffer_room(direct_offered_); room != 0) {
    pieces[count] = buffer_.tail();
    pieces[count].iov_len = static_cast<std::size_t>(std::min<std::uint64_t>(pieces[count].iov_len, room));
    ++count;
  }
  return count;
}

void Server::received(std::size_t bytes, Time now) {
  now_ = now;
  if (bytes == 0) return peer_closed();
  const auto direct = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, direct_offered_));
  direct_offered_ = 0;
  if (direct != 0) reader_.arrived(direct);
  buffer_.added(bytes - direct);
  if (phase_ == Phase::idle) {
    phase_ = Phase::head;
    since_ = now;
  }
}

void Server::peer_closed() {
  closed_ = true;
  keep_ = false;
  // Whoever ends his own direction after a whole request may wait for the answer.
  const bool whole = phase_ == Phase::handling && body_over_;
  if (!whole && phase_ != Phase::refusing) phase_ = Phase::ended;
}

Server::Event Server::next() {
  for (;;) {
    if (dropped_) {
      dropped_ = false;
      return Event::dropped;
    }
    switch (phase_) {
      case Phase::idle:
      case Phase::head:
        return read_head();
      case Phase::handling:
        if (const Event event = handle(); event != Event::more) return event;
        if (phase_ == Phase::handling) return Event::more;
        break;
      case Phase::refusing:
      case Phase::lingering:
        return Event::more;
      case Phase::ended:
        return Event::ended;
    }
  }
}

Server::Event Server::read_head() {
  // Some clients end a body with a line's end too many (RFC 9112, 2.2).
  if (!skipped_ && buffer_.text().starts_with("\r\n")) {
    buffer_.consume(2);
    scanner_.reset();
    skipped_ = true;
  }
  const std::string_view text = buffer_.text();
  if (text.empty()) {
    phase_ = Phase::idle;
    return Event::more;
  }
  phase_ = Phase::head;
  switch (scanner_.scan(text, options_.limits)) {
    case HeadScanner::State::more:
      return Event::more;
    case HeadScanner::State::refused:
      head_error_ = scanner_.error();
      return refuse(head_status(head_error_));
    case HeadScanner::State::found:
      break;
  }
  const std::string_view head = buffer_.pin(scanner_.size());
  scanner_.reset();
  head_error_ = decode_request(head, request_, options_.limits);
  return head_error_ != HeadError::none ? refuse(head_status(head_error_)) : admit();
}

Server::Event Server::admit() {
  if (options_.put_needs_length && request_.method == Method::put && !request_.content_length &&
      request_.framing == Framing::none)
    return refuse(411);
  if (request_.content_length.value_or(0) > options_.body_bytes_max) return refuse(413);
  phase_ = Phase::handling;
  keep_ = keep_ && request_.keep_alive;
  reply_ = ReplyState::none;
  body_over_ = has_memory_ = full_told_ = sent_ = skipped_ = false;
  reader_.start(request_.framing, request_.content_length.value_or(0));
  // Who sends the body already does not wait. Who waits to send nothing need not be answered (RFC 9110,
  // 10.1.1), but botocore then takes the status for that of the connection's next request, too.
  const bool waits = request_.expects_continue && buffer_.text().empty();
  interim_ = waits && request_.framing == Framing::none;
  interim_owed_ = waits && !interim_;
  return Event::request;
}

Server::Event Server::handle() {
  if (sent_) {
    sent_ = false;
    return Event::sent;
  }
  if (!body_over_) {
    const Event event = read_body();
    if (event != Event::more || phase_ != Phase::handling) return event;
  }
  if (reply_ != ReplyState::done) return Event::more;
  if (!keep_)
    linger();
  else if (body_over_)
    next_request();
  return Event::more;
}

Server::Event Server::read_body() {
  std::string_view text = buffer_.text();
  const std::size_t before = text.size();
  const BodyReader::State state = reader_.step(text);
  buffer_.consume(before - text.size());
  const bool answered = reply_ != ReplyState::none;
  if (state != BodyReader::State::failed && reader_.bytes() > options_.body_bytes_max) {
    if (!answered) return refuse(413);
    keep_ = false;
    body_over_ = true;
  }
  switch (state) {
    case BodyReader::State::more:
      if (has_memory_ || reader_.discarding()) return Event::more;
      break;
    case BodyReader::State::failed:
      if (!answered) return refuse(400);
      keep_ = false;
      body_over_ = true;
      return Event::more;
    case BodyReader::State::full:
      has_memory_ = false;
      break;
    case BodyReader::State::done:
      body_over_ = true;
      has_memory_ = false;
      if (reader_.bytes() != 0) interim_ = interim_owed_ = false;
      return answered ? Event::more : Event::body_done;
  }
  return std::exchange(full_told_, true) ? Event::more : Event::body_full;
}

void Server::take_body(const iovec* pieces, unsigned count, Time now) {
  NETSTOR_ASSERT(phase_ == Phase::handling && reply_ == ReplyState::none);
  now_ = now;
  reader_.give(pieces, count);
  has_memory_ = true;
  full_told_ = false;
  if (std::exchange(interim_owed_, false)) interim_ = true;
  window_ = now;
  window_bytes_ = reader_.bytes();
}

// The next one is in the buffer already, or will come.
void Server::next_request() {
  buffer_.restart();
  scanner_.reset();
  phase_ = buffer_.text().empty() ? Phase::idle : Phase::head;
  since_ = now_;
}

void Server::linger() {
  phase_ = closed_ ? Phase::ended : Phase::lingering;
  since_ = now_;
}

void Server::close_soon() {
  keep_ = false;
  if (phase_ == Phase::idle) phase_ = Phase::ended;
}

Time Server::deadline() const {
  Time first = Time::max();
  if (in_flight_) first = std::min(first, batch_since_ + options_.send_timeout);
  if (phase_ == Phase::idle) first = std::min(first, since_ + options_.idle_timeout);
  if (phase_ == Phase::head) first = std::min(first, since_ + options_.head_timeout);
  if (phase_ == Phase::lingering) first = std::min(first, since_ + options_.linger_timeout);
  if (body_wanted()) first = std::min(first, window_ + options_.body_timeout);
  return first;
}

void Server::tick(Time now) {
  now_ = now;
  if (phase_ == Phase::ended) return;
  if (in_flight_ && now >= batch_since_ + options_.send_timeout) return abandon();
  if (phase_ == Phase::idle && now >= since_ + options_.idle_timeout) return abandon();
  if (phase_ == Phase::lingering && now >= since_ + options_.linger_timeout) return abandon();
  if (phase_ == Phase::head && now >= since_ + options_.head_timeout) refuse(408);
  if (!body_wanted() || now < window_ + options_.body_timeout) return;
  if (reader_.bytes() - window_bytes_ < options_.body_progress_bytes) {
    if (reply_ == ReplyState::none)
      refuse(408);
    else
      abandon();
    return;
  }
  window_ = now;
  window_bytes_ = reader_.bytes();
}

void Server::shrink() {
  if (phase_ == Phase::idle) buffer_.shrink();
}

}  // namespace netstor::http
