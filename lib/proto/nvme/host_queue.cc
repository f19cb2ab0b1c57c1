// SPDX-License-Identifier: Apache-2.0
//
// HostQueue's life of a request: taken, given back, cancelled, overdue. Sending is in host_send.cc,
// receiving in host_receive.cc.

#include "lib/proto/nvme/host_queue.h"

#include <bit>
#include <cstring>
#include <utility>

namespace netstor::nvme::tcp {

HostQueue::HostQueue(const HostQueueOptions& options)
    : slots_(options.depth),
      in_capsule_max_(options.in_capsule_max),
      receiver_(Direction::controller_to_host, PduRules{}),
      want_header_digest_(options.header_digest),
      want_data_digest_(options.data_digest),
      transfer_max_(options.transfer_max) {
  ring_mask_ = std::bit_ceil(std::uint32_t{slots_.depth()}) - 1;
  commands_ = std::make_unique<std::uint16_t[]>(ring_mask_ + 1);
  data_ = std::make_unique<std::uint16_t[]>(ring_mask_ + 1);
  spare_ = std::make_unique_for_overwrite<std::byte[]>(transfer_max_);
}

std::uint16_t HostQueue::take_slot(HostRequest& request) {
  const std::uint16_t index = slots_.take(request);
  Slot& slot = slots_[index];
  slot.pieces = request.pieces;
  slot.piece_count = request.piece_count;
  slot.length = request.length;
  slot.transfer = request.transfer;
  slot.whole = request.whole;
  slot.coverage.clear();
  if (request.transfer == Transfer::from_controller) {
    last_read_large_ = request.length >= kLargeRead;
    large_reads_ += last_read_large_ ? 1 : 0;
  }
  return index;
}

bool HostQueue::submit(HostRequest& request) {
  if (slots_.room() == 0 || stage_ == Stage::broken || request.length > transfer_max_) return false;
  push_command(take_slot(request));
  return true;
}

bool HostQueue::submit_fused(HostRequest& first, HostRequest& second) {
  if (slots_.room() < 2 || stage_ == Stage::broken || first.length > transfer_max_ ||
      second.length > transfer_max_) {
    return false;
  }
  first.sqe.set_fuse(Fuse::first);
  second.sqe.set_fuse(Fuse::second);
  const std::uint16_t a = take_slot(first);
  const std::uint16_t b = take_slot(second);
  slots_[a].partner = b;
  slots_[b].partner = a;
  push_command(a);
  push_command(b);
  return true;
}

void HostQueue::push_command(std::uint16_t index) {
  commands_[(command_head_ + command_count_++) & ring_mask_] = index;
}

void HostQueue::push_data(std::uint16_t index) {
  data_[(data_head_ + data_count_++) & ring_mask_] = index;
  slots_[index].in_data_ring = true;
}

// The controller ended a command before it had all the data that it had asked for.
void HostQueue::erase_data(std::uint16_t index) {
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < data_count_; ++i) {
    const std::uint16_t each = data_[(data_head_ + i) & ring_mask_];
    if (each != index) data_[(data_head_ + kept++) & ring_mask_] = each;
  }
  data_count_ = kept;
  slots_[index].in_data_ring = false;
}

void HostQueue::free_slot(std::uint16_t index) {
  Slot& slot = slots_[index];
  if (slot.transfer == Transfer::from_controller) {
    large_reads_ -= slot.length >= kLargeRead ? 1 : 0;
  } else if (slot.in_data_ring) {
    erase_data(index);
  }
  if (slot.spare_used) spare_taken_ = false;
  slot.data_sent = 0;
  slot.r2t_head = slot.r2t_count = 0;
  slot.answered = slot.cancel_wanted = slot.digest_failed = slot.last_seen = slot.spare_used = false;
  slots_.free(index);
}

// The request leaves; the slot stays for the answer that is still to come.
void HostQueue::give_back(std::uint16_t index, HostOutcome outcome) {
  Slot& slot = slots_[index];
  HostRequest& request = *std::exchange(slot.request, nullptr);
  request.outcome = outcome;
  request.sent = slot.state == SlotState::sent;
  request.done(request);
}

void HostQueue::answer(std::uint16_t index, Status status, std::uint64_t result, std::uint16_t sqhd) {
  Slot& slot = slots_[index];
  slot.answered = true;
  slot.status = status;
  slot.result = result;
  slot.sqhd = sqhd;
  if (!busy_sending(index)) finish(index);
}

// Whatever waited for the batch in flight to let go of a slot's memory.
void HostQueue::settle(std::uint16_t index) {
  if (busy_sending(index)) return;
  Slot& slot = slots_[index];
  if (slot.answered) {
    finish(index);
  } else if (slot.cancel_wanted && slot.request != nullptr) {
    try_detach(index);
  }
}

// An answered slot that nothing refers to any more.
void HostQueue::finish(std::uint16_t index) {
  Slot& slot = slots_[index];
  HostRequest* const request = slot.request;
  if (request != nullptr) {
    const std::uint32_t moved =
        slot.transfer == Transfer::from_controller ? slot.coverage.bytes() : slot.data_sent;
    Status status = slot.status;
    // A data digest error fails the command alone (NVMe TCP Transport 1.0, "Data Digest").
    const bool corrupt = status.ok() && slot.digest_failed;
    if (status.ok() && !corrupt && slot.transfer != Transfer::none && slot.whole && moved != slot.length)
      status = GenericStatus::data_transfer_error;
    request->outcome = corrupt ? HostOutcome::corrupt : HostOutcome::answered;
    request->sent = true;
    request->status = status;
    request->result = slot.result;
    request->sqhd = slot.sqhd;
  }
  free_slot(index);
  if (request != nullptr) request->done(*request);
}

void HostQueue::cancel(HostRequest& request) {
  const std::uint16_t index = request.slot;
  Slot& slot = slots_[index];
  if (slot.request != &request) return;
  if (slot.state == SlotState::sent) {
    slot.cancel_wanted = true;
    if (!busy_sending(index)) try_detach(index);
    return;
  }
  const std::uint16_t partner = slot.partner;
  if (!slots_.part(index)) {
    slot.cancel_wanted = true;
    return;
  }
  withdraw(index);
  if (partner != kNoSlot && slots_[partner].request != nullptr) withdraw(partner);
}

// Its place in the ring stays; gather() passes over it and frees the slot.
void HostQueue::withdraw(std::uint16_t index) {
  slots_[index].state = SlotState::withdrawn;
  give_back(index, HostOutcome::cancelled);
}

void HostQueue::try_detach(std::uint16_t index) {
  Slot& slot = slots_[index];
  if (index == receiving_) return;
  if (slot.transfer == Transfer::to_controller && slot.data_sent < slot.length && !move_to_spare(slot))
    return;
  give_back(index, HostOutcome::cancelled);
}

// The controller may still ask for the data of a write, and would wait for it for good: the write goes on
// from a copy. With one copy in use already it goes on from the caller's memory until that is free.
bool HostQueue::move_to_spare(Slot& slot) {
  if (spare_taken_) return false;
  std::byte* to = spare_.get();
  for (std::uint32_t i = 0; i < slot.piece_count && to < spare_.get() + slot.length; ++i) {
    const auto space = static_cast<std::size_t>(spare_.get() + slot.length - to);
    const std::size_t size = std::min(slot.pieces[i].iov_len, space);
    std::memcpy(to, slot.pieces[i].iov_base, size);
    to += size;
  }
  spared_bytes_ += slot.length;
  spare_piece_ = {.iov_base = spare_.get(), .iov_len = slot.length};
  slot.pieces = &spare_piece_;
  slot.piece_count = 1;
  slot.spare_used = spare_taken_ = true;
  return true;
}

void HostQueue::fail_all(Time now) {
  stage_ = Stage::broken;
  speak_ = false;
  receiver_.stop();
  command_count_ = data_count_ = 0;
  open_ = {};
  batch_first_ = kNoSlot;
  for (std::uint16_t i = 0; i < slots_.depth(); ++i) {
    Slot& slot = slots_[i];
    slot.in_batch = slot.in_data_ring = false;
    if (slot.state == SlotState::free) continue;
    HostRequest* const request = slot.request;
    const bool sent = slot.state == SlotState::sent;
    const bool late = slot.deadline <= now;
    const bool cancelled = slot.cancel_wanted;
    free_slot(i);
    if (request == nullptr) continue;
    request->sent = sent;
    request->outcome = cancelled ? HostOutcome::cancelled : late ? HostOutcome::timed_out : HostOutcome::lost;
    request->done(*request);
  }
}

}  // namespace netstor::nvme::tcp
