// SPDX-License-Identifier: Apache-2.0
#pragma once
// From an address to a connection that Connect can be sent on, over the transport that the target's URI
// names.

#include <netstor/task.h>

#include "transports/nvmeof/connection.h"
#include "transports/nvmeof/port.h"

namespace netstor::nvmeof {

Task<std::unique_ptr<Connection>> connect(NvmeofPort& port, const Target& target, Connection::Owner& owner,
                                          Connection::Plan plan);

}  // namespace netstor::nvmeof
