// SPDX-License-Identifier: Apache-2.0
#pragma once
// A device operation as an NVMe command, whichever way it goes to the controller.

#include <netstor/ext/device.h>

#include <span>

#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/dsm.h"

namespace netstor::nvme {

/// Why the operation cannot be sent at all; ok when it can.
OpResult check(const DeviceOp& op, const DeviceLimits& limits) noexcept;

/// Of an operation on blocks of `block_bytes`.
BlockIo block_io(const DeviceOp& op, std::uint32_t block_bytes) noexcept;

/// The command of every operation but compare_and_write; its place for the data is the caller's to say.
Command command_of(const DeviceOp& op, std::uint32_t nsid, std::uint32_t block_bytes) noexcept;

/// What goes with the command of a deallocate.
void encode_range(const DeviceOp& op, std::uint32_t block_bytes,
                  std::span<std::byte, kDsmRangeBytes> out) noexcept;

}  // namespace netstor::nvme
