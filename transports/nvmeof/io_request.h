// SPDX-License-Identifier: Apache-2.0
#pragma once
// A device operation as an NVMe command.

#include <netstor/ext/device.h>

#include <array>

#include "lib/proto/nvme/host_queue.h"
#include "transports/nvmeof/namespace.h"

namespace netstor::nvmeof {

class NvmeofDevice;

struct IoRequest : nvme::HostRequest {
  NvmeofDevice* device = nullptr;
  DeviceOp* op = nullptr;
  IoRequest* partner = nullptr;  // of a fused pair; cleared in both when one is done
  IoRequest* next = nullptr;     // free ones
  OpResult first;                // of a fused pair: what the half that was done first said
  iovec range_piece{};
  std::array<std::byte, 16> range{};  // deallocate: its payload
};

/// Makes the command of every operation but compare_and_write, or one half of that.
void prepare(IoRequest& request, DeviceOp& op, const Terms& terms) noexcept;
void prepare_pair(IoRequest& compare, IoRequest& write, DeviceOp& op, const Terms& terms) noexcept;

/// What a finished command means for its operation. `lost`: what stands for a lost connection.
OpResult result_of(const IoRequest& request, const OpResult& lost) noexcept;

}  // namespace netstor::nvmeof
