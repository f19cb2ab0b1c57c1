// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the users of a simulated volume ask for: requests of all kinds and sizes, some in pieces, some with a
// deadline, some cancelled, some abandoned. Drawn from a seed; nothing here runs anything.

#include <netstor/ext/device.h>

#include "lib/base/random.h"

#include <cstdint>
#include <vector>

namespace netstor::sim {

struct Request {
  enum class End : std::uint8_t {
    awaited,
    deadline,   ///< with_deadline() after `patience`
    cancelled,  ///< cancel() after `patience`, then awaited
    dropped,    ///< the future is dropped after `patience`
  };
  DeviceVerb verb = DeviceVerb::read;
  std::uint64_t first = 0;  ///< blocks
  std::uint64_t count = 0;
  std::vector<std::size_t> pieces;  ///< bytes of each; one piece is not a list
  bool force_unit_access = false;
  bool idempotent = false;
  End end = End::awaited;
  Duration patience{};
  Duration pause{};  ///< before the next request of the same user
};

struct WorkloadLimits {
  std::uint64_t blocks = 0;
  std::uint64_t hot_blocks = 64;   ///< where half of the requests go, so that they meet
  std::uint64_t blocks_max = 512;  ///< of one request
  std::uint64_t compare_and_write_blocks_max = 1;
};

class Workload {
 public:
  Workload(std::uint64_t seed, WorkloadLimits limits) : random_(seed), limits_(limits) {}

  Request draw();
  Random& random() noexcept { return random_; }

 private:
  DeviceVerb draw_verb();
  std::uint64_t draw_count();
  void draw_pieces(Request& request);
  void draw_end(Request& request);

  Random random_;
  WorkloadLimits limits_;
};

}  // namespace netstor::sim
