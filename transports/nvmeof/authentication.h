// SPDX-License-Identifier: Apache-2.0
#pragma once
// In-band authentication of one queue, directly after its Connect (NVMe Base 2.0, "NVMe In-band
// Authentication"): carries what lib/proto/nvme/dhchap.h says, by Authentication Send and Receive.

#include <netstor/task.h>

#include "transports/nvmeof/exchange.h"

namespace netstor::nvmeof {

/// permission_denied when one end does not believe the other. The commands that come after this are let in.
Task<void> authenticate(Connection& connection, const Target& target, std::uint16_t qid);

}  // namespace netstor::nvmeof
