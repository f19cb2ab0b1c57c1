// SPDX-License-Identifier: Apache-2.0
// The latency suite: Google Benchmark over one volume, for choosing hardware and settings.
//
//   latency --uri nvme+tcp://10.0.0.1/nqn… --benchmark_format=json
//
// Each case is named verb/bytes/depth. Time is per request; bytes_per_second and items_per_second are what
// a device's data sheet calls bandwidth and IOPS. Without a URI a sparse file under the temporary folder is
// used. Writes to a URI run only with --write yes: they destroy what is stored.

#include "bench/stats.h"

#include <benchmark/benchmark.h>
#include <netstor/netstor.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

using namespace netstor;

struct Bench {
  Runtime runtime;
  Volume volume;
  Buffer memory;
};

Task<void> lane(const Bench& bench, MutableBytes block, bool write, std::uint64_t count, std::uint64_t seed) {
  const std::uint64_t blocks = bench.volume.size_bytes() / block.size();
  for (std::uint64_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t offset = (seed >> 16) % blocks * block.size();
    NETSTOR_CHECK(write ? co_await bench.volume.write(offset, block)
                        : co_await bench.volume.read(offset, block));
  }
  co_return ok();
}

void run(benchmark::State& state, Bench& bench, bool write) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  const auto depth = static_cast<std::size_t>(state.range(1));
  constexpr std::uint64_t kEach = 64;
  for (auto _ : state) {
    auto done = bench.runtime.shard(0).run_on([&] {
      std::vector<Future<void>> lanes;
      for (std::size_t i = 0; i < depth; ++i) {
        lanes.push_back(
            spawn(lane(bench, bench.memory.bytes().subspan(i * bytes, bytes), write, kEach, i + 1)));
      }
      return when_all(std::move(lanes));
    });
    for (Result<void>& one : *done.get()) {
      if (!one) {
        state.SkipWithError(one.error().to_string().c_str());
        return;
      }
    }
  }
  const auto requests =
      static_cast<std::int64_t>(state.iterations() * static_cast<std::int64_t>(kEach * depth));
  state.SetItemsProcessed(requests);
  state.SetBytesProcessed(requests * static_cast<std::int64_t>(bytes));
  state.counters["us_per_request"] =
      benchmark::Counter(static_cast<double>(requests) / static_cast<double>(depth) / 1e6,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

std::string temporary_file() {
  const auto path =
      std::filesystem::temp_directory_path() / ("netstor-latency-" + std::to_string(::getpid()));
  std::ofstream(path).close();
  std::filesystem::resize_file(path, std::uintmax_t{256} << 20);
  return path.string();
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const std::string asked = bench::argument(argc, argv, "--uri", "");
  const std::string file = asked.empty() ? temporary_file() : "";
  const std::string uri = asked.empty() ? "file://" + file : asked;
  const bool write = asked.empty() || bench::argument(argc, argv, "--write", "no") == "yes";
  {
    Runtime runtime = *Runtime::start({.poll_budget = Duration::max()});
    auto volume = Volume::open(runtime, uri).get();
    if (!volume) {
      std::cerr << volume.error() << '\n';
      return 1;
    }
    Bench bench{std::move(runtime), *volume, *Buffer::allocate(std::size_t{32} << 17)};
    const auto cases = [&](const char* name, bool writes) {
      auto* suite = benchmark::RegisterBenchmark(
          name, [&bench, writes](benchmark::State& s) { run(s, bench, writes); });
      for (const int depth : {1, 8, 32}) suite->Args({4096, depth});
      suite->Args({128 << 10, 1})->Args({128 << 10, 8})->UseRealTime();
    };
    cases("read", false);
    if (write) cases("write", true);
    benchmark::RunSpecifiedBenchmarks();
    bench.volume.close().get().value();
  }
  if (!file.empty()) std::filesystem::remove(file);
}
