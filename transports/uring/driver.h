// SPDX-License-Identifier: Apache-2.0
#pragma once
// The driver on io_uring: TCP links, local files and block devices.

#include <netstor/capabilities.h>
#include <netstor/ext/driver.h>

#include <vector>

namespace netstor {

Driver& uring_driver() noexcept;

/// What this kernel's io_uring can do, for capabilities().
std::vector<Capability> uring_capabilities();

}  // namespace netstor
