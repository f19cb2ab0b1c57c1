// SPDX-License-Identifier: Apache-2.0
// What each store keeps and answers: null, memory, and what is common to all of them.

#include "server/store/file_store.h"
#include "server/store/memory_store.h"
#include "server/store/null_store.h"
#include "tests/unit/store_support.h"

#include <fstream>

namespace netstor::store {
namespace {

constexpr std::uint64_t kSize = 8 << 20;

VolumeIdentity identity() { return {.name = "v", .nqn = default_nqn("v"), .serial = "1"}; }

class EveryStore : public ::testing::TestWithParam<std::string> {
 protected:
  EveryStore() {
    if (GetParam() == "null") volume = *make_null_volume(identity(), kSize, 512);
    if (GetParam() == "memory") volume = *make_memory_volume(identity(), kSize, 512);
    if (GetParam() == "file")
      volume = *make_file_volume(identity(), folder.sparse_file("data", kSize), kSize, 512);
  }
  TemporaryFolder folder;
  Faults faults;
  TestShard shard{faults};
  std::unique_ptr<StoredVolume> volume;
};

class KeepingStore : public EveryStore {};

INSTANTIATE_TEST_SUITE_P(Kinds, EveryStore, ::testing::Values("null", "memory", "file"),
                         [](const auto& kind) { return kind.param; });
INSTANTIATE_TEST_SUITE_P(Kinds, KeepingStore, ::testing::Values("memory", "file"),
                         [](const auto& kind) { return kind.param; });

TEST_P(EveryStore, AnswersItsLimits) {
  OpenStore store(shard, *volume);
  EXPECT_EQ(volume->kind(), GetParam());
  EXPECT_EQ(store->limits().size_bytes, kSize);
  EXPECT_EQ(store->limits().block_bytes, 512U);
  EXPECT_EQ(store->limits().volatile_cache, GetParam() == "file");
  EXPECT_EQ(store->limits().immediate, GetParam() != "file");
}

TEST_P(EveryStore, ReadsZeroesWhereNothingWasWritten) {
  OpenStore store(shard, *volume);
  EXPECT_EQ(store.read(kSize - 4096, 4096), filled(4096, 0));
}

TEST_P(EveryStore, RefusesWhatIsNotInBlocks) {
  OpenStore store(shard, *volume);
  EXPECT_EQ(store.write(100, filled(512, 1)).kind, ErrorKind::invalid_argument);
  EXPECT_EQ(store.write(0, filled(100, 1)).kind, ErrorKind::invalid_argument);
  EXPECT_EQ(store.run(TestOp(DeviceVerb::write_zeroes, 0, 0)).kind, ErrorKind::invalid_argument);
}

TEST_P(EveryStore, RefusesAPayloadOfAnotherLength) {
  OpenStore store(shard, *volume);
  auto bytes = filled(1024, 1);
  TestOp op(DeviceVerb::write, 0, bytes);
  op.length = 2048;
  EXPECT_EQ(store.run(op).kind, ErrorKind::invalid_argument);
}

TEST_P(EveryStore, RefusesWhatLiesBeyondTheEnd) {
  OpenStore store(shard, *volume);
  EXPECT_EQ(store.write(kSize, filled(512, 1)).kind, ErrorKind::out_of_range);
  EXPECT_EQ(store.write(kSize - 512, filled(1024, 1)).kind, ErrorKind::out_of_range);
  EXPECT_EQ(store.write(~std::uint64_t{511}, filled(1024, 1)).kind, ErrorKind::out_of_range);
  const auto bytes = filled(1024, 1);
  const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  EXPECT_FALSE(store->store_now(kSize - 512, &piece, 1));
  EXPECT_FALSE(store->store_now(~std::uint64_t{511}, &piece, 1));
  iovec view{};
  unsigned count = 1;
  EXPECT_FALSE(store->view(kSize - 512, 1024, &view, count));
}

TEST_P(EveryStore, RefusesMoreThanOneTransfer) {
  OpenStore store(shard, *volume);
  EXPECT_EQ(store.write(0, filled(store->limits().transfer_bytes_max + 512, 1)).kind,
            ErrorKind::invalid_argument);
}

TEST_P(EveryStore, FlushesAndVerifies) {
  OpenStore store(shard, *volume);
  EXPECT_TRUE(store.run(TestOp(DeviceVerb::flush)).ok);
  EXPECT_TRUE(store.run(TestOp(DeviceVerb::verify, 4096, 1 << 20)).ok);
  EXPECT_EQ(faults.flushes, GetParam() == "file" ? 1U : 0U);
}

TEST_P(EveryStore, AnswersFullBeyondItsDepth) {
  OpenStore store(shard, *volume);
  std::deque<TestOp> ops;
  for (unsigned i = 0; i < store->limits().depth; ++i) {
    EXPECT_EQ(store->submit(ops.emplace_back(DeviceVerb::flush)), Submit::accepted);
  }
  TestOp more(DeviceVerb::flush);
  EXPECT_EQ(store->submit(more), Submit::full);
  while (!ops.back().done) shard.loop.turn();
  EXPECT_TRUE(store.run(more).ok);
}

TEST_P(EveryStore, CompletesWhatIsInFlightBeforeItIsClosed) {
  OpenStore store(shard, *volume);
  auto bytes = filled(4096, 3);
  TestOp write(DeviceVerb::write, 0, bytes);
  TestOp verify(DeviceVerb::verify, 0, 4096);
  ASSERT_EQ(store->submit(write), Submit::accepted);
  ASSERT_EQ(store->submit(verify), Submit::accepted);
  store.close();
  EXPECT_TRUE(write.done);
  EXPECT_TRUE(verify.done);
}

TEST(NullStore, ForgetsWritesAndShowsOnlyZeroes) {
  Faults faults;
  TestShard shard(faults);
  const auto volume = *make_null_volume(identity(), kSize, 4096);
  OpenStore store(shard, *volume);
  EXPECT_TRUE(store.write(0, filled(4096, 7)).ok);
  iovec pieces[8];
  unsigned count = 8;
  ASSERT_TRUE(store->view(0, 3 << 20, pieces, count));
  std::uint64_t seen = 0;
  for (unsigned i = 0; i < count; ++i) {
    const auto* const bytes = static_cast<const std::byte*>(pieces[i].iov_base);
    EXPECT_TRUE(std::all_of(bytes, bytes + pieces[i].iov_len, [](std::byte b) { return b == std::byte{0}; }));
    seen += pieces[i].iov_len;
  }
  EXPECT_EQ(seen, 3U << 20);
  count = 2;
  EXPECT_FALSE(store->view(0, 3 << 20, pieces, count)) << "too few pieces";
  EXPECT_EQ(store.run(TestOp(DeviceVerb::compare, 0, 4096)).kind, ErrorKind::unsupported);
}

TEST_P(KeepingStore, ReadsBackWhatWasWritten) {
  OpenStore store(shard, *volume);
  EXPECT_TRUE(store.write(1024, filled(2048, 1)).ok);
  EXPECT_TRUE(store.write(2048, filled(512, 2)).ok);
  EXPECT_EQ(store.read(512, 512), filled(512, 0));
  EXPECT_EQ(store.read(1024, 1024), filled(1024, 1));
  EXPECT_EQ(store.read(2048, 512), filled(512, 2));
  EXPECT_EQ(store.read(2560, 512), filled(512, 1));
}

TEST_P(KeepingStore, MakesZeroesOfPartsOfPages) {
  OpenStore store(shard, *volume);
  for (const DeviceVerb verb : {DeviceVerb::write_zeroes, DeviceVerb::deallocate}) {
    EXPECT_TRUE(store.write(0, filled(65536, 9)).ok);
    EXPECT_TRUE(store.run(TestOp(verb, 512, 32768)).ok);
    EXPECT_EQ(store.read(0, 512), filled(512, 9));
    EXPECT_EQ(store.read(512, 32768), filled(32768, 0));
    EXPECT_EQ(store.read(512 + 32768, 512), filled(512, 9));
  }
}

TEST_P(KeepingStore, Compares) {
  OpenStore store(shard, *volume);
  // More than one step of the file store's comparer.
  auto bytes = filled(512 * 1024, 5);
  bytes[300 * 1024] = std::byte{6};
  EXPECT_TRUE(store.write(4096, bytes).ok);
  EXPECT_TRUE(store.run(TestOp(DeviceVerb::compare, 4096, bytes)).ok);
  bytes.back() = std::byte{0};
  EXPECT_EQ(store.run(TestOp(DeviceVerb::compare, 4096, bytes)).kind, ErrorKind::compare_failed);
}

TEST_P(KeepingStore, WritesAfterACompareThatHoldsAndNotOtherwise) {
  OpenStore store(shard, *volume);
  auto old = filled(8192, 1);
  auto fresh = filled(8192, 2);
  EXPECT_TRUE(store.write(0, old).ok);
  EXPECT_TRUE(store.run(TestOp(0, old, fresh)).ok);
  EXPECT_EQ(store.read(0, 8192), fresh);
  auto third = filled(8192, 3);
  EXPECT_EQ(store.run(TestOp(0, old, third)).kind, ErrorKind::compare_failed);
  EXPECT_EQ(store.read(0, 8192), fresh);
}

TEST_P(KeepingStore, KeepsOneComparisonApartFromTheNext) {
  OpenStore store(shard, *volume);
  auto zero = filled(512, 0);
  auto one = filled(512, 1);
  auto two = filled(512, 2);
  TestOp first(0, zero, one);
  TestOp second(0, zero, two);
  TestOp third(0, one, two);
  for (TestOp* op : {&first, &second, &third}) ASSERT_EQ(store->submit(*op), Submit::accepted);
  while (!first.done || !second.done || !third.done) shard.loop.turn();
  EXPECT_TRUE(first.result.ok);
  EXPECT_EQ(second.result.kind, ErrorKind::compare_failed);
  EXPECT_TRUE(third.result.ok);
  EXPECT_EQ(store.read(0, 512), two);
}

TEST_P(KeepingStore, SharesItsBytesBetweenStores) {
  OpenStore one(shard, *volume);
  OpenStore other(shard, *volume);
  EXPECT_TRUE(one.write(512, filled(512, 4)).ok);
  EXPECT_EQ(other.read(512, 512), filled(512, 4));
}

TEST(MemoryStore, ShowsWhatWasStoredAtOnce) {
  Faults faults;
  TestShard shard(faults);
  const auto volume = *make_memory_volume(identity(), kSize, 512);
  OpenStore store(shard, *volume);
  auto bytes = filled(1536, 8);
  const iovec pieces[] = {{bytes.data(), 512}, {bytes.data() + 512, 1024}};
  ASSERT_TRUE(store->store_now(512, pieces, 2));
  iovec view{};
  unsigned count = 1;
  ASSERT_TRUE(store->view(0, 4096, &view, count));
  EXPECT_EQ(count, 1U);
  const auto* const seen = static_cast<const std::byte*>(view.iov_base);
  EXPECT_EQ(std::vector<std::byte>(seen + 512, seen + 2048), bytes);
  EXPECT_EQ(seen[2048], std::byte{0});
}

TEST(MemoryStore, IsSparse) {
  Faults faults;
  TestShard shard(faults);
  const auto resident_pages = [] {
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    std::ifstream("/proc/self/statm") >> total >> resident;
    return resident;
  };
  const std::uint64_t before = resident_pages();
  constexpr std::uint64_t kHuge = std::uint64_t{256} << 30;
  auto volume = make_memory_volume(identity(), kHuge, 4096);
  if (!volume) GTEST_SKIP() << "the system does not map " << kHuge << " bytes: " << volume.error().text();
  OpenStore store(shard, **volume);
  EXPECT_TRUE(store.write(kHuge - 4096, filled(4096, 1)).ok);
  EXPECT_EQ(store.read(kHuge - 4096, 4096), filled(4096, 1));
  EXPECT_EQ(store.read(kHuge / 2, 4096), filled(4096, 0));
  EXPECT_LT(resident_pages() - before, 4096U) << "16 MiB, room for huge pages and for whatever else grew";
}

}  // namespace
}  // namespace netstor::store
