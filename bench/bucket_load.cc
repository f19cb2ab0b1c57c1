// SPDX-License-Identifier: Apache-2.0
// Load on a bucket: --depth objects of --size bytes got or put at once, from one shard on one core.
//
//   bucket_load --endpoint http://127.0.0.1:9000 --verb get --size 4096 --depth 32 --seconds 2
//
// Objects are things/oSIZE. --wait busy|adaptive|block as bench/load has it; --sign always|never|chunks: the
// payload.

#include "bench/bucket_stats.h"
#include "tests/conformance/counting_new.h"

#include <netstor/netstor.h>

namespace {

using namespace netstor;

using conformance::allocations;  // of the whole process; one thread does the work

struct Job {
  Bucket bucket;
  std::string key;
  bool put = false;
  std::size_t size = 0;
  std::uint64_t least = 1;  // requests to be measured, however long they take
  bench::SteadyTime measure_from;
  bench::SteadyTime end;
  bool warm = false;
  bench::Latencies latencies;
  std::uint64_t allocations_before = 0;
  Metrics metrics_before;
  bench::Cost cost_before;
  bench::Cost cost;
  Metrics metrics;
  std::uint64_t allocated = 0;
};

Task<void> one(const Job& job, MutableBytes memory) {
  if (job.put) {
    auto putting = job.bucket.put(job.key, Bytes(memory));
    const Result<ObjectInfo> put = co_await std::move(putting);
    if (!put) co_return put.error();
    co_return ok();
  }
  auto getting = job.bucket.get(job.key, memory);
  NETSTOR_TRY(const ObjectRead read, co_await std::move(getting));
  if (read.bytes != job.size)
    co_return Error(ErrorKind::protocol, std::to_string(read.bytes) + " bytes came");
  co_return ok();
}

Task<void> lane(Job& job, MutableBytes memory) {
  auto begun = bench::now();
  while (begun < job.end || job.latencies.total() < job.least) {
    auto asking = one(job, memory);
    NETSTOR_CHECK(co_await std::move(asking));
    const auto ended = bench::now();
    if (job.warm) {
      job.latencies.add(ended - begun);
      job.cost = bench::Cost::now();
      job.metrics = Shard::current()->metrics();
      job.allocated = allocations;
    } else if (ended >= job.measure_from) {
      job.warm = true;
      job.allocations_before = allocations;
      job.metrics_before = Shard::current()->metrics();
      job.cost_before = bench::Cost::now();
    }
    begun = ended;
  }
  co_return ok();
}

Task<void> run(Job& job, Buffer& memory, unsigned depth, double seconds) {
  job.measure_from = bench::now() + std::chrono::milliseconds(200);
  job.end = job.measure_from + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
  job.least = depth;
  std::vector<Future<void>> lanes;
  for (unsigned i = 0; i < depth; ++i) {
    lanes.push_back(spawn(lane(job, memory.bytes().subspan(i * job.size, job.size))));
  }
  auto results = co_await when_all(std::move(lanes));
  for (Result<void>& result : *results) NETSTOR_CHECK(std::move(result));
  co_return ok();
}

int fail(const Error& error) {
  std::fprintf(stderr, "bucket_load: %s\n", error.to_string().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string wait = bench::argument(argc, argv, "--wait", "adaptive");
  const std::string sign = bench::argument(argc, argv, "--sign", "auto");
  const auto depth = static_cast<unsigned>(bench::number(argc, argv, "--depth", "1"));
  const double seconds = std::strtod(bench::argument(argc, argv, "--seconds", "1").c_str(), nullptr);
  bench::pin_to_cpu(static_cast<int>(bench::number(argc, argv, "--cpu", "0")));
  RuntimeOptions options;
  if (wait == "busy") options.poll_budget = Duration::max();
  if (wait == "block") options.poll_budget = Duration::zero();
  if (bench::argument(argc, argv, "--io-driver", "auto") == "posix") options.io_driver = IoDriver::posix;
  auto runtime = Runtime::start(options);
  if (!runtime) return fail(runtime.error());
  BucketOptions bucket_options;
  bucket_options.endpoint = bench::argument(argc, argv, "--endpoint", "");
  bucket_options.ca_file = bench::argument(argc, argv, "--ca-file", "");
  bucket_options.region = "us-east-1";
  const std::string connections = std::to_string(std::clamp(depth, 32U, 1024U));
  bucket_options.connections =
      static_cast<std::uint16_t>(bench::number(argc, argv, "--connections", connections.c_str()));
  bucket_options.addressing = Addressing::path;
  bucket_options.credentials =
      Credentials{.access_key_id = bench::argument(argc, argv, "--key", "AKIAIOSFODNN7EXAMPLE"),
                  .secret_access_key = bench::argument(argc, argv, "--secret", "wJalrXUtnFEMI"),
                  .session_token = {},
                  .expires = {}};
  if (sign == "always") bucket_options.payload_signing = PayloadSigning::always;
  if (sign == "chunks") bucket_options.payload_signing = PayloadSigning::chunks;
  if (sign == "never") bucket_options.payload_signing = PayloadSigning::never;
  auto bucket = Bucket::open(*runtime, "s3://things", bucket_options).get();
  if (!bucket) return fail(bucket.error());
  Job job;
  job.bucket = *bucket;
  job.put = bench::argument(argc, argv, "--verb", "get") == "put";
  job.size = static_cast<std::size_t>(bench::number(argc, argv, "--size", "4096"));
  job.key = bench::argument(argc, argv, "--key-name", ("o" + std::to_string(job.size)).c_str());
  auto memory = Buffer::allocate(depth * job.size);
  if (!memory) return fail(memory.error());
  std::memset(memory->data(), 'x', memory->size());
  const auto done = runtime->shard(0).run_on([&] { return run(job, *memory, depth, seconds); }).get();
  if (!done) return fail(done.error());
  const double operations = static_cast<double>(std::max<std::uint64_t>(job.latencies.total(), 1));
  const auto each = [&](std::uint64_t from, std::uint64_t to) {
    return std::to_string(static_cast<double>(to - from) / operations);
  };
  std::string more = ", \"copied_bytes\": " + std::to_string(job.metrics.copied_bytes);
  more += ", \"system_calls_each\": " + each(job.metrics_before.system_calls, job.metrics.system_calls);
  more += ", \"turns_each\": " + each(job.metrics_before.turns, job.metrics.turns);
  more += ", \"allocations_each\": " + each(job.allocations_before, job.allocated);
  more += ", \"io_driver\": \"" + std::string(runtime->io_driver()) + "\"";
  bench::print_cost(job.latencies, job.cost_before, job.cost, job.size, depth, more);
  bucket->close().get().value();
}
