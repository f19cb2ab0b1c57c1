// SPDX-License-Identifier: Apache-2.0
#pragma once
// What this build can do on this machine, and why not.
//
//   for (const Capability& c : capabilities())
//     std::cout << c.name << ": " << (c.available ? "yes" : c.reason) << '\n';
//
// `netstor info --capabilities` prints it. Thread rule: any thread; it probes, so call it once, not per I/O.

#include <string>
#include <vector>

namespace netstor {

struct Capability {
  std::string name;  ///< "driver.uring", "memory.locked_limit", "crc32c"
  bool available = false;
  std::string reason;  ///< why not, and what to do; or detail when available
};

std::vector<Capability> capabilities();

}  // namespace netstor
