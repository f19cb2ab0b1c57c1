// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an NVMe status means to the caller of the library, whichever way the command went.

#include <netstor/ext/driver.h>

#include <string_view>

#include "lib/wire/nvme/status.h"

namespace netstor::nvme {

/// Never ok. `changes`: the command may change what is stored, so that a failure half way matters.
OpResult result_of(Status status, StatusDialect dialect, bool changes) noexcept;

/// "WHAT: lba out of range (NVMe status 080h)". `result`: what else the completion says.
Error error_of(Status status, StatusDialect dialect, std::string_view what, std::uint64_t result);

}  // namespace netstor::nvme
