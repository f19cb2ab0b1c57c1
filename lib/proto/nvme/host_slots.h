// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an initiator's queue owns whatever carries it: the places of its commands with their ids and
// deadlines, and the submission queue's flow control. What a transport adds to a place it derives from
// HostSlot.

#include <algorithm>
#include <bit>
#include <memory>

#include "lib/proto/nvme/host_request.h"

namespace netstor::nvme {

inline constexpr std::uint16_t kHostDepthMax = 1024;
inline constexpr std::uint16_t kNoSlot = 0xFFFF;

enum class SlotState : std::uint8_t { free, queued, withdrawn, sent };

struct HostSlot {
  HostRequest* request = nullptr;  // null in a slot whose request was given back before the answer
  Time deadline{};
  std::uint16_t cid = 0;
  std::uint16_t generation = 0;
  std::uint16_t partner = kNoSlot;  // of a fused pair
  SlotState state = SlotState::free;
};

template <class Slot>
class HostSlots {
 public:
  // Everything is allocated here.
  explicit HostSlots(std::uint16_t depth)
      : depth_(std::clamp<std::uint16_t>(depth, 1, kHostDepthMax)),
        index_bits_(static_cast<std::uint8_t>(std::bit_width(static_cast<unsigned>(depth_ - 1)))),
        slots_(std::make_unique<Slot[]>(depth_)),
        free_(std::make_unique<std::uint16_t[]>(depth_)),
        free_count_(depth_) {
    for (std::uint16_t i = 0; i < depth_; ++i) free_[i] = static_cast<std::uint16_t>(depth_ - 1 - i);
  }

  Slot& operator[](std::size_t index) { return slots_[index]; }
  const Slot& operator[](std::size_t index) const { return slots_[index]; }
  [[nodiscard]] std::uint16_t depth() const { return depth_; }
  [[nodiscard]] unsigned room() const { return free_count_; }

  // There must be room. The command id is the slot with a generation above it, so that an answer to an
  // earlier command of the slot is not taken for one to this. FFFFh stays unused (NVMe Base 2.0, "Command
  // Identifier").
  std::uint16_t take(HostRequest& request) {
    const std::uint16_t index = free_[--free_count_];
    Slot& slot = slots_[index];
    const auto generations = static_cast<std::uint32_t>(0x10000u >> index_bits_);
    slot.generation = static_cast<std::uint16_t>((slot.generation + 1u) % (generations - 1));
    slot.cid = static_cast<std::uint16_t>((std::uint32_t{slot.generation} << index_bits_) | index);
    slot.request = &request;
    slot.deadline = request.deadline;
    slot.state = SlotState::queued;
    next_deadline_ = std::min(next_deadline_, request.deadline);
    request.slot = index;
    request.sent = false;
    return index;
  }

  void free(std::uint16_t index) {
    Slot& slot = slots_[index];
    if (slot.partner != kNoSlot) {
      slots_[slot.partner].partner = kNoSlot;
      slot.partner = kNoSlot;
    }
    slot.request = nullptr;
    slot.state = SlotState::free;
    free_[free_count_++] = index;
  }

  // A command that was not sent is to leave: parts it from the other half of a fused pair, which then has to
  // leave, too, since half of one must not be sent. False when the other half was sent: this one must not
  // stay behind.
  [[nodiscard]] bool part(std::uint16_t index) {
    const std::uint16_t partner = slots_[index].partner;
    if (partner == kNoSlot) return true;
    if (slots_[partner].state == SlotState::sent) return false;
    slots_[index].partner = slots_[partner].partner = kNoSlot;
    return true;
  }

  // Of a command that was sent; kNoSlot where there is none.
  [[nodiscard]] std::uint16_t find(std::uint16_t cid) const {
    const auto index = static_cast<std::uint16_t>(cid & ((1u << index_bits_) - 1));
    const bool there = index < depth_ && slots_[index].cid == cid && slots_[index].state == SlotState::sent;
    return there ? index : kNoSlot;
  }

  [[nodiscard]] bool overdue(Time now) {
    if (now < next_deadline_) return false;
    next_deadline_ = Time::max();
    for (std::uint16_t i = 0; i < depth_; ++i) {
      if (slots_[i].state != SlotState::free) next_deadline_ = std::min(next_deadline_, slots_[i].deadline);
    }
    return next_deadline_ <= now;
  }
  [[nodiscard]] Time next_deadline() const { return next_deadline_; }

 private:
  std::uint16_t depth_;
  std::uint8_t index_bits_;
  std::unique_ptr<Slot[]> slots_;
  std::unique_ptr<std::uint16_t[]> free_;  // a stack: the slot used last is warm
  std::uint32_t free_count_;
  Time next_deadline_ = Time::max();
};

// NVMe Base 2.0, "Submission Queue Flow Control": never one entry more than the head that was last reported
// leaves free.
class SqFlow {
 public:
  void enable(std::uint16_t entries, std::uint16_t head) {
    on_ = true;
    entries_ = entries;
    head_ = tail_ = head;
  }
  [[nodiscard]] bool on() const { return on_; }
  [[nodiscard]] bool room() const { return !on_ || (std::uint32_t{tail_} + 1) % entries_ != head_; }
  void sent() {
    if (on_) tail_ = static_cast<std::uint16_t>((std::uint32_t{tail_} + 1) % entries_);
  }
  // False for a head that no queue of this size has.
  [[nodiscard]] bool reported(std::uint16_t head) {
    if (!on_) return true;
    if (head >= entries_) return false;
    head_ = head;
    return true;
  }

 private:
  bool on_ = false;
  std::uint16_t entries_ = 0;
  std::uint16_t head_ = 0;
  std::uint16_t tail_ = 0;
};

}  // namespace netstor::nvme
