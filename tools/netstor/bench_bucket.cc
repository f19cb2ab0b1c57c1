// SPDX-License-Identifier: Apache-2.0
// netstor bench s3://…: how fast a bucket answers. It makes objects of its own, and removes them again.

#include <netstor/uri.h>

#include "tools/netstor/bucket_load.h"
#include "tools/netstor/bucket_verbs.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/picture.h"
#include "tools/netstor/report.h"
#include "tools/netstor/text.h"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <iostream>

namespace netstor::tool {
namespace {

/// Nobody else's: the name has the process and the time in it.
std::vector<std::string> own_keys(const std::string& prefix, unsigned count) {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  const std::string folder = prefix + (prefix.empty() || prefix.ends_with('/') ? "" : "/") +
                             "netstor-bench-" + std::to_string(::getpid()) + "-" + std::to_string(now) + "/";
  std::vector<std::string> keys;
  for (unsigned i = 0; i < count; ++i) keys.push_back(folder + std::to_string(i));
  return keys;
}

Result<void> make_objects(const Bucket& bucket, const BucketPlan& plan) {
  NETSTOR_TRY_RETURN(const Buffer zeroes, Buffer::allocate(std::max<std::size_t>(plan.size_bytes, 1)));
  for (const std::string& key : plan.keys) {
    const Result<ObjectInfo> put = bucket.put(key, zeroes.bytes().first(plan.size_bytes)).get();
    if (!put) return put.error();
  }
  return ok();
}

Result<void> remove_objects(const Bucket& bucket, const BucketPlan& plan) {
  NETSTOR_TRY_RETURN(const std::vector<RemoveFailure> failed, bucket.remove_many(plan.keys).get());
  if (failed.empty()) return ok();
  return Error(ErrorKind::device_error, failed.front().key + " could not be removed: " + failed.front().text);
}

void print_text(const std::string& uri, const BucketBench& bench, const LoadResult& result) {
  const Terminal out = terminal();
  const std::string what = bench.rw + " of objects of " + format_size(bench.size_bytes);
  const std::string how = std::to_string(bench.parallel) + " in flight on each of " +
                          std::to_string(bench.shards) + (bench.shards == 1 ? " shard, " : " shards, ") +
                          format_time(result.seconds * 1e9);
  std::cout << strong(out, what) << " in " << uri << '\n' << faint(out, how) << "\n\n";
  print_rates(std::cout, result, bench.size_bytes);
  std::cout << '\n';
  print_latency(std::cout, result.latency);
  std::cout << '\n';
  print_picture(std::cout, result.latency, out);
  std::cout << '\n';
  print_cost(std::cout, result);
}

void print_json(const std::string& uri, const BucketBench& bench, const LoadResult& result,
                std::string_view driver) {
  const double per_second = static_cast<double>(result.operations()) / result.seconds;
  const nlohmann::ordered_json document{
      {"uri", uri},
      {"rw", bench.rw},
      {"size_bytes", bench.size_bytes},
      {"parallel", bench.parallel},
      {"shards", bench.shards},
      {"io_driver", driver},
      {"seconds", result.seconds},
      {"operations", result.operations()},
      {"gets", result.reads},
      {"puts", result.writes},
      {"operations_per_second", per_second},
      {"bytes_per_second", per_second * static_cast<double>(bench.size_bytes)},
      {"latency", json_of(result.latency)},
      {"metrics", json_of(result.metrics)}};
  std::cout << document.dump(2) << '\n';
}

}  // namespace

Result<void> bench_bucket(Runtime& runtime, const Common& common, const Service& service,
                          const std::string& uri, const BucketBench& bench) {
  NETSTOR_TRY_RETURN(const ObjectUri place, parse_object_uri(uri, Wanted::prefix));
  NETSTOR_TRY_RETURN(const Bucket bucket,
                     open_bucket(runtime, common, service, place.bucket, bench.parallel));
  const BucketPlan plan{.keys = own_keys(place.key, bench.objects),
                        .size_bytes = static_cast<std::size_t>(bench.size_bytes),
                        .get_percent = bench.rw == "get"   ? 100
                                       : bench.rw == "put" ? 0
                                                           : bench.get_percent,
                        .parallel = bench.parallel,
                        .seconds = bench.seconds,
                        .seed = bench.seed};
  const bool live = terminal().progress;
  const auto tick = [live](double share) {
    if (live) std::cerr << "\rmeasuring " << format_percent(share) << "\033[K" << std::flush;
  };
  Result<void> made = make_objects(bucket, plan);
  Result<LoadResult> result = made ? run_bucket_load(runtime, bucket, plan, tick) : made.error();
  if (live) std::cerr << "\r\033[K" << std::flush;
  const Result<void> removed = remove_objects(bucket, plan);
  if (!result) return std::move(result).error();
  if (!removed) return removed;
  if (common.json) {
    print_json(uri, bench, *result, runtime.io_driver());
  } else {
    print_text(uri, bench, *result);
  }
  return bucket.close().get();
}

}  // namespace netstor::tool
