// SPDX-License-Identifier: Apache-2.0
#pragma once
// RDMA for a server's shard.

#include <netstor/ext/driver.h>

#include <span>

#include "transports/message_link.h"

namespace netstor::net {

/// The shard's port for RDMA, which may reach `memory` from now on; its owner has it forgotten.
inline Result<MessagePort*> use_messages(PortContext& context, std::span<std::byte> memory) {
  NETSTOR_TRY_RETURN(Port* const port, context.port("rdma"));
  if (port->messages() == nullptr)
    return Error(ErrorKind::unsupported, "the driver for RDMA has no messages");
  NETSTOR_CHECK_RETURN(port->register_memory(memory));
  return port->messages();
}

}  // namespace netstor::net
