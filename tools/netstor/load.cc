// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/load.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

namespace netstor::tool {
namespace {

using Clock = std::chrono::steady_clock;

/// xorshift64*: a few instructions, good enough to spread offsets.
class Offsets {
 public:
  explicit Offsets(std::uint64_t seed) noexcept : state_(seed * 0x9E3779B97F4A7C15ULL | 1) {}
  std::uint64_t next() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1DULL;
  }
  /// 0 … limit - 1, without a division.
  std::uint64_t below(std::uint64_t limit) noexcept {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * limit) >> 64);
  }

 private:
  std::uint64_t state_;
};

/// What the coroutines of one shard share.
struct ShardLoad {
  ShardLoad(const Volume& on, const LoadPlan& what, std::uint64_t seed)
      : volume(on), plan(what), offsets(seed), blocks(what.span_bytes / what.block_bytes) {}
  const Volume& volume;
  const LoadPlan& plan;
  Offsets offsets;
  std::uint64_t blocks;
  std::uint64_t cursor = 0;  // of sequential load
  Buffer memory;
  Histogram latency;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::atomic<bool> stop = false;

  std::uint64_t next_offset() noexcept {
    if (plan.random) return offsets.below(blocks) * plan.block_bytes;
    const std::uint64_t block = cursor;
    cursor = cursor + 1 < blocks ? cursor + 1 : 0;
    return block * plan.block_bytes;
  }
  bool next_is_read() noexcept {
    return plan.read_percent >= 100 || (plan.read_percent != 0 && offsets.below(100) < plan.read_percent);
  }
};

Task<void> worker(ShardLoad* load, MutableBytes bytes) {
  while (!load->stop.load(std::memory_order_relaxed)) {
    const bool reading = load->next_is_read();
    const std::uint64_t offset = load->next_offset();
    const Clock::time_point begin = Clock::now();
    // Made-up bytes may be written again at any time.
    Future<void> request = reading ? load->volume.read(offset, bytes)
                                   : load->volume.write(offset, Bytes(bytes), {.idempotent = true});
    Result<void> done = co_await std::move(request);
    if (!done) {
      load->stop.store(true, std::memory_order_relaxed);
      co_return std::move(done);
    }
    load->latency.record(static_cast<std::uint64_t>((Clock::now() - begin).count()));
    ++(reading ? load->reads : load->writes);
  }
  co_return ok();
}

Task<void> run_shard(ShardLoad* load) {
  std::vector<Future<void>> workers;
  for (unsigned i = 0; i < load->plan.depth; ++i) {
    workers.push_back(spawn(
        worker(load, load->memory.bytes().subspan(i * load->plan.block_bytes, load->plan.block_bytes))));
  }
  auto all = co_await when_all(std::move(workers));
  if (!all) co_return std::move(all).error();
  for (Result<void>& one : *all) {
    if (!one) co_return std::move(one);
  }
  co_return ok();
}

/// Memory of every shard, filled with what no device can compress, and registered.
Result<void> prepare(Runtime& runtime, std::vector<std::unique_ptr<ShardLoad>>& loads,
                     std::vector<Runtime::Registration>& registrations) {
  for (auto& load : loads) {
    NETSTOR_TRY_RETURN(load->memory, Buffer::allocate(load->plan.block_bytes * load->plan.depth));
    const MutableBytes bytes = load->memory.bytes();
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes.size(); at += sizeof(std::uint64_t)) {
      const std::uint64_t word = load->offsets.next();
      std::copy_n(reinterpret_cast<const std::byte*>(&word), sizeof(word),
                  bytes.begin() + static_cast<std::ptrdiff_t>(at));
    }
    NETSTOR_TRY_RETURN(Runtime::Registration registration, runtime.register_memory(bytes));
    registrations.push_back(std::move(registration));
  }
  return ok();
}

/// Sleeps for the plan's time, or until a shard gave up.
void wait(const LoadPlan& plan, const std::vector<std::unique_ptr<ShardLoad>>& loads, Clock::time_point begin,
          const std::function<void(double)>& tick) {
  for (;;) {
    const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
    const bool failed =
        std::any_of(loads.begin(), loads.end(), [](const auto& load) { return load->stop.load(); });
    if (passed >= plan.seconds || failed) return;
    if (tick) tick(passed / plan.seconds);
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(plan.seconds - passed, 0.1)));
  }
}

}  // namespace

Metrics difference(const Metrics& after, const Metrics& before) {
  return {.reads = after.reads - before.reads,
          .writes = after.writes - before.writes,
          .other = after.other - before.other,
          .errors = after.errors - before.errors,
          .read_bytes = after.read_bytes - before.read_bytes,
          .write_bytes = after.write_bytes - before.write_bytes,
          .copied_bytes = after.copied_bytes - before.copied_bytes,
          .replays = after.replays - before.replays,
          .reconnects = after.reconnects - before.reconnects,
          .registrations_degraded = after.registrations_degraded - before.registrations_degraded,
          .rdma_requests = after.rdma_requests - before.rdma_requests,
          .rdma_bytes = after.rdma_bytes - before.rdma_bytes,
          .turns = after.turns - before.turns,
          .sleeps = after.sleeps - before.sleeps,
          .system_calls = after.system_calls - before.system_calls};
}

Result<LoadResult> run_load(Runtime& runtime, const Volume& volume, const LoadPlan& asked,
                            const std::function<void(double)>& tick) {
  LoadPlan plan = asked;
  if (plan.span_bytes == 0 || plan.span_bytes > volume.size_bytes()) plan.span_bytes = volume.size_bytes();
  const std::string request = "a request of " + std::to_string(plan.block_bytes) + " bytes is ";
  if (plan.block_bytes == 0 || plan.block_bytes % volume.block_bytes() != 0) {
    return Error(ErrorKind::invalid_argument, request + "no multiple of the volume's block of " +
                                                  std::to_string(volume.block_bytes()) + " bytes");
  }
  if (plan.block_bytes > volume.size_bytes()) {
    return Error(ErrorKind::invalid_argument, request + "larger than the volume, which has " +
                                                  std::to_string(volume.size_bytes()) + " bytes");
  }
  if (plan.block_bytes > plan.span_bytes) {
    return Error(ErrorKind::invalid_argument,
                 request + "larger than --span, which is " + std::to_string(plan.span_bytes) + " bytes");
  }
  std::vector<std::unique_ptr<ShardLoad>> loads;
  for (unsigned i = 0; i < runtime.shards(); ++i) {
    loads.push_back(std::make_unique<ShardLoad>(volume, plan, plan.seed + i));
    loads.back()->cursor = loads.back()->blocks / runtime.shards() * i;  // each shard in a part of its own
  }
  std::vector<Runtime::Registration> registrations;
  NETSTOR_CHECK_RETURN(prepare(runtime, loads, registrations));

  const Metrics before = runtime.metrics();
  const Clock::time_point begin = Clock::now();
  std::vector<Future<void>> shards;
  for (unsigned i = 0; i < runtime.shards(); ++i) {
    shards.push_back(runtime.shard(i).run_on([load = loads[i].get()] { return run_shard(load); }));
  }
  wait(plan, loads, begin, tick);
  for (auto& load : loads) load->stop.store(true);
  Result<void> all;
  for (Future<void>& shard : shards) {
    if (Result<void> one = shard.get(); !one && all) all = std::move(one);
  }
  if (!all) return std::move(all).error();

  LoadResult result;
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  result.metrics = difference(runtime.metrics(), before);
  for (const auto& load : loads) {
    result.latency.add(load->latency);
    result.reads += load->reads;
    result.writes += load->writes;
  }
  return result;
}

}  // namespace netstor::tool
