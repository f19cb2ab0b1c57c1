// SPDX-License-Identifier: Apache-2.0
// The client's way in.

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/proto/http/client.h"

namespace netstor::http {

unsigned Client::want(iovec* pieces, unsigned max, bool& peek) {
  NETSTOR_ASSERT(max >= 3);
  peek = false;
  receive_ = Receive::plain;
  direct_offered_ = owed_offered_ = 0;
  if (phase_ == Phase::failed || closed_ || (whole_ && owed_ == 0)) return 0;
  if (phase_ == Phase::idle && peek_) {
    // Nothing but the end may come, and the first bytes of the next answer must not.
    pieces[0] = {.iov_base = &probe_, .iov_len = 1};
    receive_ = Receive::probe;
    peek = true;
    return 1;
  }
  if (phase_ == Phase::idle) buffer_.restart();
  unsigned count = 0;
  if (owed_ != 0) {
    // What is known already is received once more, to nowhere.
    pieces[0] = buffer_.tail();
    pieces[0].iov_len = owed_offered_ = std::min(pieces[0].iov_len, owed_);
    if (owed_offered_ < owed_ || phase_ != Phase::body) return 1;
    count = 1;
  }
  if (phase_ != Phase::body) {
    pieces[0] = buffer_.tail();
    if (phase_ == Phase::head && looks_ahead()) {
      receive_ = Receive::peek;
      peek = true;
    }
    return 1;
  }
  count += reader_.direct(pieces + count, max - count - 1, direct_offered_);
  const std::uint64_t room = owed_ != 0 ? 0 : reader_.buffer_room(direct_offered_);
  if (room != 0) {
    pieces[count] = buffer_.tail();
    pieces[count].iov_len = static_cast<std::size_t>(std::min<std::uint64_t>(pieces[count].iov_len, room));
    ++count;
  }
  return count;
}

void Client::received(std::size_t bytes) {
  if (bytes == 0) return peer_closed();
  if (receive_ == Receive::probe) {
    if (phase_ == Phase::idle) fail(ClientFailure::unsolicited);
    answered_ = true;
    return;
  }
  if (phase_ == Phase::idle) {
    fail(ClientFailure::unsolicited);
    return;
  }
  answered_ = true;
  if (receive_ == Receive::peek) {
    peeked_ = bytes;
    return buffer_.added(bytes);
  }
  const std::size_t owed = std::min(bytes, owed_offered_);
  owed_ -= owed;
  const std::size_t direct = static_cast<std::size_t>(std::min<std::uint64_t>(bytes - owed, direct_offered_));
  if (direct != 0) reader_.arrived(direct);
  buffer_.added(bytes - owed - direct);
  owed_offered_ = 0;
  direct_offered_ = 0;
}

void Client::peer_closed() {
  closed_ = true;
  keep_ = false;
}

Client::Event Client::next() {
  switch (phase_) {
    case Phase::idle:
      return closed_ ? fail(ClientFailure::closed_unanswered) : Event::more;
    case Phase::head:
      return read_head();
    case Phase::body:
      return read_body();
    case Phase::failed:
      break;
  }
  return Event::failed;
}

Client::Event Client::fail(ClientFailure failure, HeadError error) {
  phase_ = Phase::failed;
  failure_ = failure;
  head_error_ = error;
  keep_ = false;
  return Event::failed;
}

Client::Event Client::read_head() {
  for (;;) {
    const std::string_view text = buffer_.text();
    HeadScanner::State state = HeadScanner::State::more;
    // Bytes that are owed have been scanned.
    if (!text.empty() && owed_ == 0) state = scanner_.scan(text, options_.limits);
    if (state == HeadScanner::State::refused) return fail(ClientFailure::bad_head, scanner_.error());
    if (peeked_ != 0) {
      // What is behind the head stays in the stream.
      const std::size_t behind = state == HeadScanner::State::found ? text.size() - scanner_.size() : 0;
      buffer_.drop_last(behind);
      owed_ = peeked_ - behind;
      peeked_ = 0;
    }
    if (state == HeadScanner::State::more) {
      if (!closed_) return Event::more;
      return fail(answered_ ? ClientFailure::closed_in_head : ClientFailure::closed_unanswered);
    }
    const std::string_view head = buffer_.pin(scanner_.size());
    scanner_.reset();
    const HeadError error = decode_response(head, to_head_, response_, options_.limits);
    if (error != HeadError::none) return fail(ClientFailure::bad_head, error);
    if (response_.status >= 200) break;
    // Nobody asked to switch protocols; what would follow is no HTTP.
    if (response_.status == 101) return fail(ClientFailure::bad_head, HeadError::start_line);
    if (++interims_ > options_.interim_max) return fail(ClientFailure::interim_flood);
    if (response_.status == 100) body_may_go();
    buffer_.restart();
  }
  if (!fully_gathered()) {
    stopped_ = true;
    keep_ = false;
    continue_deadline_ = Time::max();
  }
  keep_ = keep_ && response_.keep_alive && response_.framing != Framing::until_close;
  reader_.start(response_.framing, response_.content_length.value_or(0));
  phase_ = Phase::body;
  return Event::head;
}

Client::Event Client::read_body() {
  for (;;) {
    std::string_view text = buffer_.text();
    const std::size_t before = text.size();
    const BodyReader::State state = reader_.step(text);
    buffer_.consume(before - text.size());
    if (collecting_ && !reader_.discarding()) collected_bytes_ = static_cast<std::size_t>(reader_.bytes());
    switch (state) {
      case BodyReader::State::more:
        if (!closed_) return Event::more;
        if (reader_.framing() != Framing::until_close) return fail(ClientFailure::closed_in_body);
        reader_.closed();
        break;
      case BodyReader::State::full:
        if (!collecting_) return Event::body_full;
        truncated_ = true;
        reader_.discard();
        break;
      case BodyReader::State::failed:
        return fail(ClientFailure::bad_chunk);
      case BodyReader::State::done:
        return finish();
    }
  }
}

Client::Event Client::finish() {
  // Bytes behind the answer: whatever they are, they are no answer to what is asked next.
  if (!buffer_.text().empty()) keep_ = false;
  whole_ = keep_ && (owed_ != 0 || in_flight_);
  if (whole_) return Event::more;
  phase_ = Phase::idle;
  return Event::done;
}

std::optional<std::uint64_t> Client::body_length() const {
  if (response_.framing == Framing::none) return 0;
  return response_.framing == Framing::length ? response_.content_length : std::nullopt;
}

void Client::collect_body() {
  if (!collected_) collected_ = std::make_unique_for_overwrite<char[]>(options_.collect_max);
  collect_piece_ = {.iov_base = collected_.get(), .iov_len = options_.collect_max};
  collecting_ = true;
  reader_.give(&collect_piece_, 1);
}

std::string_view Client::trailers() const {
  return response_.framing == Framing::chunked ? reader_.trailers() : std::string_view();
}

}  // namespace netstor::http
