// SPDX-License-Identifier: Apache-2.0
#pragma once
// What happened in one simulation or in many: what was asked, what was answered, what went wrong. For people,
// who want to see that the faults did happen.

#include <netstor/ext/device.h>

#include "transports/sim/world.h"

#include <array>
#include <cstdint>
#include <string>

namespace netstor::sim {

const char* to_string(DeviceVerb verb) noexcept;

struct Tally {
  static constexpr std::size_t kVerbs = 8;
  static constexpr std::size_t kKinds = static_cast<std::size_t>(ErrorKind::internal) + 1;

  std::array<std::uint64_t, kVerbs> asked{};
  std::uint64_t answered_ok = 0;
  std::array<std::uint64_t, kKinds> failed{};
  std::uint64_t unknown = 0;  ///< failures with effect unknown
  std::uint64_t dropped = 0;
  std::uint64_t blocks_checked = 0;
  std::uint64_t stored = 0;  ///< operations that the server's store completed
  std::uint64_t replays = 0;
  std::uint64_t reconnects = 0;
  World::FaultCounts faults{};
  Duration time{};

  Tally& operator+=(const Tally& other) noexcept;
  /// Several lines.
  std::string to_string() const;
};

}  // namespace netstor::sim
