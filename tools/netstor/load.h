// SPDX-License-Identifier: Apache-2.0
#pragma once
// Load on a volume: on each shard, as many coroutines as requests shall be in flight, each sending its next
// request when the last one is answered, all counting into their shard's histogram. What to ask for is a
// LoadPlan; what came of it a LoadResult. Behind bench and stat.

#include <netstor/volume.h>

#include "tools/netstor/histogram.h"

#include <functional>
#include <optional>

namespace netstor::tool {

struct LoadPlan {
  bool random = true;
  unsigned read_percent = 100;
  std::size_t block_bytes = 4096;  ///< of a request; a multiple of the volume's
  unsigned depth = 1;              ///< requests in flight on each shard
  double seconds = 1;
  std::uint64_t span_bytes = 0;  ///< of the volume, from its start; 0: all
  std::uint64_t seed = 1;
};

struct LoadResult {
  Histogram latency;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  double seconds = 0;
  Metrics metrics;  ///< of the runtime, during the load

  std::uint64_t operations() const noexcept { return reads + writes; }
};

/// What was counted between two snapshots.
Metrics difference(const Metrics& after, const Metrics& before);

/// Foreign threads. `tick` is called about ten times a second with the share of the time that has passed.
Result<LoadResult> run_load(Runtime& runtime, const Volume& volume, const LoadPlan& plan,
                            const std::function<void(double)>& tick = {});

}  // namespace netstor::tool
