// SPDX-License-Identifier: Apache-2.0
// Load on a volume: --depth requests of --block bytes in flight, from one shard on one core.
//
//   load --uri nvme+tcp://127.0.0.1/… --rw randread --block 4096 --depth 32 --seconds 2 --wait busy
//
// --wait busy: polls without pause · adaptive: the default budget, then sleeps · block: sleeps at once ·
// embedded: no thread; this program turns the shard and waits on its descriptor.

#include "bench/stats.h"
#include "tests/conformance/counting_new.h"

#include <netstor/netstor.h>
#include <poll.h>

namespace {

using namespace netstor;
using bench::Latencies;

using conformance::allocations;  // of the whole process; one thread does the work

struct Job {
  Volume volume;
  bool write = false;
  bool random = true;
  std::uint64_t block_bytes = 4096;
  std::uint64_t blocks = 1;
  bench::SteadyTime measure_from;
  bench::SteadyTime end;
  Latencies latencies;
  std::uint64_t allocations_before = 0;
  Metrics metrics_before;
  bool warm = false;
  std::uint64_t seed = 88172645463325252U;
  std::uint64_t at = 0;

  std::uint64_t next_offset() noexcept {
    if (!random) return (at++ % blocks) * block_bytes;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(seed) * blocks) >> 64) * block_bytes;
  }
};

Task<void> lane(Job& job, MutableBytes block) {
  auto begun = bench::now();
  while (begun < job.end) {
    const std::uint64_t offset = job.next_offset();
    Result<void> done =
        job.write ? co_await job.volume.write(offset, block) : co_await job.volume.read(offset, block);
    if (!done) co_return std::move(done).error();
    const auto ended = bench::now();
    if (job.warm) {
      job.latencies.add(ended - begun);
    } else if (ended >= job.measure_from) {
      job.warm = true;
      job.allocations_before = allocations;
      job.metrics_before = Shard::current()->metrics();
    }
    begun = ended;
  }
  co_return ok();
}

Task<void> all_lanes(Job& job, Buffer& memory, unsigned depth) {
  std::vector<Future<void>> lanes;
  for (unsigned i = 0; i < depth; ++i) {
    lanes.push_back(spawn(lane(job, memory.bytes().subspan(i * job.block_bytes, job.block_bytes))));
  }
  auto results = co_await when_all(std::move(lanes));
  for (Result<void>& result : *results) NETSTOR_CHECK(std::move(result));
  co_return ok();
}

struct Outcome {
  Metrics metrics;
  std::uint64_t allocations = 0;
};

Task<Outcome> run(Job& job, Buffer& memory, unsigned depth, double seconds) {
  job.measure_from = bench::now() + std::chrono::milliseconds(200);
  job.end = job.measure_from + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
  auto lanes = all_lanes(job, memory, depth);
  NETSTOR_CHECK(co_await std::move(lanes));
  co_return Outcome{Shard::current()->metrics(), allocations - job.allocations_before};
}

int fail(const Error& error) {
  std::fprintf(stderr, "load: %s\n", error.to_string().c_str());
  return 1;
}

template <class T>
Result<T> drive(Shard& shard, Future<T> future) {
  pollfd waiting{.fd = shard.fd(), .events = POLLIN, .revents = 0};
  while (!future.ready()) {
    if (!shard.run_once()) ::poll(&waiting, 1, 1000);
  }
  return future.get();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string uri = bench::argument(argc, argv, "--uri", "");
  const std::string rw = bench::argument(argc, argv, "--rw", "randread");
  const std::string wait = bench::argument(argc, argv, "--wait", "busy");
  const std::string io = bench::argument(argc, argv, "--io-driver", "auto");
  const bool digests = bench::argument(argc, argv, "--digests", "off") == "on";
  const auto depth = static_cast<unsigned>(bench::number(argc, argv, "--depth", "1"));
  const double seconds = std::strtod(bench::argument(argc, argv, "--seconds", "1").c_str(), nullptr);
  bench::pin_to_cpu(static_cast<int>(bench::number(argc, argv, "--cpu", "0")));
  RuntimeOptions options;
  options.embedded = wait == "embedded";
  if (wait == "busy") options.poll_budget = Duration::max();
  if (wait == "block") options.poll_budget = Duration::zero();
  options.io_driver = io == "posix" ? IoDriver::posix : io == "uring" ? IoDriver::uring : IoDriver::automatic;
  auto runtime = Runtime::start(options);
  if (!runtime) return fail(runtime.error());
  Job job;
  auto volume = Volume::open(*runtime, uri,
                             {.queue_depth = static_cast<std::uint16_t>(std::max(depth, 1U)),
                              .header_digest = digests,
                              .data_digest = digests})
                    .get();
  if (!volume) return fail(volume.error());
  job.volume = *volume;
  job.write = rw == "randwrite" || rw == "write";
  job.random = rw.starts_with("rand");
  job.block_bytes = static_cast<std::uint64_t>(bench::number(argc, argv, "--block", "4096"));
  job.blocks = std::max<std::uint64_t>(1, volume->size_bytes() / job.block_bytes);
  auto memory = Buffer::allocate(depth * job.block_bytes);
  if (!memory) return fail(memory.error());
  const double cpu_before = bench::cpu_seconds();
  const auto started = bench::now();
  auto work = [&] { return run(job, *memory, depth, seconds); };
  auto outcome = options.embedded ? drive(runtime->shard(0), runtime->shard(0).run_on(work))
                                  : runtime->shard(0).run_on(work).get();
  if (!outcome) return fail(outcome.error());
  const double whole = std::chrono::duration<double>(bench::now() - started).count();
  const double cpu = (bench::cpu_seconds() - cpu_before) / whole;
  const Metrics& before = job.metrics_before;
  const Metrics& after = outcome->metrics;
  std::string more = ", \"cpu_part\": " + std::to_string(cpu);
  more += ", \"copied_bytes\": " + std::to_string(after.copied_bytes - before.copied_bytes);
  more += ", \"system_calls\": " + std::to_string(after.system_calls - before.system_calls);
  more += ", \"turns\": " + std::to_string(after.turns - before.turns);
  more += ", \"sleeps\": " + std::to_string(after.sleeps - before.sleeps);
  more += ", \"allocations\": " + std::to_string(outcome->allocations);
  more += ", \"io_driver\": \"" + std::string(runtime->io_driver()) + "\"";
  bench::print_json(job.latencies, seconds, cpu * seconds, more);
  volume->close().get().value();
  job.volume = {};
}
