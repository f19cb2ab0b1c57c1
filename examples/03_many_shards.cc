// SPDX-License-Identifier: Apache-2.0
// Many shards: each is a thread with its own queue to the volume, and they share nothing. Here each reads
// every second stripe, several requests at a time, and only the sums meet in the end.
//
//   ./03_many_shards [nvme+tcp://localhost/NQN]

#include <netstor/netstor.h>

#include "examples/scratch.h"

#include <numeric>

using namespace netstor;

namespace {

constexpr unsigned kShards = 2;
constexpr unsigned kInFlight = 4;  // on each shard
constexpr std::uint64_t kStripeBytes = 64 << 10;
constexpr std::uint64_t kSpanBytes = 8 << 20;

/// What the workers of one shard share: no lock, for they run on one thread.
struct Share {
  std::uint64_t next = 0;  // stripe
  std::uint64_t bytes = 0;
};

Task<void> worker(Volume volume, std::uint64_t end, Share* share) {
  NETSTOR_TRY(Buffer stripe, Buffer::allocate(kStripeBytes));
  while (share->next < end) {
    const std::uint64_t mine = std::exchange(share->next, share->next + kShards);
    NETSTOR_CHECK(co_await volume.read(mine * kStripeBytes, stripe.bytes()));
    share->bytes += stripe.size();
  }
  co_return ok();
}

Task<std::uint64_t> read_stripes(Volume volume, unsigned first, std::uint64_t end) {
  Share share{.next = first};
  std::vector<Future<void>> workers;
  for (unsigned i = 0; i < kInFlight; ++i) workers.push_back(spawn(worker(volume, end, &share)));
  NETSTOR_TRY(const std::vector<Result<void>> ends, co_await when_all(std::move(workers)));
  for (const Result<void>& ended : ends) {
    if (!ended) co_return ended.error();
  }
  co_return share.bytes;
}

Result<void> run(const std::string& uri) {
  NETSTOR_TRY_RETURN(Runtime runtime, Runtime::start({.shards = kShards}));
  NETSTOR_TRY_RETURN(const Volume volume, Volume::open(runtime, uri).get());  // a queue on each shard
  const std::uint64_t stripes = std::min(kSpanBytes, volume.size_bytes()) / kStripeBytes;

  std::vector<Future<std::uint64_t>> parts;
  for (unsigned i = 0; i < kShards; ++i) {
    parts.push_back(
        runtime.shard(i).run_on([volume, i, stripes] { return read_stripes(volume, i, stripes); }));
  }
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < kShards; ++i) {
    NETSTOR_TRY_RETURN(const std::uint64_t bytes, parts[i].get());
    std::cout << "shard " << i << " read " << format_size(bytes) << '\n';
    sum += bytes;
  }
  std::cout << "together " << format_size(sum)
            << ", copied on the way: " << format_size(runtime.metrics().copied_bytes) << '\n';
  return sum == stripes * kStripeBytes ? ok() : Error(ErrorKind::internal, "stripes are missing");
}

}  // namespace

int main(int argc, char** argv) {
  const Scratch scratch(argc, argv);
  const Result<void> done = run(scratch.uri());
  if (!done) std::cerr << done.error() << '\n';
  return done ? 0 : 1;
}
