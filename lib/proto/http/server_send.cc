// SPDX-License-Identifier: Apache-2.0
// The server's way out.

#include "lib/base/assert.h"
#include "lib/proto/http/server.h"
#include "lib/wire/http/head_writer.h"

namespace netstor::http {

namespace {
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kLastChunkBehindData = "\r\n0\r\n\r\n";
}  // namespace

// What is left of the body is worth reading for the sake of the connection.
bool Server::rest_is_short() const {
  if (reader_.framing() == Framing::none) return true;
  return !interim_owed_ && reader_.framing() == Framing::length &&
         reader_.length_left() <= options_.read_over_max;
}

bool Server::will_close() const { return !keep_ || (!body_over_ && !rest_is_short()); }

void Server::respond(const Reply& reply, Time now) {
  NETSTOR_ASSERT(phase_ == Phase::handling && reply_ == ReplyState::none);
  now_ = now;
  keep_ = !will_close();
  reply_ = ReplyState::sending;
  interim_owed_ = false;
  reply_head_ = {reinterpret_cast<const char*>(reply.head.data()), reply.head.size()};
  reply_body_ = Pieces(reply.body, reply.body_pieces);
  follows_ = reply.body_follows;
  chunked_ = reply.chunked;
  chunk_open_ = false;
  chunk_end_ = chunked_ && !follows_ && reply_body_.left() == 0 ? kLastChunk : std::string_view();
  if (body_over_) return;
  if (keep_) {
    reader_.discard();
    window_ = now;
    window_bytes_ = reader_.bytes();
  } else {
    body_over_ = true;
  }
}

void Server::add_reply(const iovec* pieces, unsigned count, bool last) {
  NETSTOR_ASSERT(reply_ == ReplyState::sending && follows_ && reply_gathered());
  reply_body_ = Pieces(pieces, count);
  follows_ = !last;
  if (!last || reply_body_.left() != 0) return;
  if (chunked_) {
    chunk_end_ = kLastChunk;
  } else {
    reply_ = ReplyState::done;
    sent_ = true;
  }
}

bool Server::gather(SendBatch& batch, Time now) {
  now_ = now;
  if (in_flight_ || phase_ == Phase::ended) return false;
  if (interim_) {
    batch.add(kContinue);
    interim_ = false;
  }
  batch.add(reply_head_);
  reply_head_ = {};
  if (chunked_)
    gather_chunk(batch);
  else
    batch.add(reply_body_);
  in_flight_ = !batch.empty();
  if (in_flight_) batch_since_ = now;
  return in_flight_;
}

void Server::gather_chunk(SendBatch& batch) {
  if (reply_body_.left() != 0) {
    if (!chunk_open_) {
      batch.add({chunk_size_, encode_chunk_size(reply_body_.left(), chunk_size_)});
      chunk_open_ = true;
      chunk_end_ = follows_ ? kChunkEnd : kLastChunkBehindData;
    }
    batch.add(reply_body_);
    if (reply_body_.left() != 0) return;
  }
  batch.add(chunk_end_);
  chunk_end_ = {};
  chunk_open_ = false;
}

void Server::batch_sent(Time now) {
  NETSTOR_ASSERT(in_flight_);
  in_flight_ = false;
  now_ = now;
  if (!reply_gathered()) return;
  if (phase_ == Phase::refusing) return linger();
  if (phase_ != Phase::handling || reply_ != ReplyState::sending) return;
  sent_ = true;
  if (!follows_) reply_ = ReplyState::done;
}

// Answers in the owner's place: the last word on this connection.
Server::Event Server::refuse(unsigned status) {
  dropped_ = phase_ == Phase::handling;
  phase_ = Phase::refusing;
  keep_ = false;
  body_over_ = true;
  refused_status_ = status;
  const bool to_head = head_error_ == HeadError::none && request_.method == Method::head;
  if (options_.refusal && !to_head) refusal_body_ = options_.refusal(status);
  HeadWriter head{std::span<char>(refusal_)};
  head.status_line(status);
  if (!refusal_body_.empty()) head.field("Content-Type", "application/xml");
  head.field("Content-Length", refusal_body_.size());
  head.field("Connection", "close");
  NETSTOR_ASSERT(head.finish());
  reply_head_ = head.text();
  refusal_piece_ = {refusal_body_.data(), refusal_body_.size()};
  reply_body_ = Pieces(&refusal_piece_, refusal_body_.empty() ? 0 : 1);
  chunk_end_ = {};
  chunked_ = interim_ = false;
  return Event::more;
}

}  // namespace netstor::http
