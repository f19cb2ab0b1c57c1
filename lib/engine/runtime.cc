// SPDX-License-Identifier: Apache-2.0
// The bodies of shard.h.

#include <netstor/shard.h>

#include "lib/engine/engine.h"

namespace netstor {

Shard* Shard::current() noexcept {
  return detail::current_loop == nullptr ? nullptr : &detail::this_shard_loop().shard();
}
int Shard::fd() noexcept { return static_cast<detail::ShardLoop*>(loop_)->fd(); }
bool Shard::run_once() noexcept { return static_cast<detail::ShardLoop*>(loop_)->run_once(); }
Metrics Shard::metrics() const noexcept { return static_cast<detail::ShardLoop*>(loop_)->metrics(); }

Result<Runtime> Runtime::start(RuntimeOptions options) {
  NETSTOR_TRY_RETURN(auto engine, detail::Engine::make(options));
  return Runtime(std::move(engine));
}

Runtime::Runtime(std::unique_ptr<detail::Engine> engine) noexcept : engine_(std::move(engine)) {}
Runtime::Runtime(Runtime&&) noexcept = default;
Runtime& Runtime::operator=(Runtime&&) noexcept = default;
Runtime::~Runtime() = default;

unsigned Runtime::shards() const noexcept { return engine_->shards(); }
Shard& Runtime::shard(unsigned index) noexcept { return engine_->loop(index).shard(); }
std::string_view Runtime::io_driver() const noexcept { return engine_->io_driver().name(); }

Metrics Runtime::metrics() {
  Metrics sum;
  for (unsigned i = 0; i < shards(); ++i) {
    auto one = shard(i).run_on([] { return Shard::current()->metrics(); }).get();
    if (one) sum += *one;
  }
  return sum;
}

Result<Runtime::Registration> Runtime::register_memory(MutableBytes memory) {
  Registration registration(engine_.get(), memory);
  for (unsigned i = 0; i < shards(); ++i) {
    auto done = shard(i).run_on([memory] { return detail::this_shard_loop().register_memory(memory); });
    if (auto result = done.get(); !result) return std::move(result).error();
  }
  return registration;
}

Runtime::Registration::~Registration() {
  if (engine_ == nullptr) return;
  for (unsigned i = 0; i < engine_->shards(); ++i) {
    auto done = engine_->loop(i).shard().run_on([memory = memory_]() -> Result<void> {
      detail::this_shard_loop().forget_memory(memory);
      return {};
    });
    static_cast<void>(done.get());
  }
}

}  // namespace netstor
