// SPDX-License-Identifier: Apache-2.0
#pragma once
// The drivers on io_uring: TCP links, local files and block devices; and local NVMe disks, whose commands it
// passes through.

#include <netstor/capabilities.h>
#include <netstor/ext/driver.h>

#include <vector>

namespace netstor {

Driver& uring_driver() noexcept;
Driver& nvme_driver() noexcept;

/// What this kernel's io_uring can do, for capabilities().
std::vector<Capability> uring_capabilities();

}  // namespace netstor
