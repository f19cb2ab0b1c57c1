// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/chaos.h"

namespace netstor::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Duration Chaos::draw_time(Duration max) {
  return Duration(static_cast<std::int64_t>(world_.random().below(static_cast<std::uint64_t>(max.count()))));
}

FaultPlan Chaos::calm() { return {.latency = microseconds(20), .service = microseconds(10)}; }

FaultPlan Chaos::draw() {
  Random& random = world_.random();
  const auto sometimes = [&](double probability) { return random.chance(0.4) ? probability : 0; };
  FaultPlan plan = calm();
  plan.latency = draw_time(milliseconds(2));
  plan.split = sometimes(0.3);
  plan.delay = sometimes(0.1);
  plan.loss = sometimes(0.02);
  plan.reset = sometimes(0.004);
  plan.mute = sometimes(0.001);
  plan.refuse = sometimes(0.3);
  plan.connect_lost = sometimes(0.2);
  plan.service = draw_time(milliseconds(1));
  plan.slow = sometimes(0.2);
  plan.read_error = sometimes(0.01);
  plan.write_error = sometimes(0.01);
  plan.flush_error = sometimes(0.05);
  plan.no_space = sometimes(0.01);
  plan.destage = sometimes(0.2);
  plan.lose_cached = random.chance(0.5) ? 1 : 0.5;
  return plan;
}

void Chaos::begin() {
  partitions_ = world_.random().chance(0.4);
  kills_ = target_.mortal() && world_.random().chance(0.4);
  world_.faults() = draw();
  wait();
}

void Chaos::wait() {
  runtimes_.set_alarm(world_.now() + draw_time(milliseconds(400)), [this] { act(); });
}

void Chaos::act() {
  Random& random = world_.random();
  if (!target_.up()) {
    restart();
  } else if (cuts_to_ || cuts_from_) {
    world_.set_cut(kClientHost, kServerHost, cuts_to_ = false);
    world_.set_cut(kServerHost, kClientHost, cuts_from_ = false);
  } else if (kills_ && random.chance(0.3)) {
    const auto death = random.chance(0.5) ? World::Death::power : World::Death::process;
    target_.kill(death);
    if (on_death) on_death(death);
  } else if (partitions_ && random.chance(0.3)) {
    cuts_to_ = random.chance(0.7);
    cuts_from_ = !cuts_to_ || random.chance(0.5);
    world_.set_cut(kClientHost, kServerHost, cuts_to_);
    world_.set_cut(kServerHost, kClientHost, cuts_from_);
    // Long enough to be noticed, at times.
    if (random.chance(0.3))
      return runtimes_.set_alarm(world_.now() + draw_time(seconds(10)), [this] { act(); });
  }
  wait();
}

void Chaos::restart() {
  if (Result<void> started = target_.start(); !started && !failure_) failure_ = started.error().to_string();
}

void Chaos::heal() {
  runtimes_.set_alarm(Time::max(), nullptr);
  world_.trace("heal");
  world_.set_cut(kClientHost, kServerHost, false);
  world_.set_cut(kServerHost, kClientHost, false);
  world_.faults() = calm();
  if (!target_.up()) restart();
}

}  // namespace netstor::sim
