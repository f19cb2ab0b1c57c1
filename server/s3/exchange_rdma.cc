// SPDX-License-Identifier: Apache-2.0
// Payload by RDMA: sessions, tokens, and the bytes of an object into and out of the client's memory, by way
// of lent memory that the card knows.

#include "server/s3/exchange.h"

#include "lib/wire/s3/sigv4.h"
#include "server/s3/rdma_session.h"

namespace netstor::s3server {

using s3::ErrorCode;

namespace {

ErrorCode code_of_status(unsigned status) {
  switch (status) {
    case 400:
      return ErrorCode::invalid_request;
    case 403:
      return ErrorCode::access_denied;
    case 501:
      return ErrorCode::not_implemented;
    default:
      return ErrorCode::internal_error;
  }
}

}  // namespace

/// Two portions of an object: one is moved while the other is read or written.
struct Exchange::Portions {
  Lending lent[2];
  iovec pieces[2][Lending::kPiecesMax];
  RdmaTransfer transfers[2];

  void start(unsigned slot, RdmaSession& session, bool to_client, const s3::RdmaToken& token,
             std::uint64_t at, std::uint64_t bytes) {
    const unsigned count = lent[slot].first(bytes, pieces[slot]);
    transfers[slot].start(session, to_client, {.address = token.address + at, .key = token.key}, pieces[slot],
                          count);
  }
};

Error Exchange::refuse_rdma(unsigned status, std::string_view text) {
  ++shard_.counters().rdma_refused;
  refusal_.add(s3::kRdmaReplyHeader, status);
  return refusal(code_of_status(status), std::string(text));
}

Result<void> Exchange::open_rdma_session() {
  if (!shard_.offers_rdma()) return refuse_rdma(501, "There is no RDMA here.");
  NETSTOR_TRY_RETURN(const s3::RdmaOffer offer, shard_.offer_session(connection_, user_->access_key_id));
  answer_.add(s3::kRdmaSessionHeader, encode(offer));
  return ok();
}

Result<void> Exchange::examine_token() {
  const bool moves = route_.operation == Operation::get_object || route_.operation == Operation::put_object ||
                     route_.operation == Operation::upload_part;
  const auto text = fields().find(s3::kRdmaTokenHeader);
  if (!moves || !text) return ok();
  RdmaSession* const session = connection_.rdma();
  s3::RdmaToken token;
  const auto refused =
      judge_rdma_token(*text, session == nullptr ? nullptr : &session->terms(),
                       user_ == nullptr ? std::string_view() : std::string_view(user_->access_key_id),
                       shard_.loop().now(), token);
  if (refused) return refuse_rdma(refused->status, refused->text);
  const http::RequestHead& head = connection_.request();
  if (head.framing != http::Framing::none && head.content_length != std::uint64_t{0})
    return refuse_rdma(400, "A request with a token has no body.");
  if (payload_hash_ != s3::kUnsignedPayload)
    return refuse_rdma(400, "x-amz-content-sha256 has to be UNSIGNED-PAYLOAD with a token.");
  token_ = token;
  return ok();
}

// Null where nothing can be moved (any more).
RdmaSession* Exchange::rdma() {
  RdmaSession* const session = connection_.rdma();
  return session == nullptr || session->link() == nullptr ? nullptr : session;
}

Error Exchange::rdma_failed() { return refuse_rdma(500, "The RDMA transfer failed."); }

// ---- To the client.

Task<void> Exchange::push_object(store::ObjectReader reader, Plan plan) {
  if (plan.length > token_->length) co_return refuse_rdma(400, "The token names less memory than is read.");
  answer_.length = 0;
  Portions portions;
  auto pushing = push_portions(reader, plan, portions);
  Result<void> pushed = co_await std::move(pushing);
  bool moved = true;
  for (RdmaTransfer& each : portions.transfers) moved &= co_await each.moved();
  if (connection_.gone()) co_return ok();
  if (!pushed) co_return std::move(pushed).error();
  if (!moved) co_return rdma_failed();
  answer_.add(s3::kRdmaBytesHeader, plan.length);
  rdma_out_ = plan.length;
  co_return ok();
}

// While one portion is written to the client the next is read from the store.
Task<void> Exchange::push_portions(store::ObjectReader& reader, Plan plan, Portions& portions) {
  Memory& memory = shard_.memory();
  unsigned slots = 1;
  if (plan.length != 0) co_await memory.lend(memory.portion(plan.length), portions.lent[0]);
  if (const std::uint64_t first = portions.lent[0].bytes();
      first < plan.length && memory.try_lend(memory.portion(plan.length - first), portions.lent[1]))
    slots = 2;
  unsigned slot = 0;
  for (std::uint64_t at = 0; at != plan.length; slot = (slot + 1) % slots) {
    if (!co_await portions.transfers[slot].moved() || connection_.gone()) co_return ok();
    const std::uint64_t bytes = std::min(plan.length - at, portions.lent[slot].bytes());
    const unsigned count = portions.lent[slot].first(bytes, portions.pieces[slot]);
    auto reading = reader.read(plan.offset + at, portions.pieces[slot], count);
    NETSTOR_CHECK(co_await std::move(reading));
    RdmaSession* const session = rdma();
    if (session == nullptr) co_return rdma_failed();
    portions.start(slot, *session, true, *token_, at, bytes);
    at += bytes;
  }
  co_return ok();
}

// ---- From the client.

Task<void> Exchange::pull(Intake& intake, store::ObjectPut& put, std::size_t bytes_max) {
  if (token_->length > bytes_max) co_return refusal(ErrorCode::entity_too_large);
  Portions portions;
  auto pulling = pull_portions(intake, put, bytes_max, portions);
  Result<void> pulled = co_await std::move(pulling);
  // Memory that is read into is not ours to give back.
  for (RdmaTransfer& each : portions.transfers) co_await each.moved();
  if (connection_.gone()) co_return ok();
  if (!pulled) co_return std::move(pulled).error();
  rdma_in_ = token_->length;
  co_return intake.finish();
}

// While one portion goes to the store the next is read from the client.
Task<void> Exchange::pull_portions(Intake& intake, store::ObjectPut& put, std::size_t bytes_max,
                                   Portions& portions) {
  Memory& memory = shard_.memory();
  std::uint64_t asked = 0;
  std::uint64_t coming[2] = {};
  const auto ask = [&](unsigned slot) {
    RdmaSession* const session = rdma();
    if (session == nullptr) return false;
    coming[slot] = std::min(token_->length - asked, portions.lent[slot].bytes());
    portions.start(slot, *session, false, *token_, asked, coming[slot]);
    asked += coming[slot];
    return true;
  };
  co_await memory.lend(memory.portion(token_->length), portions.lent[0]);
  if (!ask(0)) co_return rdma_failed();
  unsigned slot = 0;
  for (std::uint64_t kept = 0; kept != token_->length;) {
    if (!co_await portions.transfers[slot].moved()) co_return rdma_failed();
    if (connection_.gone()) co_return ok();
    const unsigned other = 1 - slot;
    const std::uint64_t left = token_->length - asked;
    const bool overlap = left != 0 && (!portions.lent[other].empty() ||
                                       memory.try_lend(memory.portion(left), portions.lent[other]));
    if (overlap && !ask(other)) co_return rdma_failed();
    auto keeping = keep(intake, portions.lent[slot], coming[slot], &put, nullptr, bytes_max);
    NETSTOR_CHECK(co_await std::move(keeping));
    if (connection_.gone()) co_return ok();
    kept += coming[slot];
    if (overlap)
      slot = other;
    else if (left != 0 && !ask(slot))
      co_return rdma_failed();
  }
  co_return ok();
}

}  // namespace netstor::s3server
