// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/runtimes.h"

#include "lib/engine/engine.h"

#include <algorithm>

namespace netstor::sim {

Result<Runtime> Runtimes::start(std::string_view host, unsigned shards) {
  const World::Enter enter(world_, host);
  const RuntimeOptions options{
      .shards = shards, .embedded = true, .io_driver = IoDriver::sim, .seed = world_.random().next() | 1};
  NETSTOR_TRY_RETURN(auto engine, detail::Engine::make(options, &world_));
  return detail::Engine::wrap(std::move(engine));
}

void Runtimes::add(std::string_view host, Runtime& runtime) {
  entries_.push_back({.host = std::string(host), .runtime = &runtime});
}

void Runtimes::remove(Runtime& runtime) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.runtime == &runtime; });
}

void Runtimes::set_alarm(Time when, std::function<void()> ring) {
  alarm_ = when;
  ring_ = std::move(ring);
}

bool Runtimes::turn() {
  bool busy = false;
  for (const Entry& entry : entries_) {
    const World::Enter enter(world_, entry.host);
    // Not always the same shard first: who sees an event first is chance on a machine, too.
    const unsigned shards = entry.runtime->shards();
    const unsigned first = static_cast<unsigned>(world_.random().below(shards));
    for (unsigned i = 0; i < shards; ++i) busy |= entry.runtime->shard((first + i) % shards).run_once();
  }
  // Between turns this thread is nobody's shard: an embedded one would keep it.
  detail::current_loop = nullptr;
  return busy;
}

Time Runtimes::next_time() {
  Time next = std::min(world_.next_event(), alarm_);
  for (const Entry& entry : entries_) {
    detail::Engine& engine = detail::Engine::of(*entry.runtime);
    for (unsigned i = 0; i < engine.shards(); ++i) next = std::min(next, engine.loop(i).next_deadline());
  }
  return next;
}

bool Runtimes::run_until(const std::function<bool()>& done, Duration limit) {
  const Time last = world_.now() + limit;
  unsigned standstill = 0;
  while (!done()) {
    for (unsigned turns = 0; turns < kTurnsMax && turn(); ++turns) {
    }
    if (done()) return true;
    const Time next = next_time();
    if (next == Time::max() && world_.now() >= last) return false;
    if (next > last) {
      world_.advance(last);
      return done();
    }
    standstill = next > world_.now() ? 0 : standstill + 1;
    if (standstill > kStandstillMax) return false;
    world_.advance(std::max(next, world_.now()));
    if (world_.now() < alarm_) continue;
    alarm_ = Time::max();
    std::exchange(ring_, nullptr)();
  }
  return true;
}

}  // namespace netstor::sim
