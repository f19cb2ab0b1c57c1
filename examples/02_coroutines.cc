// SPDX-License-Identifier: Apache-2.0
// Coroutines: the same calls, awaited on the shard itself; several at a time; and with a time limit.
//
//   ./02_coroutines [nvme+tcp://localhost/NQN]

#include <netstor/netstor.h>

#include "examples/scratch.h"

using namespace netstor;
using namespace std::chrono_literals;

namespace {

/// A task is lazy: it begins when it is awaited or spawned, and runs on that shard from start to end.
Task<std::uint64_t> sum_of_block(Volume volume, std::uint64_t offset) {
  NETSTOR_TRY(Buffer block, Buffer::allocate(volume.block_bytes()));
  // If the read fails, NETSTOR_CHECK leaves with its error. Nobody throws.
  NETSTOR_CHECK(co_await volume.read(offset, block.bytes()));
  std::uint64_t sum = 0;
  for (const std::byte byte : block.bytes()) sum += std::to_integer<std::uint64_t>(byte);
  co_return sum;
}

Task<void> run(Volume volume) {
  NETSTOR_TRY(Buffer block, Buffer::allocate(volume.block_bytes()));
  for (std::uint64_t i = 0; i < 4; ++i) {
    std::ranges::fill(block.bytes(), std::byte(i));
    NETSTOR_CHECK(co_await volume.write(i * block.size(), block.bytes()));
  }

  // Four reads at a time: spawn() begins each, when_all() waits for all, each with a result of its own.
  std::vector<Future<std::uint64_t>> reads;
  for (std::uint64_t i = 0; i < 4; ++i) reads.push_back(spawn(sum_of_block(volume, i * block.size())));
  NETSTOR_TRY(const std::vector<Result<std::uint64_t>> sums, co_await when_all(std::move(reads)));
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (!sums[i]) co_return sums[i].error();
    std::cout << "block " << i << " sums up to " << *sums[i] << '\n';
    if (*sums[i] != i * block.size())
      co_return Error(ErrorKind::data_corrupt, "that is not what was written");
  }

  // A limit: when it passes, the work is cancelled, and the answer comes when it has let go of its memory.
  const Result<void> late = co_await with_deadline(sleep(1h), 10ms);
  if (late || late.error().kind() != ErrorKind::timed_out)
    co_return Error(ErrorKind::internal, "no time limit?");
  std::cout << "an hour in ten milliseconds: " << late.error().text() << '\n';

  // A write that is stopped says whether it may have happened; then read before relying on either.
  Future<void> write = volume.write(0, block.bytes());
  write.cancel();
  const Result<void> stopped = co_await std::move(write);
  std::cout << "a stopped write: " << (stopped ? "was faster" : to_string(stopped.error().kind()))
            << ", effect " << (stopped ? "certain" : to_string(stopped.error().effect())) << '\n';
  co_return ok();
}

}  // namespace

int main(int argc, char** argv) {
  const Scratch scratch(argc, argv);
  Runtime runtime = *Runtime::start();
  const Volume volume = *Volume::open(runtime, scratch.uri()).get();
  const Result<void> done = runtime.shard(0).run_on([&] { return run(volume); }).get();
  if (!done) std::cerr << done.error() << '\n';
  return done ? 0 : 1;
}
