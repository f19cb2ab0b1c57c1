// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/nvme/rdma_target_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace netstor::nvme::rdma {

TargetQueue::TargetQueue(TargetOwner& owner, TargetCard& card)
    : TargetCore(owner, Phase::unconnected), card_(card) {
  // A Connect may have its data in the capsule where the receive is long enough for it.
  terms_.in_capsule_bytes = kConnectDataBytes;
}

void TargetQueue::set_terms(const QueueTerms& terms) {
  extras_ = std::make_unique<Extra[]>(nodes(terms.entries));
}

bool TargetQueue::fail(TargetFault fault) {
  error_ = fault;
  phase_ = Phase::ended;
  return false;
}

bool TargetQueue::received(std::uint32_t receive, std::span<const std::byte> bytes) {
  TargetFault fault = TargetFault::none;
  TargetRequest* request = nullptr;
  if (bytes.size() < kCommandBytes) {
    fault = TargetFault::short_capsule;
  } else if (bytes.size() - kCommandBytes >
             std::max<std::size_t>(terms_.in_capsule_bytes, kConnectDataBytes)) {
    fault = TargetFault::long_capsule;
  } else if (!ended()) {
    request = take();
    if (request == nullptr) fault = TargetFault::too_many;
  }
  if (request == nullptr) {
    card_.give_back(receive);
    return fault == TargetFault::none ? false : fail(fault);
  }
  Extra& extra = extra_of(*request);
  extra.receive = receive;
  extra.where = {};
  std::memcpy(request->command.bytes.data(), bytes.data(), kCommandBytes);
  const std::span<const std::byte> data = bytes.subspan(kCommandBytes);
  request->status = judge(*request, static_cast<std::uint32_t>(data.size()));
  std::span<const std::byte> in_place;
  if (request->in_capsule && request->status.ok()) {
    in_place = data.subspan(static_cast<std::size_t>(extra.where.address), extra.where.length);
    // Where it lies it stays until the command is answered; only Connect looks at it as a whole.
    extra.piece = {.iov_base = const_cast<std::byte*>(in_place.data()), .iov_len = in_place.size()};
    request->pieces = &extra.piece;
    request->piece_count = 1;
    if (connected()) in_place = {};
  }
  capsule_is_here(*request, in_place);
  return !ended();
}

// One descriptor, in the command: a key to the host's memory, or an offset into the capsule (NVMe RDMA
// Transport 1.0, "Data Transfers"). The lengths agree to the byte; admin commands of hosts in the field may
// offer more room than the answer needs.
Status TargetQueue::check_transfer(TargetRequest& request, std::uint32_t capsule_bytes) {
  const IoPlan& plan = request.plan;
  if (plan.to_host == 0 && plan.to_controller == 0) return {};
  const SglDescriptor sgl = request.command.sgl();
  if (sgl.type == SglType::keyed_data_block) {
    if (sgl.sub_type != SglSubType::address && sgl.sub_type != SglSubType::invalidate_key)
      return refused(GenericStatus::sgl_descriptor_type_invalid);
    const std::uint32_t needed = plan.to_host != 0 ? plan.to_host : plan.to_controller;
    const bool fits = terms_.admin ? sgl.length >= needed : sgl.length == needed;
    if (!fits) return refused(GenericStatus::data_sgl_length_invalid);
    extra_of(request).where = sgl;
    return {};
  }
  if (sgl.type != SglType::data_block || sgl.sub_type != SglSubType::offset || plan.to_host != 0 ||
      (connected() && terms_.in_capsule_bytes == 0)) {
    return refused(GenericStatus::sgl_descriptor_type_invalid);
  }
  if (sgl.address > capsule_bytes) return refused(GenericStatus::sgl_offset_invalid);
  if (sgl.length != plan.to_controller || sgl.length > capsule_bytes - sgl.address)
    return refused(GenericStatus::data_sgl_length_invalid);
  request.in_capsule = true;
  extra_of(request).where = sgl;
  return {};
}

void TargetQueue::place_connect(TargetRequest& request) {
  const auto number = static_cast<unsigned>(request.slot & ~kEarlySlot);
  Extra& extra = extra_of(request);
  extra.piece = {.iov_base = card_.connect_memory(number), .iov_len = kConnectDataBytes};
  request.pieces = &extra.piece;
  request.piece_count = 1;
}

bool TargetQueue::next(TargetWork& work) {
  if (ended()) return false;
  if (TargetRequest* const request = asking_.pop(); request != nullptr) {
    const Extra& extra = extra_of(*request);
    request->state = RequestState::transferring;
    work = {.kind = TargetWork::Kind::pull,
            .request = request,
            .address = extra.where.address,
            .key = extra.where.key};
    return true;
  }
  TargetRequest* const request = answers_.pop();
  if (request == nullptr) return false;
  Extra& extra = extra_of(*request);
  const bool keyed = extra.where.type == SglType::keyed_data_block && extra.where.length != 0;
  const bool ends = keyed && extra.where.sub_type == SglSubType::invalidate_key;
  work = {.kind = TargetWork::Kind::answer,
          .request = request,
          .address = extra.where.address,
          .key = extra.where.key,
          .push_bytes = request->status.ok() ? request->send_bytes : 0,
          .end_key = ends ? extra.where.key : 0,
          .response = {.result = request->result,
                       .sqhd = sqhd(),
                       .cid = request->command.cid(),
                       .status = request->status}};
  if (extra.receive != kNoReceive) card_.give_back(std::exchange(extra.receive, kNoReceive));
  answered(*request);
  request->state = RequestState::leaving;
  return true;
}

void TargetQueue::pulled(TargetRequest& request) {
  request.received = request.plan.to_controller;
  if (!request.status.ok()) return TargetCore::fail(request);
  if (!connected()) {
    const iovec& piece = request.pieces[0];
    request.in_place = {static_cast<const std::byte*>(piece.iov_base), piece.iov_len};
  }
  data_is_here(request);
}

void TargetQueue::let_go(TargetRequest& request) {
  Extra& extra = extra_of(request);
  if (extra.receive != kNoReceive) card_.give_back(std::exchange(extra.receive, kNoReceive));
}

}  // namespace netstor::nvme::rdma
