// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who this host is to a target: a name and an identifier that belong together (NVMe Base 2.0, "Connect
// command": hosts with one NQN show one Host Identifier).

#include <netstor/result.h>

#include <array>
#include <cstddef>
#include <string>

namespace netstor::nvmeof {

struct HostIdentity {
  std::string nqn;
  std::array<std::byte, 16> id{};
};

/// From the NQN that the user gave.
Result<HostIdentity> host_identity(std::string nqn);

/// Made from the machine's id, scattered so that it is not given away; `random` where the machine has none.
HostIdentity machine_identity(std::uint64_t random);

}  // namespace netstor::nvmeof
