// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parts of verbs on volumes that work on buckets, too.

#include "tools/netstor/service.h"

#include <string>

namespace netstor::tool {

struct BucketBench {
  std::string rw = "get";  ///< get, put or mixed
  std::uint64_t size_bytes = 4096;
  unsigned parallel = 1;
  unsigned objects = 32;
  unsigned get_percent = 70;  ///< of mixed
  unsigned shards = 1;
  double seconds = 5;
  std::uint64_t seed = 1;
};
Result<void> bench_bucket(Runtime& runtime, const Common& common, const Service& service,
                          const std::string& uri, const BucketBench& bench);

/// Of an object, or of a bucket.
Result<void> stat_bucket(const Common& common, const Service& service, const std::string& uri,
                         const std::string& version_id);

}  // namespace netstor::tool
