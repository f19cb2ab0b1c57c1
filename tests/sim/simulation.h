// SPDX-License-Identifier: Apache-2.0
#pragma once
// One seed: a world, a target and its users; faults while they work, then healing, then the reckoning.

#include "tests/sim/chaos.h"
#include "tests/sim/target.h"
#include "tests/sim/user.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace netstor::sim {

enum class TargetKind : std::uint8_t {
  any,  ///< one of the two, by the seed
  disk,
  nvme,
};

struct SimulationOptions {
  TargetKind target = TargetKind::any;
  Defect defect = Defect::none;
  unsigned requests = 200;
  bool trace = false;  ///< every line, to the standard error
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, const SimulationOptions& options);
  ~Simulation();

  /// What went wrong; nothing when all is as promised.
  std::optional<std::string> run();
  std::uint64_t trace_hash() const noexcept { return world_.trace_hash(); }
  std::string trace_tail(std::size_t lines_max) const { return world_.trace_tail(lines_max); }
  Tally tally() const;
  /// Which target the seed had.
  const char* target_name() const noexcept { return kind_ == TargetKind::disk ? "disk" : "nvme"; }

 private:
  std::optional<std::string> bring_up();
  std::optional<std::string> work();
  std::optional<std::string> reckon();
  std::optional<std::string> close();
  VolumeOptions draw_options();

  const SimulationOptions options_;
  World world_;
  TargetKind kind_;
  Time begin_{};
  Runtimes runtimes_{world_};
  std::unique_ptr<Target> target_;
  std::unique_ptr<Chaos> chaos_;
  std::optional<Runtime> client_;
  VolumeOptions volume_options_;
  std::unique_ptr<Users> users_;
  Metrics metrics_;
};

}  // namespace netstor::sim
