// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/fabrics/rdma_fault.h"

namespace netstor::nvme::rdma {

std::string_view to_string(HostFault fault) {
  switch (fault) {
    case HostFault::none:
      break;
    case HostFault::message_length:
      return "a response of another length";
    case HostFault::unknown_command:
      return "a response to no command";
    case HostFault::queue_head:
      return "a queue head beyond the queue";
    case HostFault::foreign_key:
      return "the end of a window that is not the command's";
  }
  return "none";
}

std::string_view to_string(TargetFault fault) {
  switch (fault) {
    case TargetFault::none:
      break;
    case TargetFault::short_capsule:
      return "a capsule shorter than a command";
    case TargetFault::long_capsule:
      return "a capsule longer than was agreed";
    case TargetFault::too_many:
      return "more commands than the queue has entries";
  }
  return "none";
}

}  // namespace netstor::nvme::rdma
