// SPDX-License-Identifier: Apache-2.0
#pragma once
// What goes wrong in a simulation, and when: the fault plan, drawn once, and from time to time a partition, a
// death and a restart. Every seed has its own choice of faults, so that each kind is also met without the
// others.

#include "tests/sim/target.h"

namespace netstor::sim {

class Chaos {
 public:
  Chaos(World& world, Runtimes& runtimes, Target& target)
      : world_(world), runtimes_(runtimes), target_(target) {}

  /// What is never switched off: a network has latency, a disk takes time.
  static FaultPlan calm();
  void begin();
  /// No more faults; what is cut is joined, what is dead is started.
  void heal();

  /// A restart that failed.
  const std::optional<std::string>& failure() const noexcept { return failure_; }
  /// Told of a death, just after it.
  std::function<void(World::Death)> on_death;

 private:
  FaultPlan draw();
  void act();
  void wait();
  void restart();
  Duration draw_time(Duration max);

  World& world_;
  Runtimes& runtimes_;
  Target& target_;
  bool partitions_ = false;
  bool kills_ = false;
  bool cuts_to_ = false;
  bool cuts_from_ = false;
  std::optional<std::string> failure_;
};

}  // namespace netstor::sim
