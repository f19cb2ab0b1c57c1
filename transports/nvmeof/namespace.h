// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an I/O queue must know of its controller and namespace: made from Identify by the shard that holds
// the admin queue, handed to the other shards as a ticket.
//
// One path is all that a device has today. Two things have their place here when there are more:
// the state of each path (asymmetric access, by ANA group of the namespace) beside `cntlid`, and the fence
// that keeps a write of a lost path from landing after its replay on another.

#include <netstor/ext/device.h>

#include <array>

namespace netstor::nvmeof {

enum class PathState : std::uint8_t { optimized };  // later also non_optimized, inaccessible, fenced

struct Terms {
  std::uint16_t cntlid = 0;
  std::uint16_t home = 0;       ///< the shard with the admin queue
  std::uint16_t queues = 1;     ///< I/O queues that the controller grants
  std::uint16_t depth_max = 1;  ///< commands outstanding on one
  std::uint32_t nsid = 1;
  std::uint32_t in_capsule_max = 0;
  PathState path = PathState::optimized;
  std::array<std::byte, 16> host_id{};
  DeviceLimits limits;

  Ticket ticket() const noexcept;
  static Terms from(const Ticket& ticket) noexcept;

  /// The home has the first queue; all shards together have queues 1 to their number.
  std::uint16_t qid(unsigned shard) const noexcept {
    return static_cast<std::uint16_t>(1 + (shard == home ? 0u : shard == 0 ? home : shard));
  }
};

}  // namespace netstor::nvmeof
