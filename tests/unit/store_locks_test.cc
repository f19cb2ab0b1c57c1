// SPDX-License-Identifier: Apache-2.0
// What holds between several shards that write to one volume.

#include "server/store/file_store.h"
#include "server/store/memory_store.h"
#include "server/store/stripe_lock.h"
#include "tests/unit/store_support.h"

#include <barrier>
#include <thread>

namespace netstor::store {
namespace {

constexpr std::uint64_t kSize = 4 << 20;

VolumeIdentity identity() { return {.name = "v", .nqn = default_nqn("v"), .serial = "1"}; }

TEST(StripeLock, MasksExactlyTheRegionsOfARange) {
  constexpr std::uint64_t kRegion = 64 * 1024;
  EXPECT_EQ(StripeLock::mask_of(0, 1), 1U);
  EXPECT_EQ(StripeLock::mask_of(kRegion - 1, 1), 1U);
  EXPECT_EQ(StripeLock::mask_of(kRegion - 1, 2), 3U);
  EXPECT_EQ(StripeLock::mask_of(kRegion, kRegion), 2U);
  EXPECT_EQ(StripeLock::mask_of(63 * kRegion, 2 * kRegion), (std::uint64_t{1} << 63) | 1);
  EXPECT_EQ(StripeLock::mask_of(64 * kRegion, kRegion), 1U) << "regions wrap around";
  EXPECT_EQ(StripeLock::mask_of(5 * kRegion, 64 * kRegion), ~std::uint64_t{0});
  EXPECT_EQ(StripeLock::mask_of(5 * kRegion, 63 * kRegion), ~std::uint64_t{0} ^ (1 << 4));
  EXPECT_EQ(StripeLock::mask_of(123, 0), 0U);
}

/// A shard's thread per call of `work(store, thread)`.
template <class Work>
void on_shards(StoredVolume& volume, unsigned count, Work work) {
  std::barrier ready(static_cast<std::ptrdiff_t>(count));
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      Faults faults;
      TestShard shard(faults, i);
      OpenStore store(shard, volume);
      ready.arrive_and_wait();
      work(store, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

class SharedVolume : public ::testing::TestWithParam<std::string> {
 protected:
  SharedVolume() {
    volume = GetParam() == "memory"
                 ? *make_memory_volume(identity(), kSize, 512)
                 : *make_file_volume(identity(), folder.sparse_file("data", kSize), kSize, 512);
  }
  TemporaryFolder folder;
  std::unique_ptr<StoredVolume> volume;
};
INSTANTIATE_TEST_SUITE_P(Kinds, SharedVolume, ::testing::Values("memory", "file"),
                         [](const auto& kind) { return kind.param; });

// A counter that two shards raise by compare_and_write: every number is given out once.
TEST_P(SharedVolume, LetsOneOfTwoComparisonsWriteAndNeverBoth) {
  constexpr unsigned kRaises = 300;
  on_shards(*volume, 2, [&](OpenStore& store, unsigned) {
    for (unsigned raised = 0; raised < kRaises;) {
      auto seen = store.read(0, 512);
      auto next = seen;
      for (std::size_t i = 0; i < 4; ++i) {
        next[i] = static_cast<std::byte>(std::to_integer<unsigned>(next[i]) + 1);
        if (next[i] != std::byte{0}) break;
      }
      const OpResult result = store.run(TestOp(0, seen, next));
      raised += result.ok ? 1 : 0;
      ASSERT_TRUE(result.ok || result.kind == ErrorKind::compare_failed);
    }
  });
  Faults faults;
  TestShard shard(faults);
  OpenStore store(shard, *volume);
  const auto counter = store.read(0, 512);
  unsigned value = 0;
  for (std::size_t i = 4; i > 0; --i) value = value << 8 | std::to_integer<unsigned>(counter[i - 1]);
  EXPECT_EQ(value, 2 * kRaises);
}

// One shard writes pairs of blocks that are equal; the other's fused write never sees, and never makes, a
// pair that is not: nothing comes between its compare and its write.
TEST_P(SharedVolume, LetsNoWriteBetweenCompareAndWrite) {
  std::atomic<unsigned> succeeded{0};
  std::atomic<bool> ended{false};
  on_shards(*volume, 2, [&](OpenStore& store, unsigned thread) {
    if (thread == 0) {
      for (int round = 0; round < 400; ++round) store.write(0, filled(1024, 1 + round % 100));
      ended = true;
      return;
    }
    auto fused = filled(1024, 200);
    while (!ended || succeeded == 0) {
      auto seen = store.read(0, 1024);
      if (seen.front() != seen.back()) continue;  // a file's read may be torn
      if (store.run(TestOp(0, seen, fused)).ok) ++succeeded;
    }
  });
  EXPECT_GT(succeeded, 0U);
  Faults faults;
  TestShard shard(faults);
  OpenStore store(shard, *volume);
  const auto end = store.read(0, 1024);
  EXPECT_EQ(end, filled(1024, std::to_integer<int>(end.front())));
}

TEST(MemoryStore, WritesOfSeveralShardsAreWhole) {
  const auto volume = *make_memory_volume(identity(), kSize, 512);
  on_shards(*volume, 3, [&](OpenStore& store, unsigned thread) {
    for (int round = 0; round < 200; ++round) {
      if (thread == 0) {
        const auto seen = store.read(65536 - 4096, 8192);
        ASSERT_EQ(seen, filled(8192, std::to_integer<int>(seen.front())));
      } else if (round % 2 == 0) {
        auto bytes = filled(8192, static_cast<int>(thread));
        const iovec piece{bytes.data(), bytes.size()};
        ASSERT_TRUE(store->store_now(65536 - 4096, &piece, 1));
      } else {
        ASSERT_TRUE(store.write(65536 - 4096, filled(8192, static_cast<int>(thread) + 10)).ok);
      }
    }
  });
}

}  // namespace
}  // namespace netstor::store
