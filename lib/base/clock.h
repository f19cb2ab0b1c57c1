// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a shard's time comes from: the system, or the simulator.

#include <netstor/options.h>

namespace netstor {

class Clock {
 public:
  virtual Time now() const noexcept = 0;

 protected:
  ~Clock() = default;
};

class SteadyClock final : public Clock {
 public:
  Time now() const noexcept override { return std::chrono::steady_clock::now(); }
  static const SteadyClock& instance() noexcept {
    static constexpr SteadyClock clock;
    return clock;
  }
};

}  // namespace netstor
