// SPDX-License-Identifier: Apache-2.0
//
// The sending half: answers wait in a list and are encoded when a batch is put together, so that one system
// call carries as many as there are.

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/proto/nvme/target_queue.h"

namespace netstor::nvme::tcp {

namespace {

// How many bytes of `pieces` from `offset` on go into `count` pieces of a batch.
std::uint64_t reach(const iovec* pieces, unsigned piece_count, std::uint64_t offset, unsigned count) {
  std::uint64_t bytes = 0;
  for (; piece_count != 0 && count != 0; ++pieces, --piece_count) {
    if (offset >= pieces->iov_len) {
      offset -= pieces->iov_len;
      continue;
    }
    bytes += pieces->iov_len - offset;
    offset = 0;
    --count;
  }
  return bytes;
}

std::uint32_t digest_of(const iovec* pieces, std::uint64_t offset, std::uint64_t bytes) {
  Crc32c crc;
  for (; bytes != 0; ++pieces) {
    if (offset >= pieces->iov_len) {
      offset -= pieces->iov_len;
      continue;
    }
    const std::uint64_t take = std::min<std::uint64_t>(pieces->iov_len - offset, bytes);
    crc.update(
        std::span(static_cast<const std::byte*>(pieces->iov_base) + offset, static_cast<std::size_t>(take)));
    bytes -= take;
    offset = 0;
  }
  return crc.value();
}

std::span<std::byte, kPduPrefixMax> prefix_room(SendBatch& batch) {
  return std::span<std::byte, kPduPrefixMax>(batch.header(), kPduPrefixMax);
}

}  // namespace

bool TargetQueue::gather(SendBatch& batch) {
  batch.clear();
  if (phase_ == Phase::ended || phase_ == Phase::abandoned) return false;
  if (control_bytes_ != 0) [[unlikely]] {
    std::copy_n(control_.begin(), control_bytes_, batch.header(control_bytes_));
    control_bytes_ = 0;
  }
  if (phase_ == Phase::terminating) return !batch.empty();
  while (!asking_.empty() && batch.room()) encode_ask(*asking_.pop(), batch);
  while (!answers_.empty() && encode_answer(*answers_.front(), batch)) {
    TargetRequest& request = *answers_.pop();
    answered(request);
    request.state = RequestState::leaving;
    leaving_.push(request);
  }
  return !batch.empty();
}

void TargetQueue::sent() {
  while (!leaving_.empty()) recycle(*leaving_.pop());
  if (phase_ == Phase::terminating && control_bytes_ == 0) phase_ = Phase::ended;
}

void TargetQueue::encode_ask(TargetRequest& request, SendBatch& batch) {
  const R2t r2t{
      .cccid = request.command.cid(), .ttag = request.slot, .r2to = 0, .r2tl = request.plan.to_controller};
  batch.commit(encode_r2t(r2t, format_, prefix_room(batch)).prefix_bytes);
  asked_bytes_ += r2t.r2tl;
  ++asked_count_;
  request.state = RequestState::transferring;
}

// False when the batch is full before the answer is complete: the next batch goes on.
bool TargetQueue::encode_answer(TargetRequest& request, SendBatch& batch) {
  if (request.send_bytes != 0 && request.status.ok()) {
    while (request.sent != request.send_bytes) {
      if (!encode_data(request, batch)) return false;
    }
    // A success without a result needs no capsule where the host does not count on SQHD (NVMe TCP
    // Transport 1.0, C2HData "SUCCESS"); encode_data() has said it then.
    if (!terms_.sq_flow_control && request.result == 0) return true;
  }
  if (!batch.room()) return false;
  const Completion completion{
      .result = request.result, .sqhd = sqhd(), .cid = request.command.cid(), .status = request.status};
  batch.commit(encode_capsule_resp(completion, format_, prefix_room(batch)).prefix_bytes);
  return true;
}

bool TargetQueue::encode_data(TargetRequest& request, SendBatch& batch) {
  if (!batch.room()) return false;
  const std::uint32_t left = request.send_bytes - request.sent;
  std::uint32_t length = left;
  if (request.piece_count != 1) [[unlikely]] {
    // Header, payload, and perhaps a digest: one PDU is in one batch. Cut at dwords.
    const unsigned free_pieces = SendBatch::kPiecesMax - batch.piece_count() - 2;
    const std::uint64_t fits = reach(request.pieces, request.piece_count, request.sent, free_pieces);
    if (fits < left) length = static_cast<std::uint32_t>(fits & ~std::uint64_t{3});
    if (length == 0) return false;
  }
  const bool last = length == left;
  const bool success = last && !terms_.sq_flow_control && request.result == 0;
  const DataPdu data{.cccid = request.command.cid(), .datao = request.sent, .datal = length};
  const PduLayout layout = encode_c2h_data(data, last, success, format_, prefix_room(batch));
  batch.commit(layout.prefix_bytes);
  const std::uint64_t placed = batch.payload(request.pieces, request.piece_count, request.sent, length);
  NETSTOR_ASSERT(placed == length);
  if (layout.data_digest) {
    encode_digest(digest_of(request.pieces, request.sent, length), batch.header(kDigestBytes));
  }
  request.sent += length;
  return true;
}

}  // namespace netstor::nvme::tcp
