// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who follows the requests of this thread's shards (trace.h). Shards that one thread drives in turn, embedded
// or simulated ones, share it.

#include <netstor/trace.h>

namespace netstor::detail {

struct Tracer {
  TraceHook hook = nullptr;  // null: nobody
  void* user = nullptr;
  std::uint64_t last = 0;

  /// A number for a request that is followed; 0 while nobody follows any.
  std::uint64_t request() noexcept { return hook == nullptr ? 0 : ++last; }
  /// Fills in shard and time. Only for numbers that are not 0.
  void tell(TracePoint& point) const noexcept;
};

extern constinit thread_local Tracer tracer;

}  // namespace netstor::detail
