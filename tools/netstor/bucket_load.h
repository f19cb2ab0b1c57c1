// SPDX-License-Identifier: Apache-2.0
#pragma once
// Load on a bucket: on each shard, as many coroutines as requests shall be in flight, each getting or putting
// one object of a set after the other. Behind `bench s3://…`.

#include <netstor/bucket.h>

#include "tools/netstor/load.h"

#include <functional>
#include <string>
#include <vector>

namespace netstor::tool {

struct BucketPlan {
  std::vector<std::string> keys;  ///< of objects of `size_bytes`; gets want them to be there
  std::size_t size_bytes = 4096;
  unsigned get_percent = 100;
  unsigned parallel = 1;  ///< requests in flight on each shard
  double seconds = 1;
  std::uint64_t seed = 1;
};

/// Foreign threads. `tick` is called about ten times a second with the share of the time that has passed.
Result<LoadResult> run_bucket_load(Runtime& runtime, const Bucket& bucket, const BucketPlan& plan,
                                   const std::function<void(double)>& tick);

}  // namespace netstor::tool
