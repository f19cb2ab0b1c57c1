// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/nvme/rdma_host_queue.h"

#include <bit>
#include <utility>

namespace netstor::nvme::rdma {

HostQueue::HostQueue(HostOwner& owner, const HostQueueOptions& options)
    : owner_(owner),
      slots_(options.depth),
      ring_mask_(std::bit_ceil(std::uint32_t{slots_.depth()}) - 1),
      in_capsule_max_(options.in_capsule_max),
      transfer_max_(std::min(options.transfer_max, kKeyedLengthMax)) {
  commands_ = std::make_unique<std::uint16_t[]>(ring_mask_ + 1);
}

bool HostQueue::submit(HostRequest& request) {
  if (slots_.room() == 0 || broken_ || request.length > transfer_max_) return false;
  push(slots_.take(request));
  return true;
}

bool HostQueue::submit_fused(HostRequest& first, HostRequest& second) {
  if (slots_.room() < 2 || broken_ || first.length > transfer_max_ || second.length > transfer_max_)
    return false;
  first.sqe.set_fuse(Fuse::first);
  second.sqe.set_fuse(Fuse::second);
  const std::uint16_t a = slots_.take(first);
  const std::uint16_t b = slots_.take(second);
  slots_[a].partner = b;
  slots_[b].partner = a;
  push(a);
  push(b);
  return true;
}

void HostQueue::push(std::uint16_t index) { commands_[(head_ + count_++) & ring_mask_] = index; }

bool HostQueue::place(Slot& slot, std::uint16_t index) {
  if (slot.placed) return true;
  HostRequest& request = *slot.request;
  SglDescriptor where = keyed_data_block(0, 0, 0);
  if (request.transfer != Transfer::none) {
    slot.in_capsule = request.transfer == Transfer::to_controller && request.length <= in_capsule_max_;
    if (!owner_.place(index, request, slot.in_capsule, where)) return false;
    slot.open = !slot.in_capsule;
    slot.key = where.key;
  }
  slot.placed = true;
  request.sqe.set_cid(slot.cid);
  request.sqe.set_sgl(where);
  return true;
}

bool HostQueue::next(HostMessage& out) {
  while (count_ != 0 && !broken_ && flow_.room()) {
    const std::uint16_t index = commands_[head_ & ring_mask_];
    Slot& slot = slots_[index];
    if (slot.state != SlotState::withdrawn) {
      if (!place(slot, index)) return false;
      // A pair goes together, or not yet.
      const bool leads = slot.partner != kNoSlot && slots_[slot.partner].state == SlotState::queued;
      if (leads && !place(slots_[slot.partner], slot.partner)) return false;
    }
    ++head_;
    --count_;
    if (slot.state == SlotState::withdrawn) {
      drop(index);
      continue;
    }
    slot.state = SlotState::sent;
    slot.sending = true;
    flow_.sent();
    out = {.slot = index, .request = slot.request, .in_capsule = slot.in_capsule};
    return true;
  }
  return false;
}

void HostQueue::sent(std::uint16_t index) {
  slots_[index].sending = false;
  try_finish(index);
}

void HostQueue::closed(std::uint16_t index) {
  slots_[index].open = false;
  if (slots_[index].state == SlotState::withdrawn) return drop(index);
  try_finish(index);
}

// Withdrawn, and passed over: a window that was opened for it ends first.
void HostQueue::drop(std::uint16_t index) {
  const Slot& slot = slots_[index];
  if (slot.open) return owner_.close_window(index);
  if (slot.placed) owner_.settle(index, false);
  free(index);
}

bool HostQueue::fail(HostFault fault) {
  fault_ = fault;
  broken_ = true;
  return false;
}

bool HostQueue::received(std::span<const std::byte> message, std::uint32_t ended_key) {
  if (broken_) return false;
  if (message.size() != kCompletionBytes) return fail(HostFault::message_length);
  const Completion answer = decode_completion(message.first<kCompletionBytes>());
  const std::uint16_t index = slots_.find(answer.cid);
  if (index == kNoSlot || slots_[index].answered) return fail(HostFault::unknown_command);
  if (!flow_.reported(answer.sqhd)) return fail(HostFault::queue_head);
  Slot& slot = slots_[index];
  if (ended_key != 0) {
    if (!slot.open || slot.key != ended_key) return fail(HostFault::foreign_key);
    slot.open = false;
    owner_.window_ended(index);
  }
  slot.answered = true;
  slot.answer = answer;
  if (slot.open) {
    owner_.close_window(index);
  } else {
    try_finish(index);
  }
  return true;
}

void HostQueue::try_finish(std::uint16_t index) {
  Slot& slot = slots_[index];
  if (slot.sending) return;
  if (!slot.answered) {
    if (slot.cancel_wanted) try_detach(index);
    return;
  }
  if (slot.open) return;
  HostRequest* const request = slot.request;
  if (slot.placed) owner_.settle(index, request != nullptr && slot.answer.status.ok());
  slot.placed = false;
  if (request != nullptr) {
    request->outcome = HostOutcome::answered;
    request->sent = true;
    request->status = slot.answer.status;
    request->result = slot.answer.result;
    request->sqhd = slot.answer.sqhd;
  }
  free(index);
  if (request != nullptr) request->done(*request);
}

void HostQueue::free(std::uint16_t index) {
  Slot& slot = slots_[index];
  slot.placed = slot.in_capsule = slot.sending = slot.open = slot.answered = slot.cancel_wanted = false;
  slots_.free(index);
}

void HostQueue::cancel(HostRequest& request) {
  const std::uint16_t index = request.slot;
  Slot& slot = slots_[index];
  if (slot.request != &request) return;
  if (slot.state == SlotState::sent) {
    slot.cancel_wanted = true;
    return try_detach(index);
  }
  const std::uint16_t partner = slot.partner;
  if (!slots_.part(index)) {
    slot.cancel_wanted = true;
    return;
  }
  withdraw(index);
  if (partner != kNoSlot && slots_[partner].request != nullptr) withdraw(partner);
}

void HostQueue::try_detach(std::uint16_t index) {
  const Slot& slot = slots_[index];
  if (slot.request == nullptr || slot.answered || slot.sending) return;
  if (slot.open && !owner_.apart(index)) return;
  give_back(index, HostOutcome::cancelled);
}

// Its place in the ring stays; next() passes over it and frees the slot. The controller was told of no key.
void HostQueue::withdraw(std::uint16_t index) {
  slots_[index].state = SlotState::withdrawn;
  give_back(index, HostOutcome::cancelled);
}

// The request leaves; the slot stays.
void HostQueue::give_back(std::uint16_t index, HostOutcome outcome) {
  HostRequest& request = *std::exchange(slots_[index].request, nullptr);
  request.outcome = outcome;
  request.sent = slots_[index].state == SlotState::sent;
  request.done(request);
}

void HostQueue::fail_all(Time now) {
  broken_ = true;
  count_ = 0;
  for (std::uint16_t i = 0; i < slots_.depth(); ++i) {
    Slot& slot = slots_[i];
    if (slot.state == SlotState::free) continue;
    if (slot.placed) owner_.settle(i, false);
    HostRequest* const request = slot.request;
    const bool sent = slot.state == SlotState::sent;
    const HostOutcome outcome = slot.cancel_wanted     ? HostOutcome::cancelled
                                : slot.deadline <= now ? HostOutcome::timed_out
                                                       : HostOutcome::lost;
    free(i);
    if (request == nullptr) continue;
    request->sent = sent;
    request->outcome = outcome;
    request->done(*request);
  }
}

}  // namespace netstor::nvme::rdma
