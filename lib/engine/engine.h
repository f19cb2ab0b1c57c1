// SPDX-License-Identifier: Apache-2.0
#pragma once
// All shards of one runtime: chosen driver, threads, start and end.

#include <netstor/shard.h>

#include "lib/engine/blocking.h"
#include "lib/engine/shard_loop.h"

#include <thread>

namespace netstor::detail {

class Engine {
 public:
  /// `clock`: the simulator's, which also means one thread and no blocking helper; null for the system's.
  static Result<std::unique_ptr<Engine>> make(const RuntimeOptions& options, const Clock* clock = nullptr);
  /// The engine behind a runtime, and a runtime around an engine (the simulator makes those).
  static Engine& of(Runtime& runtime) noexcept { return *runtime.engine_; }
  static Runtime wrap(std::unique_ptr<Engine> engine) noexcept { return Runtime(std::move(engine)); }
  ~Engine();

  unsigned shards() const noexcept { return static_cast<unsigned>(loops_.size()); }
  ShardLoop& loop(unsigned index) noexcept { return *loops_[index]; }
  Driver& io_driver() noexcept { return *io_driver_; }
  const RuntimeOptions& options() const noexcept { return options_; }
  /// Where a foreign thread's next volume lives: shards in turn.
  unsigned next_home() noexcept { return home_.fetch_add(1, std::memory_order_relaxed) % shards(); }

 private:
  Engine() = default;
  Result<void> start_threads();
  void stop() noexcept;

  RuntimeOptions options_;
  Driver* io_driver_ = nullptr;
  BlockingThread blocking_;
  std::atomic<unsigned> unstopped_{0};
  std::vector<std::unique_ptr<ShardLoop>> loops_;
  std::vector<std::thread> threads_;
  std::atomic<unsigned> home_{0};
};

}  // namespace netstor::detail
