// SPDX-License-Identifier: Apache-2.0
#pragma once
// A device: one shard's queue onto a disk. Every operation waits its time in a slot, then happens at one
// instant; a write of more than atomic_bytes happens in two, so that others can meet it half done.

#include "transports/sim/disk.h"
#include "transports/sim/pieces.h"

#include <netstor/ext/device.h>

#include <array>

namespace netstor::sim {

class SimPort;

class SimDevice final : public Device {
 public:
  static constexpr unsigned kDepth = 32;
  static constexpr std::uint32_t kTransferBytesMax = 1 << 20;
  static constexpr std::uint32_t kAtomicBytes = 4096;

  SimDevice(SimPort& port, Disk& disk, bool writable);
  ~SimDevice() override;

  const DeviceLimits& limits() const noexcept override { return limits_; }
  Submit submit(DeviceOp& op) override;
  void cancel(DeviceOp& op) override;
  void close(Op& closed) override;
  void observe(DeviceObserver* observer) noexcept override { observer_ = observer; }
  std::string describe() const override { return "driver: sim\n"; }

  /// Power or process are gone: what is in flight stays undone, or half done.
  void die();

 private:
  struct Slot : Event {
    SimDevice* device = nullptr;
    DeviceOp* op = nullptr;
    bool begun = false;  // half of a large write is on the disk
  };

  OpResult check(const DeviceOp& op) const;
  OpResult perform(DeviceOp& op);
  OpResult move_blocks(DeviceOp& op);
  bool equals(const iovec* pieces, unsigned count, const DeviceOp& op) const;
  void write_some(const DeviceOp& op, double probability);
  void fire(Slot& slot);
  void finish(Slot& slot, OpResult result);
  void end_all(OpResult why);
  Duration draw_time();

  SimPort& port_;
  World& world_;
  Disk& disk_;
  DeviceLimits limits_;
  DeviceObserver* observer_ = nullptr;
  std::array<Slot, kDepth> slots_;
  bool closed_ = false;
};

}  // namespace netstor::sim
