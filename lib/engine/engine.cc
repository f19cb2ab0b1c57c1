// SPDX-License-Identifier: Apache-2.0
#include "lib/engine/engine.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <random>
#include <system_error>

namespace netstor::detail {
namespace {

Error invalid(std::string text) {
  return {ErrorKind::invalid_argument, "RuntimeOptions::" + std::move(text)};
}

Result<void> check(const RuntimeOptions& options) {
  if (options.shards < 1 || options.shards > 256) return invalid("shards must be 1 to 256");
  const bool bounded =
      options.poll_budget >= Duration::zero() && options.poll_budget <= std::chrono::seconds(1);
  if (!bounded && options.poll_budget != Duration::max()) {
    return invalid("poll_budget must be 0 to 1 s, or Duration::max()");
  }
  return {};
}

std::string_view name_of(IoDriver driver) {
  switch (driver) {
    case IoDriver::uring:
      return "uring";
    case IoDriver::posix:
      return "posix";
    case IoDriver::sim:
      return "sim";
    case IoDriver::automatic:
      break;
  }
  return {};
}

/// The driver that carries sockets and files; `automatic` takes the first that works and is not for tests.
Result<Driver*> choose(IoDriver asked) {
  const std::string_view name = name_of(asked);
  std::string reasons;
  for (Driver* driver : drivers()) {
    if (!driver->abilities().links) continue;
    if (name.empty() ? driver->name() == "sim" : driver->name() != name) continue;
    const auto why_not = driver->probe();
    if (!why_not) return driver;
    reasons += (reasons.empty() ? "" : "; ") + std::string(driver->name()) + ": " + *why_not;
  }
  if (reasons.empty()) reasons = "it is not in this build";
  return Error(ErrorKind::unsupported, "no I/O driver" +
                                           (name.empty() ? "" : " '" + std::string(name) + "'") + ": " +
                                           reasons + " (see netstor info --capabilities)");
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::make(const RuntimeOptions& options, const Clock* clock) {
  NETSTOR_CHECK_RETURN(check(options));
  NETSTOR_TRY_RETURN(Driver * driver, choose(options.io_driver));
  std::unique_ptr<Engine> engine(new Engine);
  engine->options_ = options;
  engine->io_driver_ = driver;
  std::uint64_t seed = options.seed;
  if (seed == 0) seed = (std::uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  for (unsigned i = 0; i < options.shards; ++i) {
    engine->loops_.push_back(std::make_unique<ShardLoop>(ShardLoop::Config{
        .index = i,
        .embedded = options.embedded,
        .poll_budget = options.poll_budget,
        .seed = seed + i,
        .io_driver = driver,
        .clock = clock != nullptr ? clock : &SteadyClock::instance(),
        .blocking = clock != nullptr ? nullptr : &engine->blocking_,
        .unstopped = &engine->unstopped_,
    }));
    ++engine->unstopped_;
  }
  if (!options.embedded) NETSTOR_CHECK_RETURN(engine->start_threads());
  // One embedded shard belongs to the thread that made it: calls before the first turn are on the shard.
  if (options.embedded && clock == nullptr && options.shards == 1 && current_loop == nullptr) {
    current_loop = engine->loops_.front().get();
  }
  return engine;
}

Result<void> Engine::start_threads() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::vector<int> cpus;
  if (options_.pin_threads && ::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
    }
  }
  for (auto& loop : loops_) {
    try {
      threads_.emplace_back([shard = loop.get()] { shard->run(); });
    } catch (const std::system_error& error) {
      return Error::system(error.code().value(), "start a shard's thread");
    }
    const std::string name = "netstor-" + std::to_string(loop->index());
    ::pthread_setname_np(threads_.back().native_handle(), name.c_str());
    if (!cpus.empty()) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpus[loop->index() % cpus.size()], &one);
      ::pthread_setaffinity_np(threads_.back().native_handle(), sizeof one, &one);
    }
  }
  return {};
}

void Engine::stop() noexcept {
  struct Stop : Runnable {
    ShardLoop* loop = nullptr;
    Settling* settling = nullptr;
  };
  const std::size_t running = options_.embedded ? loops_.size() : threads_.size();
  unstopped_ -= static_cast<unsigned>(loops_.size() - running);
  std::vector<Stop> stops(running);
  Settling settling(static_cast<std::ptrdiff_t>(running) + 1);
  for (std::size_t i = 0; i < running; ++i) {
    stops[i].loop = loops_[i].get();
    stops[i].settling = &settling;
    stops[i].run = [](Runnable& self) noexcept {
      auto& order = static_cast<Stop&>(self);
      order.loop->stop(order.settling);
    };
    loops_[i]->post(stops[i]);
  }
  if (!options_.embedded) {
    for (unsigned left = 0; (left = unstopped_.load()) > 0;) unstopped_.wait(left);
    // Whoever may still post ends before the shards do.
    blocking_.end();
    do settling.found(false);
    while (!settling.quiet());
    for (auto& thread : threads_) thread.join();
    return;
  }
  const auto each = [this](auto act) {
    for (auto& loop : loops_) {
      current_loop = loop.get();
      act(*loop);
    }
  };
  const auto turn_all = [&] {
    bool busy = false;
    each([&](ShardLoop& loop) { busy |= loop.turn(); });
    return busy;
  };
  Loop* before = current_loop;
  while (unstopped_.load() > 0) turn_all();
  blocking_.end();
  for (unsigned round = 0; round < Settling::kRoundsMax && turn_all(); ++round) {
  }
  each([&](ShardLoop& loop) {
    loop.drop_ports();
    if (before == &loop) before = nullptr;
  });
  current_loop = before;
}

Engine::~Engine() { stop(); }

}  // namespace netstor::detail
