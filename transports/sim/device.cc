// SPDX-License-Identifier: Apache-2.0
#include "transports/sim/device.h"

#include "lib/base/assert.h"
#include "transports/sim/port.h"

#include <cerrno>

namespace netstor::sim {

SimDevice::SimDevice(SimPort& port, Disk& disk, bool writable)
    : port_(port), world_(port.world()), disk_(disk) {
  limits_ = {.size_bytes = disk.size_bytes(),
             .block_bytes = Disk::kBlockBytes,
             .transfer_bytes_max = kTransferBytesMax,
             .zero_bytes_max = 1 << 20,
             .atomic_bytes = kAtomicBytes,
             .memory_alignment = 1,
             .depth = kDepth,
             .writable = writable,
             .volatile_cache = true,
             .can_write_zeroes = true,
             .can_deallocate = true,
             .can_compare = true,
             .can_compare_and_write = true,
             .can_verify = true};
  for (Slot& slot : slots_) {
    slot.device = this;
    slot.Event::fire = [](Event& event) noexcept {
      auto& self = static_cast<Slot&>(event);
      self.device->fire(self);
    };
  }
  disk_.move_to(port_.host());
  port_.add(*this);
}

SimDevice::~SimDevice() {
  NETSTOR_ASSERT(closed_);
  port_.remove(*this);
}

Duration SimDevice::draw_time() {
  FaultPlan& faults = world_.faults();
  Duration time = faults.service;
  if (world_.strikes(Fault::slow_disk, faults.slow)) {
    time += Duration(static_cast<std::int64_t>(
        world_.random().below(static_cast<std::uint64_t>(faults.slow_max.count()))));
  }
  return time;
}

Submit SimDevice::submit(DeviceOp& op) {
  for (Slot& slot : slots_) {
    if (slot.op != nullptr) continue;
    slot.op = &op;
    slot.begun = false;
    op.driver_words[0] = static_cast<std::uint64_t>(&slot - slots_.data());
    world_.schedule(slot, draw_time());
    return Submit::accepted;
  }
  return Submit::full;
}

void SimDevice::fire(Slot& slot) {
  DeviceOp& op = *slot.op;
  if (port_.dead()) return finish(slot, OpResult::system(EIO, slot.begun ? Effect::unknown : Effect::none));
  const OpResult checked = check(op);
  if (!checked.ok) return finish(slot, checked);
  if (op.verb == DeviceVerb::write && op.length > kAtomicBytes && !slot.begun) {
    slot.begun = true;
    write_some(op, 0.5);
    return world_.schedule(slot, draw_time());
  }
  const OpResult result = perform(op);
  world_.trace(result.ok ? "disk" : "disk-error", static_cast<std::uint64_t>(op.verb), op.offset, op.length);
  finish(slot, result);
}

void SimDevice::finish(Slot& slot, OpResult result) {
  world_.unschedule(slot);
  port_.finish(*std::exchange(slot.op, nullptr), result);
}

OpResult SimDevice::check(const DeviceOp& op) const {
  if (op.verb == DeviceVerb::flush) return OpResult::success();
  if (changes(op.verb) && !limits_.writable) return OpResult::system(EACCES);
  if (op.offset % Disk::kBlockBytes != 0 || op.length % Disk::kBlockBytes != 0 || op.length == 0) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  if (op.offset > limits_.size_bytes || op.length > limits_.size_bytes - op.offset) {
    return OpResult::failure(ErrorKind::out_of_range);
  }
  const bool moves = has_payload(op.verb);
  const std::uint64_t length_max = op.verb == DeviceVerb::compare_and_write ? limits_.atomic_bytes
                                   : moves                                  ? limits_.transfer_bytes_max
                                                                            : limits_.zero_bytes_max;
  const bool sums_up = (!moves || PieceCursor(op.pieces, op.piece_count).remaining() == op.length) &&
                       (op.verb != DeviceVerb::compare_and_write ||
                        PieceCursor(op.expected, op.expected_count).remaining() == op.length);
  if (op.length > length_max || !sums_up) return OpResult::failure(ErrorKind::invalid_argument);
  return OpResult::success();
}

OpResult SimDevice::perform(DeviceOp& op) {
  FaultPlan& faults = world_.faults();
  Random& random = world_.random();
  if (op.verb == DeviceVerb::flush) {
    if (world_.strikes(Fault::flush_error, faults.flush_error)) return OpResult::system(EIO, Effect::unknown);
    disk_.flush();
    return OpResult::success();
  }
  if (!changes(op.verb)) {
    if (world_.strikes(Fault::read_error, faults.read_error)) return OpResult::system(EIO);
  } else {
    const Effect effect = op.length > kAtomicBytes ? Effect::unknown : Effect::none;  // half is there already
    if (world_.strikes(Fault::no_space, faults.no_space)) return OpResult::system(ENOSPC, effect);
    if (world_.strikes(Fault::write_error, faults.write_error)) {
      if (op.verb == DeviceVerb::write) write_some(op, 0.5);
      return OpResult::system(EIO, Effect::unknown);
    }
  }
  const OpResult result = move_blocks(op);
  if (!result.ok || !changes(op.verb)) return result;
  if (op.force_unit_access) {
    disk_.make_stable(op.offset / Disk::kBlockBytes, op.length / Disk::kBlockBytes);
  }
  if (random.chance(faults.destage)) disk_.destage();
  return result;
}

OpResult SimDevice::move_blocks(DeviceOp& op) {
  const std::uint64_t first = op.offset / Disk::kBlockBytes;
  const std::uint64_t count = op.length / Disk::kBlockBytes;
  static constexpr std::array<std::byte, Disk::kBlockBytes> kZeroes{};
  switch (op.verb) {
    case DeviceVerb::read:
      PieceCursor(op.pieces, op.piece_count).give(disk_.block(first), op.length);
      return OpResult::success(op.length);
    case DeviceVerb::compare:
      if (!equals(op.pieces, op.piece_count, op)) return OpResult::failure(ErrorKind::compare_failed);
      return OpResult::success(op.length);
    case DeviceVerb::compare_and_write:
      if (!equals(op.expected, op.expected_count, op)) return OpResult::failure(ErrorKind::compare_failed);
      [[fallthrough]];
    case DeviceVerb::write:
      write_some(op, 1);
      return OpResult::success(op.length);
    case DeviceVerb::write_zeroes:
    case DeviceVerb::deallocate:
      for (std::uint64_t i = 0; i < count; ++i) disk_.write(first + i, kZeroes.data());
      return OpResult::success();
    case DeviceVerb::verify:
    case DeviceVerb::flush:
      return OpResult::success();
  }
  return OpResult::failure(ErrorKind::unsupported);
}

bool SimDevice::equals(const iovec* pieces, unsigned count, const DeviceOp& op) const {
  PieceCursor from(pieces, count);
  std::array<std::byte, Disk::kBlockBytes> block;
  for (std::uint64_t at = 0; at < op.length; at += Disk::kBlockBytes) {
    from.take(block.data(), block.size());
    if (std::memcmp(block.data(), disk_.block((op.offset + at) / Disk::kBlockBytes), block.size()) != 0)
      return false;
  }
  return true;
}

void SimDevice::write_some(const DeviceOp& op, double probability) {
  PieceCursor from(op.pieces, op.piece_count);
  std::array<std::byte, Disk::kBlockBytes> block;
  for (std::uint64_t at = 0; at < op.length; at += Disk::kBlockBytes) {
    from.take(block.data(), block.size());
    if (probability >= 1 || world_.random().chance(probability)) {
      disk_.write((op.offset + at) / Disk::kBlockBytes, block.data());
    }
  }
}

void SimDevice::cancel(DeviceOp& op) {
  Slot& slot = slots_[op.driver_words[0] % kDepth];
  if (slot.op != &op) return;  // it is on its way back
  finish(slot, OpResult::failure(ErrorKind::cancelled, Origin::library, 0,
                                 slot.begun ? Effect::unknown : Effect::none));
}

void SimDevice::end_all(OpResult why) {
  for (Slot& slot : slots_) {
    if (slot.op == nullptr) continue;
    why.effect = slot.begun ? Effect::unknown : Effect::none;
    finish(slot, why);
  }
}

void SimDevice::close(Op& closed) {
  NETSTOR_ASSERT(!closed_);
  closed_ = true;
  end_all(OpResult::failure(ErrorKind::cancelled));
  port_.finish(closed, OpResult::success());
}

void SimDevice::die() {
  for (Slot& slot : slots_) {
    // The power fails in the middle of a write: any part of it may be there.
    if (slot.op == nullptr || slot.op->verb != DeviceVerb::write || !check(*slot.op).ok) continue;
    if (slot.begun) {
      world_.met(Fault::torn_write);
    } else if (slot.op->length > kAtomicBytes && world_.strikes(Fault::torn_write, 0.5)) {
      slot.begun = true;
      write_some(*slot.op, 0.5);
    }
  }
  end_all(OpResult::system(EIO));
}

}  // namespace netstor::sim
