// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/bucket_load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

namespace netstor::tool {
namespace {

using Clock = std::chrono::steady_clock;

struct ShardLoad {
  ShardLoad(const Bucket& on, const BucketPlan& what, std::uint64_t seed)
      : bucket(on), plan(what), random(seed) {}
  const Bucket& bucket;
  const BucketPlan& plan;
  std::mt19937_64 random;
  Buffer memory;
  Histogram latency;
  std::uint64_t gets = 0;
  std::uint64_t puts = 0;
  std::atomic<bool> stop = false;
};

Task<void> request(ShardLoad* load, bool getting, const std::string& key, MutableBytes bytes) {
  if (!getting) {
    auto putting = load->bucket.put(key, Bytes(bytes));
    const Result<ObjectInfo> put = co_await std::move(putting);
    if (!put) co_return Error(put.error());
    co_return ok();
  }
  auto coming = load->bucket.get(key, bytes);
  NETSTOR_TRY(const ObjectRead read, co_await std::move(coming));
  if (read.bytes == load->plan.size_bytes) co_return ok();
  co_return Error(ErrorKind::protocol, key + " came with " + std::to_string(read.bytes) + " bytes");
}

Task<void> worker(ShardLoad* load, MutableBytes bytes) {
  const BucketPlan& plan = load->plan;
  while (!load->stop.load(std::memory_order_relaxed)) {
    const bool getting = load->random() % 100 < plan.get_percent;
    const std::string& key = plan.keys[load->random() % plan.keys.size()];
    const Clock::time_point begin = Clock::now();
    auto asking = request(load, getting, key, bytes);
    Result<void> done = co_await std::move(asking);
    if (!done) {
      load->stop.store(true, std::memory_order_relaxed);
      co_return std::move(done);
    }
    load->latency.record(static_cast<std::uint64_t>((Clock::now() - begin).count()));
    ++(getting ? load->gets : load->puts);
  }
  co_return ok();
}

Task<void> run_shard(ShardLoad* load) {
  std::vector<Future<void>> workers;
  for (unsigned i = 0; i < load->plan.parallel; ++i) {
    workers.push_back(
        spawn(worker(load, load->memory.bytes().subspan(i * load->plan.size_bytes, load->plan.size_bytes))));
  }
  auto all = co_await when_all(std::move(workers));
  if (!all) co_return std::move(all).error();
  for (Result<void>& one : *all) {
    if (!one) co_return std::move(one);
  }
  co_return ok();
}

void wait(const BucketPlan& plan, const std::vector<std::unique_ptr<ShardLoad>>& loads,
          Clock::time_point begin, const std::function<void(double)>& tick) {
  for (;;) {
    const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
    const bool failed =
        std::any_of(loads.begin(), loads.end(), [](const auto& load) { return load->stop.load(); });
    if (passed >= plan.seconds || failed) return;
    tick(passed / plan.seconds);
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(plan.seconds - passed, 0.1)));
  }
}

}  // namespace

Result<LoadResult> run_bucket_load(Runtime& runtime, const Bucket& bucket, const BucketPlan& plan,
                                   const std::function<void(double)>& tick) {
  std::vector<std::unique_ptr<ShardLoad>> loads;
  for (unsigned i = 0; i < runtime.shards(); ++i) {
    loads.push_back(std::make_unique<ShardLoad>(bucket, plan, plan.seed + i));
    ShardLoad& load = *loads.back();
    NETSTOR_TRY_RETURN(load.memory, Buffer::allocate(plan.size_bytes * plan.parallel));
    // What nobody can compress.
    const MutableBytes bytes = load.memory.bytes();
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
      const std::uint64_t word = load.random();
      std::memcpy(bytes.data() + at, &word, std::min(sizeof(word), bytes.size() - at));
    }
  }
  const Metrics before = runtime.metrics();
  const Clock::time_point begin = Clock::now();
  std::vector<Future<void>> running;
  for (unsigned i = 0; i < runtime.shards(); ++i) {
    running.push_back(runtime.shard(i).run_on([load = loads[i].get()] { return run_shard(load); }));
  }
  wait(plan, loads, begin, tick);
  for (auto& load : loads) load->stop.store(true, std::memory_order_relaxed);
  Result<void> first = ok();
  for (Future<void>& each : running) {
    Result<void> done = each.get();
    if (first && !done) first = std::move(done);
  }
  if (!first) return std::move(first).error();
  LoadResult result;
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  result.metrics = difference(runtime.metrics(), before);
  for (const auto& load : loads) {
    result.latency.add(load->latency);
    result.reads += load->gets;
    result.writes += load->puts;
  }
  return result;
}

}  // namespace netstor::tool
