// SPDX-License-Identifier: Apache-2.0
//
// HostQueue's way out: what is to be sent is encoded into the batch at the last moment, capsules before
// data, so that new commands do not wait behind the data of old ones.

#include "lib/proto/nvme/host_queue.h"

#include <utility>

namespace netstor::nvme::tcp {

namespace {

std::span<std::byte, kPduPrefixMax> prefix_of(SendBatch& batch) {
  static_assert(SendBatch::kPrefixMax >= kPduPrefixMax);
  static_assert(SendBatch::kTrailerMax >= kDigestBytes);
  return std::span<std::byte, kPduPrefixMax>(batch.header(), kPduPrefixMax);
}

}  // namespace

void HostQueue::gather(SendBatch& batch) {
  if (stage_ != Stage::ready) {
    if (!std::exchange(speak_, false)) return;
    if (stage_ == Stage::broken) return send_term_req(batch);
    encode(
        IcReq{.header_digest = want_header_digest_, .data_digest = want_data_digest_, .maxr2t = kR2tMax - 1},
        std::span<std::byte, kIcBytes>(batch.header(), kIcBytes));
    batch.commit(kIcBytes);
    stage_ = Stage::initializing;
    return;
  }
  if (open_.left != 0) go_on_with_payload(batch);
  if (open_.left != 0) return;
  while (command_count_ != 0 && batch.room() && flow_.room()) {
    const std::uint16_t index = commands_[command_head_ & ring_mask_];
    ++command_head_;
    --command_count_;
    if (slots_[index].state == SlotState::withdrawn) {
      free_slot(index);
      continue;
    }
    send_command(batch, index);
    if (open_.left != 0) return;
  }
  while (data_count_ != 0 && batch.room()) {
    const std::uint16_t index = data_[data_head_ & ring_mask_];
    ++data_head_;
    --data_count_;
    slots_[index].in_data_ring = false;
    send_data(batch, index);
    if (open_.left != 0) return;
  }
}

void HostQueue::send_command(SendBatch& batch, std::uint16_t index) {
  Slot& slot = slots_[index];
  Command& sqe = slot.request->sqe;
  slot.state = SlotState::sent;
  sqe.set_cid(slot.cid);
  std::uint32_t in_capsule = 0;
  if (slot.transfer == Transfer::to_controller) {
    const std::uint32_t fits = sqe.is_fabrics() ? kFabricsInCapsuleMax : in_capsule_max_;
    if (slot.length <= fits) in_capsule = slot.length;
  }
  sqe.set_sgl(in_capsule != 0 ? in_capsule_data(0, in_capsule) : transport_data_block(slot.length));
  const PduLayout layout = encode_capsule_cmd(sqe, in_capsule, format_, prefix_of(batch));
  batch.commit(layout.prefix_bytes);
  flow_.sent();
  if (in_capsule != 0) {
    // No R2T may ask for it again.
    slot.coverage.add(0, in_capsule);
    start_payload(batch, index, 0, layout);
  } else if (slot.cancel_wanted) {
    // The second half of a fused pair that was cancelled when the first had gone: batch_sent() sees to it.
    put_in_batch(index);
  }
}

// One PDU for the oldest R2T of the slot; the slot goes to the end of the ring while there is more. The
// R2Ts of one command are answered in the order in which they came.
void HostQueue::send_data(SendBatch& batch, std::uint16_t index) {
  Slot& slot = slots_[index];
  R2tEntry& r2t = slot.r2ts[slot.r2t_head];
  const std::uint32_t length = std::min(r2t.left, data_pdu_max_);
  const bool last = length == r2t.left;
  const DataPdu data{.cccid = slot.cid, .ttag = r2t.ttag, .datao = r2t.offset, .datal = length};
  const PduLayout layout = encode_h2c_data(data, last, format_, prefix_of(batch));
  batch.commit(layout.prefix_bytes);
  r2t.offset += length;
  r2t.left -= length;
  if (last) {
    slot.r2t_head = static_cast<std::uint8_t>((slot.r2t_head + 1) % kR2tMax);
    --slot.r2t_count;
  }
  if (slot.r2t_count != 0) push_data(index);
  start_payload(batch, index, data.datao, layout);
}

void HostQueue::start_payload(SendBatch& batch, std::uint16_t index, std::uint32_t offset,
                              const PduLayout& layout) {
  open_ = {.slot = index,
           .digest = layout.data_digest,
           .offset = offset,
           .length = layout.data_bytes,
           .left = layout.data_bytes};
  go_on_with_payload(batch);
}

void HostQueue::go_on_with_payload(SendBatch& batch) {
  const Slot& slot = slots_[open_.slot];
  put_in_batch(open_.slot);
  const std::uint32_t from = open_.offset + (open_.length - open_.left);
  open_.left -= static_cast<std::uint32_t>(batch.payload(slot.pieces, slot.piece_count, from, open_.left));
  if (open_.left != 0) return;
  slots_[open_.slot].data_sent += open_.length;
  if (open_.digest) {
    Crc32c crc;
    std::uint64_t skip = open_.offset;
    std::uint64_t left = open_.length;
    for (const iovec* piece = slot.pieces; left != 0; ++piece) {
      if (skip >= piece->iov_len) {
        skip -= piece->iov_len;
        continue;
      }
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(piece->iov_len - skip, left));
      crc.update(std::span<const std::byte>(static_cast<const std::byte*>(piece->iov_base) + skip, take));
      left -= take;
      skip = 0;
    }
    encode_digest(crc.value(), batch.header(kDigestBytes));
  }
  open_ = {};
}

void HostQueue::put_in_batch(std::uint16_t index) {
  Slot& slot = slots_[index];
  if (slot.in_batch) return;
  slot.in_batch = true;
  slot.batch_next = batch_first_;
  batch_first_ = index;
}

void HostQueue::send_term_req(SendBatch& batch) {
  const std::size_t size = encode_term_req(
      Direction::host_to_controller, TermReq{.error = fault_->error}, receiver_.offending(),
      std::span<std::byte, kTermReqBytes + kTermReqDataMax>(batch.header(), kTermReqBytes + kTermReqDataMax));
  batch.commit(size);
}

void HostQueue::batch_sent() {
  while (batch_first_ != kNoSlot) {
    const std::uint16_t index = batch_first_;
    batch_first_ = slots_[index].batch_next;
    slots_[index].batch_next = kNoSlot;
    slots_[index].in_batch = false;
    settle(index);
  }
}

}  // namespace netstor::nvme::tcp
