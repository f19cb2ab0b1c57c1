// SPDX-License-Identifier: Apache-2.0
#include "lib/engine/tracer.h"

namespace netstor {

namespace detail {

constinit thread_local Tracer tracer;

void Tracer::tell(TracePoint& point) const noexcept {
  if (hook == nullptr) return;
  point.shard = current_loop->index();
  point.at = std::chrono::steady_clock::now();  // the loop's time is of its turn, too coarse for this
  hook(user, point);
}

}  // namespace detail

void trace(Runtime& runtime, TraceHook hook, void* user) {
  for (unsigned i = 0; i < runtime.shards(); ++i) {
    auto set = runtime.shard(i).run_on([=] {
      detail::tracer.hook = hook;
      detail::tracer.user = user;
    });
    static_cast<void>(set.get());
  }
}

}  // namespace netstor
