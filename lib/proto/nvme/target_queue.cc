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
    : owner_(owner),
      receiver_(Direction::host_to_controller,
                {.in_capsule_data_max = kAdminInCapsuleBytes, .data_max = options.maxh2cdata},
                std::max(kAdminInCapsuleBytes, options.in_capsule_max)),
      options_(options) {
  terms_.entries = kEarlyEntries;
  use_nodes(kEarlyEntries, kEarlySlot, early_);
}

void TargetQueue::use_nodes(unsigned entries, std::uint16_t first_slot,
                            std::unique_ptr<TargetRequest[]>& nodes) {
  const unsigned count = TargetQueue::nodes(entries);
  nodes = std::make_unique<TargetRequest[]>(count);
  free_ = nullptr;
  for (unsigned i = count; i-- != 0;) {
    nodes[i].slot = static_cast<std::uint16_t>(first_slot + i);
    nodes[i].next = free_;
    free_ = &nodes[i];
  }
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
  if (outstanding_ >= terms_.entries || free_ == nullptr) return sequence_error();
  TargetRequest& request = *free_;
  free_ = request.next;
  ++in_use_;
  ++outstanding_;
  if (++sqhd_ >= terms_.entries) sqhd_ = 0;
  request.command = decode_capsule_cmd(pdu.head<kCapsuleCmdBytes>());
  request.partner = nullptr;
  request.piece_count = 0;
  request.send_bytes = 0;
  request.received = 0;
  request.sent = 0;
  request.result = 0;
  request.in_place = {};
  request.in_capsule = false;
  request.wants_in_place = false;
  request.state = RequestState::arriving;
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

Status TargetQueue::judge(TargetRequest& request, std::uint32_t capsule_bytes) {
  const std::uint16_t cid = request.command.cid();
  request.tracked = !ids_.test(cid);
  if (!request.tracked) return refused(GenericStatus::command_id_conflict);
  ids_.set(cid);
  if (phase_ != Phase::connected) [[unlikely]] {
    const Status status = judge_early(request);
    return status.ok() ? check_transfer(request, capsule_bytes) : status;
  }
  // Commands have no PRPs over fabrics.
  Status status = refused(GenericStatus::invalid_field);
  if (request.command.psdt() == Psdt::sgl) {
    status = owner_.admit(request);
    // Half of a pair waits for the other, and the receive buffer does not.
    if (request.command.fuse() != Fuse::none) request.wants_in_place = false;
    if (status.ok()) status = check_transfer(request, capsule_bytes);
  }
  if (request.command.fuse() != Fuse::none || fused_first_ != nullptr) [[unlikely]] {
    request.status = status;
    status = pair(request);
  }
  return status;
}

// Before the queue is connected there is one thing to say.
Status TargetQueue::judge_early(TargetRequest& request) {
  const Command& command = request.command;
  if (!command.is_fabrics() || command.fabrics_type() != FabricsType::connect || connecting_) {
    return refused(GenericStatus::command_sequence_error);
  }
  if (command.psdt() != Psdt::sgl) return refused(GenericStatus::invalid_field);
  request.plan = {.to_controller = kConnectDataBytes};
  request.wants_in_place = true;
  if (command.sgl().type != SglType::data_block) return refused(GenericStatus::sgl_descriptor_type_invalid);
  return {};
}

// One descriptor, in the command: an offset into the capsule, or "ask me" (NVMe TCP Transport 1.0,
// "Data Transfer"). The lengths agree to the byte, since SGLS allows no longer ones; admin commands of
// hosts in the field may offer more room than the answer needs.
Status TargetQueue::check_transfer(TargetRequest& request, std::uint32_t capsule_bytes) const {
  const IoPlan& plan = request.plan;
  if (plan.to_host == 0 && plan.to_controller == 0) return {};
  const SglDescriptor sgl = request.command.sgl();
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
  if (!request.status.ok()) [[unlikely]] {
    fail_pair_of(request);
    return complete(request, request.status);
  }
  if (phase_ == Phase::unconnected) [[unlikely]] {
    connecting_ = true;
    request.state = RequestState::executing;
    const ConnectData data = decode_connect_data(in_place.first<kConnectDataBytes>());
    return owner_.connect(request, decode_connect(request.command), data);
  }
  if (request.plan.to_controller != 0 && !request.in_capsule) return ask_for_data(request);
  request.received = request.plan.to_controller;
  request.in_place = in_place;
  data_is_here(request);
}

// ---- Data by R2T.

void TargetQueue::ask_for_data(TargetRequest& request) {
  // Who came first is served first: a small request does not overtake a large one that waits.
  if (!waiting_.empty() || !owner_.buffer(request)) {
    request.state = RequestState::waiting;
    return waiting_.push(request);
  }
  request.state = RequestState::asking;
  asking_.push(request);
}

void TargetQueue::buffers_freed() {
  while (!waiting_.empty() && owner_.buffer(*waiting_.front())) {
    TargetRequest& request = *waiting_.pop();
    request.state = RequestState::asking;
    asking_.push(request);
  }
}

// The host answers one R2T for all of a command's data with H2CData PDUs in order; LAST_PDU is on the one
// that ends it.
std::optional<PduError> TargetQueue::data_header(const Pdu& pdu, Placement& placement) {
  if (phase_ != Phase::connected) return sequence_error();
  const DataPdu data = decode_data(pdu.head<kDataBytes>());
  if (auto error = check(pdu.header, data)) return error;
  if (data.ttag >= node_count_) return wrong_field(kOffsetTtag);
  TargetRequest& request = requests_[data.ttag];
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
  if (!request.status.ok()) {
    fail_pair_of(request);
    return complete(request, request.status);
  }
  data_is_here(request);
}

// ---- Fused pairs: compare, and the write right behind it (NVMe Base 2.0, "Fused Operations").

// `request` is the newest command, and it or the one before it is said to be half of a pair.
Status TargetQueue::pair(TargetRequest& request) {
  const Status own = request.status;
  TargetRequest* const first = std::exchange(fused_first_, nullptr);
  const Fuse fuse = request.command.fuse();
  if (first != nullptr && fuse != Fuse::second) {
    request.partner = nullptr;
    fused_first_ = first;
    drop_first(refused(GenericStatus::aborted_missing_fused));
  }
  if (terms_.admin && fuse != Fuse::none) return refused(GenericStatus::invalid_field);
  if (fuse == Fuse::none) return own;
  if (fuse == Fuse::first) {
    if (!own.ok()) return own;  // then the second half finds no first, and fails too
    if (request.command.io_opcode() != IoOpcode::compare) return refused(GenericStatus::invalid_field);
    fused_first_ = &request;
    return own;
  }
  if (fuse != Fuse::second) return refused(GenericStatus::invalid_field);
  if (first == nullptr) return refused(GenericStatus::aborted_missing_fused);
  fused_first_ = first;
  const bool fits =
      request.command.io_opcode() == IoOpcode::write && first->command.nsid() == request.command.nsid();
  if (!own.ok() || !fits) {
    drop_first(refused(GenericStatus::aborted_failed_fused));
    return own.ok() ? refused(GenericStatus::invalid_field) : own;
  }
  fused_first_ = nullptr;
  request.partner = first;
  first->partner = &request;
  return own;
}

// The first half has lost its second: it ends at once, or when the data that it asked for is here.
void TargetQueue::drop_first(Status status) {
  TargetRequest& first = *std::exchange(fused_first_, nullptr);
  first.status = status;
  if (first.state == RequestState::paired) complete(first, status);
}

// One half failed on the way: so does the other, now or when its own data is here.
void TargetQueue::fail_pair_of(TargetRequest& request) {
  if (fused_first_ == &request) fused_first_ = nullptr;
  TargetRequest* const other = std::exchange(request.partner, nullptr);
  if (other == nullptr) return;
  other->partner = nullptr;
  other->status = refused(GenericStatus::aborted_failed_fused);
  if (other->state == RequestState::paired) complete(*other, other->status);
}

void TargetQueue::data_is_here(TargetRequest& request) {
  if (request.command.fuse() == Fuse::none) [[likely]]
    return run(request);
  request.state = RequestState::paired;
  TargetRequest* const other = request.partner;
  if (other == nullptr || other->state != RequestState::paired) return;
  TargetRequest& second = request.command.fuse() == Fuse::second ? request : *other;
  second.partner->state = RequestState::executing;
  run(second);
}

void TargetQueue::run(TargetRequest& request) {
  request.state = RequestState::executing;
  owner_.execute(request);
}

}  // namespace netstor::nvme::tcp
