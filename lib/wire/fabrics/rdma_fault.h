// SPDX-License-Identifier: Apache-2.0
//
// How a message can break NVMe/RDMA, so that the connection has to end. There is no message to say it with:
// the other end sees the connection go.

#pragma once

#include <cstdint>
#include <string_view>

namespace netstor::nvme::rdma {

enum class HostFault : std::uint8_t { none, message_length, unknown_command, queue_head, foreign_key };
enum class TargetFault : std::uint8_t { none, short_capsule, long_capsule, too_many };

std::string_view to_string(HostFault fault);
std::string_view to_string(TargetFault fault);

}  // namespace netstor::nvme::rdma
