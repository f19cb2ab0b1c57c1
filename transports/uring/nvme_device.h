// SPDX-License-Identifier: Apache-2.0
#pragma once
// A local NVMe namespace as a device: each operation is one command, handed to the kernel's NVMe driver past
// the block layer (IORING_OP_URING_CMD), straight from and into the caller's memory.
//
// The kernel ends a command that takes longer than VolumeOptions::io_timeout, by aborting it or by resetting
// the controller; nothing else can take one back, so that cancel() lets it end by itself.

#include <netstor/ext/device.h>
#include <netstor/options.h>

#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/dsm.h"
#include "transports/uring/nvme_disk.h"
#include "transports/uring/nvme_port.h"

#include <array>

namespace netstor::uring {

class NvmeDevice final : public Device {
 public:
  /// Takes the descriptor over, on failure too. `options` may be null.
  static Result<std::unique_ptr<Device>> make(NvmePort& port, OpenedNamespace opened,
                                              const VolumeOptions* options);
  ~NvmeDevice() override;

  const DeviceLimits& limits() const noexcept override { return disk_.limits; }
  Submit submit(DeviceOp& op) override;
  void cancel(DeviceOp&) override {}
  void close(Op& closed) override;
  void observe(DeviceObserver* observer) noexcept override { observer_ = observer; }
  std::string identity() const override { return disk_.identity; }
  std::string describe() const override { return disk_.description; }

 private:
  struct Task : Request {
    NvmeDevice* device = nullptr;
    DeviceOp* op = nullptr;
    Task* next = nullptr;
    std::array<std::byte, nvme::kDsmRangeBytes> range{};  // deallocate: its payload
  };

  NvmeDevice(NvmePort& port, OpenedNamespace opened, Ring& ring, const VolumeOptions& options);
  void execute(Task& task) noexcept;
  OpResult result_of(const DeviceOp& op, std::int32_t answer) const noexcept;
  void done(Task& task, std::int32_t answer) noexcept;
  void end_close() noexcept;

  NvmePort& port_;
  OpenedNamespace disk_;
  Ring& ring_;
  const int fixed_;
  const bool takes_registered_memory_;
  const std::uint32_t timeout_ms_;
  std::unique_ptr<Task[]> tasks_;
  Task* free_ = nullptr;
  unsigned active_ = 0;
  DeviceObserver* observer_ = nullptr;
  bool lost_ = false;
  OpResult why_;
  Op* closed_ = nullptr;
};

}  // namespace netstor::uring
