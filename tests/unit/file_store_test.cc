// SPDX-License-Identifier: Apache-2.0
// The file store against a device that misbehaves, a disk that is full, a file that vanishes.

#include "server/store/file_store.h"
#include "tests/unit/store_support.h"

#include <sys/mount.h>

#include <cstring>

namespace netstor::store {
namespace {

constexpr std::uint64_t kSize = 4 << 20;

VolumeIdentity identity() { return {.name = "v", .nqn = default_nqn("v"), .serial = "1"}; }

class FileStoreTest : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::string path = folder.sparse_file("data", kSize);
  Faults faults;
  TestShard shard{faults};
  std::unique_ptr<StoredVolume> volume = *make_file_volume(identity(), path, kSize, 512);
};

TEST_F(FileStoreTest, KeepsItsBytesOverAReopen) {
  {
    OpenStore store(shard, *volume);
    EXPECT_TRUE(store.write(4096, filled(4096, 5)).ok);
    EXPECT_TRUE(store.run(TestOp(DeviceVerb::flush)).ok);
  }
  volume = *make_file_volume(identity(), path, kSize, 512);
  OpenStore store(shard, *volume);
  EXPECT_EQ(store.read(4096, 4096), filled(4096, 5));
}

TEST_F(FileStoreTest, TakesSpaceOnlyForWhatIsWritten) {
  OpenStore store(shard, *volume);
  struct stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_blocks, 0);
  EXPECT_TRUE(store.write(1 << 20, filled(65536, 5)).ok);
  EXPECT_TRUE(store.run(TestOp(DeviceVerb::flush)).ok);
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_LE(facts.st_blocks * 512, 1 << 18);
}

TEST_F(FileStoreTest, HandsOutNoMemory) {
  OpenStore store(shard, *volume);
  iovec piece{};
  unsigned count = 1;
  EXPECT_FALSE(store->view(0, 512, &piece, count));
  auto bytes = filled(512, 1);
  const iovec one{bytes.data(), bytes.size()};
  EXPECT_FALSE(store->store_now(0, &one, 1));
}

TEST_F(FileStoreTest, WaitsForADeviceThatIsFull) {
  OpenStore store(shard, *volume);
  auto a = filled(512, 1);
  auto b = filled(512, 2);
  TestOp first(DeviceVerb::write, 0, a);
  TestOp second(DeviceVerb::write, 512, b);
  faults.full_times = 3;
  ASSERT_EQ(store->submit(first), Submit::accepted);
  ASSERT_EQ(store->submit(second), Submit::accepted);
  while (!first.done || !second.done) shard.loop.turn();
  EXPECT_TRUE(first.result.ok);
  EXPECT_TRUE(second.result.ok);
  EXPECT_EQ(store.read(512, 512), b);
}

TEST_F(FileStoreTest, CancelsWhatWaitedForAFullDeviceWhenItIsClosed) {
  OpenStore store(shard, *volume);
  auto bytes = filled(512, 1);
  TestOp first(DeviceVerb::write, 0, bytes);
  TestOp second(0, bytes, bytes);
  faults.full_times = 1000;
  ASSERT_EQ(store->submit(first), Submit::accepted);
  ASSERT_EQ(store->submit(second), Submit::accepted);
  store.close();
  EXPECT_EQ(first.result.kind, ErrorKind::cancelled);
  EXPECT_EQ(second.result.kind, ErrorKind::cancelled);
}

TEST_F(FileStoreTest, CancelsWhatTheDeviceHoldsWhenItIsClosed) {
  OpenStore store(shard, *volume);
  auto bytes = filled(512, 1);
  TestOp write(DeviceVerb::write, 0, bytes);
  TestOp fused(4096, bytes, bytes);
  TestOp behind(DeviceVerb::write, 4096, bytes);
  faults.hold = true;
  for (TestOp* op : {&write, &fused, &behind}) ASSERT_EQ(store->submit(*op), Submit::accepted);
  store.close();
  for (const TestOp* op : {&write, &fused, &behind}) EXPECT_EQ(op->result.kind, ErrorKind::cancelled);
}

TEST_F(FileStoreTest, LetsWritesWaitForAComparisonOfTheirBytesOnly) {
  OpenStore store(shard, *volume);
  auto zero = filled(4096, 0);
  auto one = filled(4096, 1);
  auto two = filled(4096, 2);
  TestOp fused(0, zero, one);
  TestOp overlapping(DeviceVerb::write, 0, two);
  faults.hold = true;
  ASSERT_EQ(store->submit(fused), Submit::accepted);
  ASSERT_EQ(store->submit(overlapping), Submit::accepted);
  TestOp elsewhere(DeviceVerb::write, 8192, two);
  ASSERT_EQ(store->submit(elsewhere), Submit::accepted);
  EXPECT_EQ(shard.driver.last_port->pending.size(), 2U) << "the comparison and the write elsewhere";
  faults.hold = false;
  while (!overlapping.done || !elsewhere.done) shard.loop.turn();
  EXPECT_TRUE(fused.result.ok) << "the overlapping write came second";
  EXPECT_EQ(store.read(0, 4096), two);
}

TEST_F(FileStoreTest, AnswersTheMediumsErrors) {
  OpenStore store(shard, *volume);
  faults.fail_errno = EIO;
  const OpResult result = store.write(0, filled(512, 1));
  EXPECT_EQ(result.kind, ErrorKind::device_error);
  EXPECT_EQ(result.native, EIO);
  auto bytes = filled(512, 0);
  EXPECT_EQ(store.run(TestOp(DeviceVerb::read, 0, bytes)).kind, ErrorKind::device_error);
  EXPECT_EQ(store.run(TestOp(0, bytes, bytes)).kind, ErrorKind::device_error);
  faults.fail_errno = ENOSPC;
  EXPECT_EQ(store.write(0, filled(512, 1)).kind, ErrorKind::no_space);
  faults.fail_errno = 0;
  EXPECT_TRUE(store.write(0, filled(512, 1)).ok);
}

TEST_F(FileStoreTest, AnswersAnErrorOnceItsFileIsGone) {
  OpenStore store(shard, *volume);
  EXPECT_TRUE(store.write(0, filled(512, 1)).ok);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  const OpResult flushed = store.run(TestOp(DeviceVerb::flush));
  EXPECT_EQ(flushed.kind, ErrorKind::device_error);
  EXPECT_EQ(flushed.native, ENOENT);
  EXPECT_EQ(store.write(0, filled(512, 1)).kind, ErrorKind::device_error);
}

TEST_F(FileStoreTest, PromisesNoDurableWriteToAFileThatIsGone) {
  OpenStore store(shard, *volume);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  auto bytes = filled(512, 1);
  TestOp op(DeviceVerb::write, 0, bytes);
  op.force_unit_access = true;
  const OpResult result = store.run(op);
  EXPECT_EQ(result.kind, ErrorKind::device_error);
  EXPECT_EQ(result.effect, Effect::unknown);
}

TEST_F(FileStoreTest, AnswersAnErrorWhereItsFileWasCutShort) {
  OpenStore store(shard, *volume);
  ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
  auto bytes = filled(512, 0);
  EXPECT_TRUE(store.run(TestOp(DeviceVerb::read, 0, bytes)).ok);
  EXPECT_EQ(store.run(TestOp(DeviceVerb::read, 8192, bytes)).kind, ErrorKind::device_error);
}

TEST_F(FileStoreTest, AnswersAnErrorForALostDevice) {
  OpenStore store(shard, *volume);
  shard.driver.last_port->last_device->observer()->device_lost(OpResult::system(ENODEV));
  EXPECT_EQ(store.write(0, filled(512, 1)).kind, ErrorKind::device_error);
}

TEST_F(FileStoreTest, RefusesAFileSystemThatWantsLargerBlocks) {
  faults.block_bytes = 4096;
  const auto store = shard.open(*volume);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().kind(), ErrorKind::unsupported);
  EXPECT_NE(store.error().text().find("block=4096"), std::string::npos) << store.error();
}

TEST_F(FileStoreTest, SaysWhyItCannotOpen) {
  ASSERT_EQ(::unlink(path.c_str()), 0);
  const auto store = shard.open(*volume);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().kind(), ErrorKind::not_found);
  EXPECT_NE(store.error().text().find(path), std::string::npos) << store.error();
}

TEST(FileVolume, RefusesAFileThatIsTooShort) {
  const TemporaryFolder folder;
  const auto volume = make_file_volume(identity(), folder.sparse_file("data", kSize - 512), kSize, 512);
  ASSERT_FALSE(volume.ok());
  EXPECT_EQ(volume.error().kind(), ErrorKind::invalid_argument);
}

TEST(FileVolume, OpensAFileWithAnOddPath) {
  const TemporaryFolder folder;
  Faults faults;
  TestShard shard(faults);
  auto volume = make_file_volume(identity(), folder.sparse_file("a b%41?#é", kSize), kSize, 512);
  ASSERT_TRUE(volume.ok());
  OpenStore store(shard, **volume);
  EXPECT_TRUE(store.write(0, filled(512, 1)).ok);
}

TEST(FileVolume, AnswersNoSpaceOnAFullDisk) {
  const TemporaryFolder folder;
  if (::mount("netstor-test", folder.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") != 0) {
    GTEST_SKIP() << "no right to mount a small tmpfs: " << std::strerror(errno);
  }
  {
    Faults faults;
    TestShard shard(faults);
    const auto volume = *make_file_volume(identity(), folder.sparse_file("data", kSize), kSize, 4096);
    OpenStore store(shard, *volume);
    EXPECT_TRUE(store.write(0, filled(65536, 1)).ok);
    OpResult result = OpResult::success();
    for (std::uint64_t at = 0; result.ok && at < kSize; at += 1 << 20)
      result = store.write(at, filled(1 << 20, 2));
    // A short write is answered as the kernel answers it to the device: some bytes, then none.
    EXPECT_FALSE(result.ok);
    EXPECT_EQ(store.read(0, 4096), filled(4096, 2)) << "what was written stays";
    EXPECT_TRUE(store.run(TestOp(DeviceVerb::deallocate, 0, 1 << 20)).ok);
    EXPECT_TRUE(store.write(0, filled(4096, 3)).ok) << "there is room again";
  }
  ::umount2(folder.path().c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace netstor::store
