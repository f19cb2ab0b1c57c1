// SPDX-License-Identifier: Apache-2.0
// The client's way out, and what is not about receiving.

#include "lib/proto/http/client.h"

#include "lib/base/assert.h"

namespace netstor::http {

namespace {
// A small body and the head in front of it.
constexpr std::size_t kBufferBytes = Client::kSmallBody + 4 * 1024;
constexpr std::string_view kLastChunkBehindData = "\r\n0\r\n\r\n";
}  // namespace

Client::Client(const ClientOptions& options)
    : peek_(options.peek),
      buffer_(kBufferBytes, options.limits.head_bytes_max + kBufferBytes),
      reader_(options.chunked),
      options_(options) {}

void Client::begin(const ClientRequest& request) {
  NETSTOR_ASSERT(reusable());
  buffer_.restart();
  scanner_.reset();
  phase_ = Phase::head;
  head_ = {reinterpret_cast<const char*>(request.head.data()), request.head.size()};
  body_ = Pieces(request.body, request.body_pieces);
  follows_ = request.body_follows;
  chunked_ = request.chunked;
  chunk_open_ = false;
  chunk_end_ = chunked_ && !follows_ && body_.left() == 0 ? kLastChunk : std::string_view();
  waits_ = request.continue_wait.has_value();
  continue_wait_ = request.continue_wait.value_or(Duration::zero());
  continue_deadline_ = Time::max();
  to_head_ = request.to_head;
  expected_body_ = request.expected_body;
  stopped_ = answered_ = whole_ = truncated_ = collecting_ = false;
  collected_bytes_ = 0;
  interims_ = 0;
  reader_.start(Framing::none, 0);
}

void Client::add_body(const iovec* pieces, unsigned count, bool last) {
  NETSTOR_ASSERT(wants_body());
  body_ = Pieces(pieces, count);
  follows_ = !last;
  if (chunked_ && last && body_.left() == 0) chunk_end_ = kLastChunk;
}

bool Client::gather(SendBatch& batch) {
  if (in_flight_ || stopped_ || phase_ == Phase::idle || phase_ == Phase::failed) return false;
  batch.add(head_);
  head_ = {};
  if (!waits_) {
    if (chunked_)
      gather_chunk(batch);
    else
      batch.add(body_);
  }
  in_flight_ = !batch.empty();
  return in_flight_;
}

// All that is given at once is one chunk, however many batches it takes.
void Client::gather_chunk(SendBatch& batch) {
  if (body_.left() != 0) {
    if (!chunk_open_) {
      batch.add({chunk_size_, encode_chunk_size(body_.left(), chunk_size_)});
      chunk_open_ = true;
      chunk_end_ = follows_ ? kChunkEnd : kLastChunkBehindData;
    }
    batch.add(body_);
    if (body_.left() != 0) return;
  }
  batch.add(chunk_end_);
  chunk_end_ = {};
  chunk_open_ = false;
}

void Client::batch_sent(Time now) {
  NETSTOR_ASSERT(in_flight_);
  in_flight_ = false;
  if (waits_ && continue_deadline_ == Time::max()) continue_deadline_ = now + continue_wait_;
}

void Client::send_failed() {
  in_flight_ = false;
  stopped_ = true;
  keep_ = false;
}

void Client::tick(Time now) {
  if (now >= continue_deadline_) body_may_go();
}

void Client::body_may_go() {
  waits_ = false;
  continue_deadline_ = Time::max();
}

void Client::shrink() {
  if (!idle()) return;
  buffer_.restart();
  buffer_.shrink();
  collected_.reset();
  collected_bytes_ = 0;
}

std::string_view to_string(ClientFailure failure) noexcept {
  switch (failure) {
    case ClientFailure::none:
      return "no failure";
    case ClientFailure::closed_unanswered:
      return "the server closed the connection without an answer";
    case ClientFailure::closed_in_head:
      return "the server closed the connection inside an answer's head";
    case ClientFailure::closed_in_body:
      return "the server closed the connection inside an answer's body";
    case ClientFailure::bad_head:
      return "malformed answer";
    case ClientFailure::bad_chunk:
      return "malformed chunk";
    case ClientFailure::unsolicited:
      return "the server sent what nobody asked for";
    case ClientFailure::interim_flood:
      return "too many interim answers";
  }
  return "unknown failure";
}

}  // namespace netstor::http
