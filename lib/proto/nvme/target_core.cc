// SPDX-License-Identifier: Apache-2.0
//
// From a capsule to a command with its data, and from the owner's word to an answer that waits to be sent.
// Errors of a command are its status; errors of the transport are found elsewhere.

#include "lib/proto/nvme/target_core.h"

#include <algorithm>
#include <utility>

#include "lib/base/assert.h"

namespace netstor::nvme {

TargetCore::TargetCore(TargetOwner& owner, Phase phase) : owner_(owner), phase_(phase) {
  terms_.entries = kEarlyEntries;
  use_nodes(kEarlyEntries, kEarlySlot, early_);
}

void TargetCore::use_nodes(unsigned entries, std::uint16_t first_slot,
                           std::unique_ptr<TargetRequest[]>& nodes) {
  const unsigned count = TargetCore::nodes(entries);
  nodes = std::make_unique<TargetRequest[]>(count);
  free_ = nullptr;
  for (unsigned i = count; i-- != 0;) {
    nodes[i].slot = static_cast<std::uint16_t>(first_slot + i);
    nodes[i].next = free_;
    free_ = &nodes[i];
  }
}

TargetRequest* TargetCore::take() {
  if (outstanding_ >= terms_.entries || free_ == nullptr) return nullptr;
  TargetRequest& request = *free_;
  free_ = request.next;
  ++in_use_;
  ++outstanding_;
  if (++sqhd_ >= terms_.entries) sqhd_ = 0;
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
  return &request;
}

Status TargetCore::judge(TargetRequest& request, std::uint32_t capsule_bytes) {
  const std::uint16_t cid = request.command.cid();
  request.tracked = !ids_.test(cid);
  if (!request.tracked) return refused(GenericStatus::command_id_conflict);
  ids_.set(cid);
  if (phase_ != Phase::connected) [[unlikely]] {
    Status status = judge_early(request);
    if (status.ok()) status = check_transfer(request, capsule_bytes);
    // From here on, not when its data is here: a second one would be carried out by the queue that the first
    // has made.
    if (status.ok()) connecting_ = &request;
    return status;
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
Status TargetCore::judge_early(TargetRequest& request) {
  const Command& command = request.command;
  if (!command.is_fabrics() || command.fabrics_type() != FabricsType::connect || connecting_ != nullptr) {
    return refused(GenericStatus::command_sequence_error);
  }
  if (command.psdt() != Psdt::sgl) return refused(GenericStatus::invalid_field);
  request.plan = {.to_controller = kConnectDataBytes};
  request.wants_in_place = true;
  return {};
}

void TargetCore::fail(TargetRequest& request) {
  fail_pair_of(request);
  complete(request, request.status);
}

void TargetCore::capsule_is_here(TargetRequest& request, std::span<const std::byte> in_place) {
  if (!request.status.ok()) [[unlikely]]
    return fail(request);
  if (request.plan.to_controller != 0 && !request.in_capsule) return ask_for_data(request);
  request.received = request.plan.to_controller;
  request.in_place = in_place;
  data_is_here(request);
}

void TargetCore::ask_for_data(TargetRequest& request) {
  if (phase_ == Phase::unconnected) [[unlikely]] {
    place_connect(request);
  } else if (!waiting_.empty() || !owner_.buffer(request)) {
    // Who came first is served first: a small request does not overtake a large one that waits.
    request.state = RequestState::waiting;
    return waiting_.push(request);
  }
  request.state = RequestState::asking;
  asking_.push(request);
}

void TargetCore::buffers_freed() {
  while (!waiting_.empty() && owner_.buffer(*waiting_.front())) {
    TargetRequest& request = *waiting_.pop();
    request.state = RequestState::asking;
    asking_.push(request);
  }
}

// ---- Fused pairs: compare, and the write right behind it (NVMe Base 2.0, "Fused Operations").

// `request` is the newest command, and it or the one before it is said to be half of a pair.
Status TargetCore::pair(TargetRequest& request) {
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
void TargetCore::drop_first(Status status) {
  TargetRequest& first = *std::exchange(fused_first_, nullptr);
  first.status = status;
  if (first.state == RequestState::paired) complete(first, status);
}

// One half failed on the way: so does the other, now or when its own data is here.
void TargetCore::fail_pair_of(TargetRequest& request) {
  if (fused_first_ == &request) fused_first_ = nullptr;
  TargetRequest* const other = std::exchange(request.partner, nullptr);
  if (other == nullptr) return;
  other->partner = nullptr;
  other->status = refused(GenericStatus::aborted_failed_fused);
  if (other->state == RequestState::paired) complete(*other, other->status);
}

void TargetCore::data_is_here(TargetRequest& request) {
  if (phase_ == Phase::unconnected) [[unlikely]] {
    request.state = RequestState::executing;
    NETSTOR_ASSERT(request.in_place.size() >= kConnectDataBytes);
    const ConnectData data = decode_connect_data(request.in_place.first<kConnectDataBytes>());
    return owner_.connect(request, decode_connect(request.command), data);
  }
  if (request.command.fuse() == Fuse::none) [[likely]]
    return run(request);
  request.state = RequestState::paired;
  TargetRequest* const other = request.partner;
  if (other == nullptr || other->state != RequestState::paired) return;
  TargetRequest& second = request.command.fuse() == Fuse::second ? request : *other;
  second.partner->state = RequestState::executing;
  run(second);
}

void TargetCore::run(TargetRequest& request) {
  NETSTOR_ASSERT((request.slot & kEarlySlot) == 0);
  request.state = RequestState::executing;
  owner_.execute(request);
}

void TargetCore::accept(TargetRequest& request, const QueueTerms& terms) {
  NETSTOR_ASSERT(request.state == RequestState::executing && connecting_ == &request);
  if (phase_ == Phase::unconnected) {
    terms_ = terms;
    sqhd_ = static_cast<std::uint16_t>(1 % terms.entries);
    node_count_ = nodes(terms.entries);
    use_nodes(terms.entries, 0, requests_);
    set_terms(terms);
    phase_ = Phase::connected;
  }
  complete(request, {},
           encode(ConnectAccepted{.cntlid = terms.cntlid,
                                  .authentication_transaction_required = terms.authenticate}));
}

void TargetCore::refuse(TargetRequest& request, Status status, const ConnectRefused& where) {
  complete(request, status, encode(where));
}

void TargetCore::complete(TargetRequest& request, Status status, std::uint64_t result) {
  request.status = status;
  request.result = result;
  if (connecting_ == &request) [[unlikely]]
    connecting_ = nullptr;
  if (phase_ > Phase::connected) [[unlikely]]
    return answered(request), recycle(request);
  request.state = RequestState::answering;
  answers_.push(request);
}

// From here on the host may use the command's identifier and its place in the queue again.
void TargetCore::answered(TargetRequest& request) {
  --outstanding_;
  if (request.tracked) ids_.reset(request.command.cid());
}

void TargetCore::recycle(TargetRequest& request) {
  --in_use_;
  request.state = RequestState::free;
  let_go(request);
  const bool early = (request.slot & kEarlySlot) != 0;
  if (!early) owner_.release(request);
  // The nodes from before Connect are not used again after it.
  if (early && phase_ >= Phase::connected) return;
  request.next = free_;
  free_ = &request;
}

void TargetCore::abandon() {
  phase_ = Phase::abandoned;
  forget_work();
  while (!leaving_.empty()) recycle(*leaving_.pop());
  waiting_ = {};
  asking_ = {};
  answers_ = {};
  fused_first_ = nullptr;
  const auto give_back = [this](TargetRequest& request) {
    if (request.state == RequestState::free || request.state == RequestState::executing) return;
    recycle(request);
  };
  for (unsigned i = 0; i < node_count_; ++i) give_back(requests_[i]);
  for (unsigned i = 0; i < nodes(kEarlyEntries); ++i) give_back(early_[i]);
}

}  // namespace netstor::nvme
