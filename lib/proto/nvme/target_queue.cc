// SPDX-License-Identifier: Apache-2.0
//
// The receiving half: from PDUs to commands with their data. Errors of a PDU end the connection, errors of
// a command are its status.

#include "lib/proto/nvme/target_queue.h"

#include <algorithm>
#include <utility>

#include "lib/base/assert.h"

namespace netstor::nvme::tcp {

namespace {

// From this many bytes on it pays to stop a receive in front of a payload, so that the rest of it needs no
// copy; below it, one system call for many PDUs pays more.
constexpr std::uint64_t kDirectBytes = 16 * 1024;

constexpr std::uint32_t kOffsetType = 0;
constexpr std::uint32_t kOffsetFlags = 1;
constexpr std::uint32_t kOffsetCccid = 8;
constexpr std::uint32_t kOffsetTtag = 10;

PduError sequence_error() { return {.fes = Fes::pdu_sequence_error, .fei = 0}; }
PduError wrong_field(std::uint32_t offset) { return {.fes = Fes::invalid_pdu_header_field, .fei = offset}; }

}  // namespace

TargetQueue::TargetQueue(TargetOwner& owner, const TargetOptions& options)
    : TargetCore(owner, Phase::handshake),
      receiver_(Direction::host_to_controller,
                {.in_capsule_data_max = kAdminInCapsuleBytes, .data_max = options.maxh2cdata},
                std::max(kAdminInCapsuleBytes, options.in_capsule_max)),
      options_(options) {}

void TargetQueue::set_terms(const QueueTerms& terms) {
  PduRules rules = receiver_.rules();
  rules.in_capsule_data_max = terms.in_capsule_bytes;
  receiver_.set_rules(rules);
}

void TargetQueue::forget_work() {
  receiver_.stop();
  current_ = nullptr;
}

unsigned TargetQueue::want(iovec* pieces, unsigned max) {
  const bool direct = asked_count_ != 0 && asked_bytes_ >= kDirectBytes * asked_count_;
  return receiver_.want(pieces, max, direct ? OverRead::exact : OverRead::greedy);
}

void TargetQueue::received(std::size_t bytes) {
  Sink sink{*this};
  if (const auto error = receiver_.received(bytes, sink); error && phase_ < Phase::terminating)
    terminate(*error);
}

void TargetQueue::terminate(const PduError& error) {
  error_ = error;
  phase_ = Phase::terminating;
  receiver_.stop();
  control_bytes_ = encode_term_req(Direction::controller_to_host, {.error = error}, receiver_.offending(),
                                   std::span(control_));
}

std::optional<PduError> TargetQueue::on_header(const Pdu& pdu, Placement& placement) {
  switch (pdu.header.type) {
    case PduType::capsule_cmd:
      return capsule_header(pdu, placement);
    case PduType::h2c_data:
      return data_header(pdu, placement);
    case PduType::ic_req:
      return phase_ == Phase::handshake ? std::nullopt : std::optional(sequence_error());
    default:
      return std::nullopt;
  }
}

std::optional<PduError> TargetQueue::on_pdu(const Pdu& pdu, std::span<const std::byte> in_place,
                                            bool digest_ok) {
  switch (pdu.header.type) {
    case PduType::capsule_cmd:
      capsule_complete(in_place, digest_ok);
      return std::nullopt;
    case PduType::h2c_data:
      data_complete(pdu, digest_ok);
      return std::nullopt;
    case PduType::ic_req:
      return handshake(pdu);
    case PduType::h2c_term_req:
      error_ = decode_term_req(pdu.head<kTermReqBytes>()).error;
      phase_ = Phase::ended;
      receiver_.stop();
      return std::nullopt;
    default:
      return wrong_field(kOffsetType);
  }
}

std::optional<PduError> TargetQueue::handshake(const Pdu& pdu) {
  const IcReq request = decode_ic_req(pdu.head<kIcBytes>());
  if (auto error = check(request)) return error;
  const bool header_digest = request.header_digest && options_.allow_header_digest;
  const bool data_digest = request.data_digest && options_.allow_data_digest;
  format_ = {.header_digest = header_digest, .data_digest = data_digest, .pda = request.hpda};
  PduRules rules = receiver_.rules();
  rules.header_digest = header_digest;
  rules.data_digest = data_digest;
  receiver_.set_rules(rules);
  encode(
      IcResp{.header_digest = header_digest, .data_digest = data_digest, .maxh2cdata = options_.maxh2cdata},
      std::span(control_).first<kIcBytes>());
  control_bytes_ = kIcBytes;
  phase_ = Phase::unconnected;
  return std::nullopt;
}

// ---- Command capsules.

std::optional<PduError> TargetQueue::capsule_header(const Pdu& pdu, Placement& placement) {
  if (phase_ == Phase::handshake) return sequence_error();
  // A host that has more commands in flight than the queue has entries overwrote some.
  TargetRequest* const taken = take();
  if (taken == nullptr) return sequence_error();
  TargetRequest& request = *taken;
  request.command = decode_capsule_cmd(pdu.head<kCapsuleCmdBytes>());
  current_ = &request;

  const std::uint32_t data = pdu.header.data_bytes();
  request.status = judge(request, data);
  if (data == 0 || !request.status.ok() || !request.in_capsule) return std::nullopt;
  if (request.wants_in_place) {
    placement.kind = Placement::Kind::in_place;
    return std::nullopt;
  }
  const bool has_memory = owner_.buffer(request);
  NETSTOR_ASSERT(has_memory);
  placement = {.kind = Placement::Kind::memory, .pieces = request.pieces, .piece_count = request.piece_count};
  return std::nullopt;
}

// One descriptor, in the command: an offset into the capsule, or "ask me" (NVMe TCP Transport 1.0,
// "Data Transfer"). The lengths agree to the byte, since SGLS allows no longer ones; admin commands of
// hosts in the field may offer more room than the answer needs.
Status TargetQueue::check_transfer(TargetRequest& request, std::uint32_t capsule_bytes) {
  const IoPlan& plan = request.plan;
  if (plan.to_host == 0 && plan.to_controller == 0) return {};
  const SglDescriptor sgl = request.command.sgl();
  // Connect brings its data with it.
  if (phase_ == Phase::unconnected && sgl.type != SglType::data_block)
    return refused(GenericStatus::sgl_descriptor_type_invalid);
  if (sgl.type == SglType::transport_data_block && sgl.sub_type == SglSubType::transport_specific) {
    const std::uint32_t needed = plan.to_host != 0 ? plan.to_host : plan.to_controller;
    const bool fits = terms_.admin ? sgl.length >= needed : sgl.length == needed;
    return fits ? Status{} : refused(GenericStatus::data_sgl_length_invalid);
  }
  if (sgl.type != SglType::data_block || sgl.sub_type != SglSubType::offset || plan.to_host != 0) {
    return refused(GenericStatus::sgl_descriptor_type_invalid);
  }
  if (sgl.address != 0) return refused(GenericStatus::sgl_offset_invalid);
  if (sgl.length != plan.to_controller || capsule_bytes != sgl.length) {
    return refused(GenericStatus::data_sgl_length_invalid);
  }
  request.in_capsule = true;
  return {};
}

// The bytes are wrong, the command may be right: the host may try again (NVMe TCP Transport 1.0, "Data
// Digest Errors").
void TargetQueue::wrong_digest(TargetRequest& request) {
  owner_.data_digest_wrong(request);
  if (request.status.ok()) request.status = Status(GenericStatus::transient_transport_error);
}

void TargetQueue::capsule_complete(std::span<const std::byte> in_place, bool digest_ok) {
  TargetRequest& request = *current_;
  current_ = nullptr;
  if (!digest_ok) [[unlikely]]
    wrong_digest(request);
  capsule_is_here(request, in_place);
}

// ---- Data by R2T.

// The host answers one R2T for all of a command's data with H2CData PDUs in order; LAST_PDU is on the one
// that ends it.
std::optional<PduError> TargetQueue::data_header(const Pdu& pdu, Placement& placement) {
  if (phase_ != Phase::connected) return sequence_error();
  const DataPdu data = decode_data(pdu.head<kDataBytes>());
  if (auto error = check(pdu.header, data)) return error;
  TargetRequest* const found = find(data.ttag);
  if (found == nullptr) return wrong_field(kOffsetTtag);
  TargetRequest& request = *found;
  if (request.state != RequestState::transferring) return wrong_field(kOffsetTtag);
  if (data.cccid != request.command.cid()) return wrong_field(kOffsetCccid);
  const std::uint32_t left = request.plan.to_controller - request.received;
  if (data.datao != request.received || data.datal > left) {
    return PduError{.fes = Fes::data_transfer_out_of_range, .fei = 0};
  }
  if (pdu.header.last() != (data.datal == left)) return wrong_field(kOffsetFlags);
  current_ = &request;
  placement = {.kind = Placement::Kind::memory,
               .pieces = request.pieces,
               .piece_count = request.piece_count,
               .offset = data.datao};
  return std::nullopt;
}

void TargetQueue::data_complete(const Pdu& pdu, bool digest_ok) {
  TargetRequest& request = *current_;
  current_ = nullptr;
  const std::uint32_t bytes = pdu.header.data_bytes();
  request.received += bytes;
  asked_bytes_ -= bytes;
  if (!digest_ok) [[unlikely]]
    wrong_digest(request);
  if (request.received != request.plan.to_controller) return;
  --asked_count_;
  if (!request.status.ok()) return fail(request);
  data_is_here(request);
}

}  // namespace netstor::nvme::tcp
