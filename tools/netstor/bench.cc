// SPDX-License-Identifier: Apache-2.0
// netstor bench: how fast a volume answers, or a bucket (bench_bucket.cc).

#include <netstor/uri.h>

#include "tools/netstor/bucket_verbs.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/load.h"
#include "tools/netstor/picture.h"
#include "tools/netstor/report.h"
#include "tools/netstor/text.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor bench nvme+tcp://localhost/NQN                             latency of one 4 KiB read at a time
  netstor bench nvme+tcp://localhost/NQN --depth 64 --shards 2       many at a time, from two threads
  netstor bench file:///tmp/scratch --rw randwrite --yes-destroy-data
  netstor bench nvme+tcp://localhost/NQN --rw read --block-size 1MiB --depth 8 --json
  netstor bench s3://scratch --size 1MiB --parallel 8                gets of a bucket's objects
  netstor bench s3://scratch/tmp --rw put --parallel 32 --json

--poll says what an idle shard does: busy never sleeps (least latency, a full core each), adaptive polls for
20 µs before it sleeps, blocking sleeps at once. Each of --shards has --depth requests in flight,
of buckets --parallel. In a bucket objects are made below PREFIX/netstor-bench-…/ and removed again.)";

struct Arguments {
  Common common;
  Service service;
  BucketBench bucket;
  std::string uri;
  std::string rw;  // empty: reads
  std::string poll = "adaptive";
  std::uint64_t block_bytes = 4096;
  std::uint64_t span_bytes = 0;
  unsigned depth = 1;
  unsigned shards = 1;
  unsigned read_percent = 70;
  double seconds = 5;
  std::uint64_t seed = 1;
  bool destroy = false;
};

LoadPlan plan_of(const Arguments& arguments) {
  LoadPlan plan;
  plan.random = arguments.rw != "read" && arguments.rw != "write";
  plan.read_percent = arguments.rw == "mixed"          ? arguments.read_percent
                      : arguments.rw.ends_with("read") ? 100
                                                       : 0;
  plan.block_bytes = static_cast<std::size_t>(arguments.block_bytes);
  plan.span_bytes = arguments.span_bytes;
  plan.depth = arguments.depth;
  plan.seconds = arguments.seconds;
  plan.seed = arguments.seed;
  return plan;
}

RuntimeOptions runtime_options(const Arguments& arguments) {
  RuntimeOptions options;
  options.shards = arguments.shards;
  if (arguments.poll == "busy") options.poll_budget = Duration::max();
  if (arguments.poll == "blocking") options.poll_budget = Duration::zero();
  return options;
}

void print_json(const Arguments& arguments, const LoadPlan& plan, const LoadResult& result,
                std::string_view driver) {
  const double per_second = static_cast<double>(result.operations()) / result.seconds;
  const nlohmann::ordered_json document{
      {"uri", arguments.uri},
      {"rw", arguments.rw},
      {"block_bytes", plan.block_bytes},
      {"depth", plan.depth},
      {"shards", arguments.shards},
      {"poll", arguments.poll},
      {"io_driver", driver},
      {"seconds", result.seconds},
      {"operations", result.operations()},
      {"reads", result.reads},
      {"writes", result.writes},
      {"iops", per_second},
      {"bytes_per_second", per_second * static_cast<double>(plan.block_bytes)},
      {"latency", json_of(result.latency)},
      {"metrics", json_of(result.metrics)}};
  std::cout << document.dump(2) << '\n';
}

void print_text(const Arguments& arguments, const LoadPlan& plan, const LoadResult& result,
                std::string_view driver) {
  const Terminal out = terminal();
  std::cout << strong(out, arguments.rw + " of " + format_size(plan.block_bytes)) << " on " << arguments.uri
            << '\n'
            << faint(out, std::to_string(plan.depth) + " in flight on each of " +
                              std::to_string(arguments.shards) +
                              (arguments.shards == 1 ? " shard, " : " shards, ") + std::string(driver) +
                              ", " + arguments.poll + " polling, " + format_time(result.seconds * 1e9))
            << "\n\n";
  print_rates(std::cout, result, plan.block_bytes);
  std::cout << '\n';
  print_latency(std::cout, result.latency);
  std::cout << '\n';
  print_picture(std::cout, result.latency, out);
  std::cout << '\n';
  print_cost(std::cout, result);
}

Result<void> run_bucket(const Arguments& arguments) {
  BucketBench bench = arguments.bucket;
  if (!arguments.rw.empty()) bench.rw = arguments.rw;
  if (bench.rw != "get" && bench.rw != "put" && bench.rw != "mixed") {
    return usage_error("--rw " + bench.rw + " is of volumes",
                       "objects are read and written whole: get, put, mixed");
  }
  constexpr std::uint64_t kMemoryMost = std::uint64_t{8} << 30;
  if (bench.size_bytes == 0 || bench.size_bytes > kMemoryMost / bench.parallel / arguments.shards) {
    return usage_error("--size " + std::to_string(bench.size_bytes) + " for each of --parallel and --shards",
                       "from 1 byte, and all together at most 8 GiB");
  }
  bench.shards = arguments.shards;
  bench.get_percent = arguments.read_percent;
  bench.seconds = arguments.seconds;
  bench.seed = arguments.seed;
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common, runtime_options(arguments)));
  return bench_bucket(runtime, arguments.common, arguments.service, arguments.uri, bench);
}

Result<void> run(Arguments arguments) {
  if (is_bucket(arguments.uri)) return explained(run_bucket(arguments));
  if (arguments.rw.empty()) arguments.rw = "randread";
  if (arguments.rw == "get" || arguments.rw == "put") {
    return usage_error("--rw " + arguments.rw + " is of buckets",
                       "read, write, randread, randwrite or mixed");
  }
  const LoadPlan plan = plan_of(arguments);
  const bool writes = plan.read_percent < 100;
  if (writes && !arguments.destroy) {
    return usage_error("--rw " + arguments.rw + " overwrites " + arguments.uri + " with noise",
                       "add --yes-destroy-data if nothing on it is needed");
  }
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common, runtime_options(arguments)));
  VolumeOptions options;
  options.read_only = !writes;
  options.queue_depth = static_cast<std::uint16_t>(std::clamp(arguments.depth, 128U, 1024U));
  NETSTOR_TRY_RETURN(const Volume volume, open_volume(runtime, arguments.common, arguments.uri, options));
  const bool live = terminal().progress;
  const auto tick = [live](double share) {
    if (live) std::cerr << "\rmeasuring " << format_percent(share) << "\033[K" << std::flush;
  };
  const Result<LoadResult> result = run_load(runtime, volume, plan, tick);
  if (live) std::cerr << "\r\033[K" << std::flush;
  if (!result) return result.error();
  if (arguments.common.json) {
    print_json(arguments, plan, *result, runtime.io_driver());
  } else {
    print_text(arguments, plan, *result, runtime.io_driver());
  }
  return volume.close().get();
}

}  // namespace

void add_bench(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("bench", "Measure the latency and throughput of a volume or a bucket");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  add_uri(*verb, arguments->uri, "nvme+tcp://HOST[:PORT]/NQN[?ns=N], file:///PATH or s3://BUCKET[/PREFIX]");
  verb->add_option(
          "--rw", arguments->rw,
          "read, write, randread (default), randwrite or mixed (random); of buckets get, put or mixed")
      ->type_name("PATTERN")
      ->check(CLI::IsMember({"read", "write", "randread", "randwrite", "mixed", "get", "put"}));
  verb->add_option("--read-percent", arguments->read_percent, "Reads among the requests of mixed (70)")
      ->check(CLI::Range(0U, 100U));
  add_size(*verb, "--block-size", arguments->block_bytes, "Of one request (4 KiB)");
  add_size(*verb, "--span", arguments->span_bytes, "Stay within this much from the start (default: all)");
  verb->add_option("--depth", arguments->depth, "Requests in flight on each shard (1)")
      ->check(CLI::Range(1U, 4096U));
  verb->add_option("--shards", arguments->shards, "Threads (1)")->check(CLI::Range(1U, 256U));
  verb->add_option("--seconds", arguments->seconds, "How long (5)")->check(CLI::Range(0.01, 86400.0));
  verb->add_option("--poll", arguments->poll, "busy, adaptive (default) or blocking")
      ->type_name("MODE")
      ->check(CLI::IsMember({"busy", "adaptive", "blocking"}));
  verb->add_option("--seed", arguments->seed, "Of the random offsets (1)");
  verb->add_flag("--yes-destroy-data", arguments->destroy, "Allow a load that writes");
  add_size(*verb, "--size", arguments->bucket.size_bytes, "Of each object (4 KiB)");
  verb->add_option("--parallel", arguments->bucket.parallel,
                   "Requests for objects in flight on each shard (1)")
      ->check(CLI::Range(1U, 1024U));
  verb->add_option("--objects", arguments->bucket.objects, "How many different ones (32)")
      ->check(CLI::Range(1U, 100'000U));
  add_connection(*verb, arguments->common);
  add_service(*verb, arguments->service);
  verb->callback([arguments, &command] { command.run = [arguments] { return run(*arguments); }; });
}

}  // namespace netstor::tool
