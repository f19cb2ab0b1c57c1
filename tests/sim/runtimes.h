// SPDX-License-Identifier: Apache-2.0
#pragma once
// All runtimes of a simulation on one thread: turns their shards, and moves the world's clock when none of
// them has anything left to do.

#include <netstor/shard.h>

#include "transports/sim/world.h"

#include <functional>
#include <string>
#include <vector>

namespace netstor::sim {

class Runtimes {
 public:
  explicit Runtimes(World& world) : world_(world) {}

  /// A runtime of embedded shards on `host`, with the world's clock.
  Result<Runtime> start(std::string_view host, unsigned shards);
  /// Turned from now on, until it is removed or destroyed. The runtime stays where it is.
  void add(std::string_view host, Runtime& runtime);
  void remove(Runtime& runtime);

  /// Called at `when`, once; it may set the next time.
  void set_alarm(Time when, std::function<void()> ring);

  /// Goes on until `done`, for at most `limit` of the world's time. False when that has passed, or when
  /// nothing will ever happen, or when time stands still.
  bool run_until(const std::function<bool()>& done, Duration limit);
  /// Lets time pass.
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }

 private:
  struct Entry {
    std::string host;
    Runtime* runtime;
  };
  bool turn();
  Time next_time();

  static constexpr unsigned kTurnsMax = 64;  // before time moves all the same: some work only waits
  static constexpr unsigned kStandstillMax = 1'000'000;  // turns without time moving

  World& world_;
  std::vector<Entry> entries_;
  Time alarm_ = Time::max();
  std::function<void()> ring_;
};

}  // namespace netstor::sim
