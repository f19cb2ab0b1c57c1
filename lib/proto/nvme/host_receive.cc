// SPDX-License-Identifier: Apache-2.0
//
// HostQueue's way in: what each PDU of the controller may say, and when. Everything else ends the
// connection, with the field that was wrong (NVMe TCP Transport 1.0, "Error Handling").

#include "lib/proto/nvme/host_queue.h"

namespace netstor::nvme::tcp {

namespace {

// Offsets in the PDU headers, for the TermReq.
constexpr std::uint32_t kOffsetDigests = 11;
constexpr std::uint32_t kOffsetCccid = 8;
constexpr std::uint32_t kOffsetResponseCid = 20;

constexpr PduError wrong_field(std::uint32_t offset) {
  return {.fes = Fes::invalid_pdu_header_field, .fei = offset};
}
constexpr PduError kOutOfSequence{.fes = Fes::pdu_sequence_error, .fei = 0};
constexpr PduError kOutOfRange{.fes = Fes::data_transfer_out_of_range, .fei = 0};
constexpr PduError kLimitExceeded{.fes = Fes::limit_exceeded, .fei = 0};

}  // namespace

unsigned HostQueue::want(iovec* pieces, unsigned max) {
  // With nothing outstanding, what comes next is likely to be of the kind that came last.
  const bool large = large_reads_ != 0 || (outstanding() == 0 && last_read_large_);
  return receiver_.want(pieces, max, large ? OverRead::exact : OverRead::greedy);
}

bool HostQueue::received(std::size_t count) {
  if (stage_ == Stage::broken) return false;
  if (const auto error = receiver_.received(count, *this)) {
    if (!fault_) fault_ = HostFault{.kind = HostFault::Kind::protocol, .error = *error};
  }
  if (!fault_) return stage_ != Stage::broken;
  stage_ = Stage::broken;
  // A TermReq is itself not answered, and nothing can follow a PDU that was begun and not ended.
  speak_ = fault_->kind == HostFault::Kind::protocol && open_.left == 0;
  return false;
}

std::optional<PduError> HostQueue::on_header(const Pdu& pdu, Placement& placement) {
  if (stage_ == Stage::ready) [[likely]] {
    if (pdu.header.type == PduType::c2h_data) return on_c2h_header(pdu, placement);
    if (pdu.header.type == PduType::ic_resp) return kOutOfSequence;
    return std::nullopt;
  }
  // "Initialize Connection": nothing but the ICResp may be first, and it answers an ICReq.
  const bool expected = stage_ == Stage::initializing && pdu.header.type == PduType::ic_resp;
  if (!expected && pdu.header.type != PduType::c2h_term_req) return kOutOfSequence;
  return std::nullopt;
}

std::optional<PduError> HostQueue::on_pdu(const Pdu& pdu, std::span<const std::byte>, bool digest_ok) {
  switch (pdu.header.type) {
    case PduType::c2h_data:
      return on_c2h_data(pdu, digest_ok);
    case PduType::capsule_resp:
      return on_response(decode_capsule_resp(pdu.head<kCapsuleRespBytes>()));
    case PduType::r2t:
      return on_r2t(decode_r2t(pdu.head<kR2tBytes>()));
    case PduType::ic_resp:
      return on_ic_resp(decode_ic_resp(pdu.head<kIcBytes>()));
    case PduType::c2h_term_req:
      fault_ = HostFault{.kind = HostFault::Kind::terminated,
                         .error = decode_term_req(pdu.head<kTermReqBytes>()).error};
      receiver_.stop();
      return std::nullopt;
    default:
      return kOutOfSequence;
  }
}

std::optional<PduError> HostQueue::on_ic_resp(const IcResp& response) {
  if (auto error = check(response)) return error;
  // The controller may refuse a digest, but not bring one up.
  if ((response.header_digest && !want_header_digest_) || (response.data_digest && !want_data_digest_)) {
    return wrong_field(kOffsetDigests);
  }
  format_ = {
      .header_digest = response.header_digest, .data_digest = response.data_digest, .pda = response.cpda};
  receiver_.set_rules({.header_digest = response.header_digest, .data_digest = response.data_digest});
  // Where payload is digested, what an R2T asks for goes in one PDU: Linux's target holds each PDU's digest
  // against the whole command's data.
  data_pdu_max_ = response.data_digest ? response.maxh2cdata : std::min(response.maxh2cdata, kDataPduMax);
  stage_ = Stage::ready;
  return std::nullopt;
}

std::optional<PduError> HostQueue::on_c2h_header(const Pdu& pdu, Placement& placement) {
  const DataPdu data = decode_data(pdu.head<kDataBytes>());
  if (auto error = check(pdu.header, data)) return error;
  const std::uint16_t index = find(data.cccid);
  if (index == kNoSlot) return wrong_field(kOffsetCccid);
  Slot& slot = slots_[index];
  if (slot.transfer != Transfer::from_controller || slot.last_seen) return kOutOfSequence;
  if (data.datao + data.datal > slot.length) return kOutOfRange;
  switch (slot.coverage.add(data.datao, data.datal)) {
    case Coverage::Added::fine:
      break;
    case Coverage::Added::overlap:
      return kOutOfRange;
    case Coverage::Added::scattered:
      return kLimitExceeded;
  }
  slot.last_seen = pdu.header.last();
  if (slot.request == nullptr) return std::nullopt;  // cancelled: discarded
  receiving_ = index;
  placement = {.kind = Placement::Kind::memory,
               .pieces = slot.pieces,
               .piece_count = slot.piece_count,
               .offset = data.datao};
  return std::nullopt;
}

std::optional<PduError> HostQueue::on_c2h_data(const Pdu& pdu, bool digest_ok) {
  receiving_ = kNoSlot;
  const std::uint16_t index = find(decode_data(pdu.head<kDataBytes>()).cccid);
  Slot& slot = slots_[index];
  if (!digest_ok) slot.digest_failed = true;
  if (pdu.header.success()) {
    // SUCCESS stands for a response capsule without SQHD: not when the queue relies on that.
    if (flow_.on()) return kOutOfSequence;
    answer(index, Status{}, 0, 0);
  } else if (slot.cancel_wanted && slot.request != nullptr) {
    try_detach(index);
  }
  return std::nullopt;
}

std::optional<PduError> HostQueue::on_response(const Completion& completion) {
  const std::uint16_t index = find(completion.cid);
  if (index == kNoSlot) return wrong_field(kOffsetResponseCid);
  if (!flow_.reported(completion.sqhd)) return wrong_field(kOffsetResponseCid - 4);
  answer(index, completion.status, completion.result, completion.sqhd);
  return std::nullopt;
}

std::optional<PduError> HostQueue::on_r2t(const R2t& r2t) {
  if (auto error = check(r2t)) return error;
  const std::uint16_t index = find(r2t.cccid);
  if (index == kNoSlot) return wrong_field(kOffsetCccid);
  Slot& slot = slots_[index];
  if (slot.transfer != Transfer::to_controller) return kOutOfSequence;
  if (r2t.r2to + r2t.r2tl > slot.length) return kOutOfRange;
  if (slot.r2t_count == kR2tMax) return kLimitExceeded;
  switch (slot.coverage.add(r2t.r2to, r2t.r2tl)) {
    case Coverage::Added::fine:
      break;
    case Coverage::Added::overlap:
      return kOutOfRange;
    case Coverage::Added::scattered:
      return kLimitExceeded;
  }
  slot.r2ts[(slot.r2t_head + slot.r2t_count++) % kR2tMax] = {
      .offset = r2t.r2to, .left = r2t.r2tl, .ttag = r2t.ttag};
  if (!slot.in_data_ring) push_data(index);
  return std::nullopt;
}

}  // namespace netstor::nvme::tcp
