// SPDX-License-Identifier: Apache-2.0
// What a volume promises whatever it is made of, shown on a local file: checks, splitting, scatter lists,
// shards, closing. Lost paths are tests/sim's and tests/integration's.

#include <netstor/netstor.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace netstor {
namespace {

constexpr std::uint64_t kSize = std::uint64_t{16} << 20;

class VolumeTest : public ::testing::Test {
 protected:
  VolumeTest() : path_("/tmp/netstor-volume-test-" + std::to_string(::getpid())) {
    std::ofstream(path_).close();
    std::filesystem::resize_file(path_, kSize);
  }
  ~VolumeTest() override {
    volume_ = {};
    std::filesystem::remove(path_);
  }
  Volume& open(VolumeOptions options = {}) {
    volume_ = Volume::open(runtime_, "file://" + path_, std::move(options)).get().value();
    return volume_;
  }
  static Buffer pattern(std::size_t bytes, unsigned seed = 1) {
    Buffer buffer = *Buffer::allocate(bytes);
    for (std::size_t i = 0; i < bytes; ++i)
      buffer.data()[i] = static_cast<std::byte>((i * 31 + i / 509 + seed) & 0xff);
    return buffer;
  }
  static bool same(Bytes a, Bytes b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
  }
  template <class T>
  static ErrorKind kind(Future<T> future) {
    auto result = future.get();
    EXPECT_FALSE(result.ok());
    return result.ok() ? ErrorKind::internal : result.error().kind();
  }

  std::string path_;
  Runtime runtime_ = *Runtime::start({.shards = 2});
  Volume volume_;
};

TEST_F(VolumeTest, ReadsBackWhatWasWritten) {
  Volume& volume = open();
  Buffer out = pattern(8192);
  Buffer in = *Buffer::allocate(8192);
  ASSERT_TRUE(volume.write(4096, out.bytes()).get().ok());
  ASSERT_TRUE(volume.read(4096, in.bytes()).get().ok());
  EXPECT_TRUE(same(in.bytes(), out.bytes()));
}

TEST_F(VolumeTest, SplitsWhatIsLargerThanTheDeviceTakes) {
  Volume& volume = open();
  const std::size_t bytes = volume.info().transfer_bytes_max * 3 + volume.block_bytes();
  Buffer out = pattern(bytes);
  Buffer in = *Buffer::allocate(bytes);
  ASSERT_TRUE(volume.write(0, out.bytes()).get().ok());
  ASSERT_TRUE(volume.read(0, in.bytes()).get().ok());
  EXPECT_TRUE(same(in.bytes(), out.bytes()));
}

TEST_F(VolumeTest, ScattersAndGathersInOrderAcrossSplits) {
  Volume& volume = open();
  const std::size_t bytes = std::size_t{volume.info().transfer_bytes_max} * 2 + 4096;
  Buffer out = pattern(bytes);
  Buffer in = *Buffer::allocate(bytes);
  const std::size_t first = 4096;
  const std::size_t second = volume.info().transfer_bytes_max + 8192;
  const std::array<Bytes, 4> from = {out.bytes().subspan(0, first), Bytes(),
                                     out.bytes().subspan(first, second), out.bytes().subspan(first + second)};
  const std::array<MutableBytes, 2> into = {in.bytes().subspan(0, second), in.bytes().subspan(second)};
  ASSERT_TRUE(volume.write(4096, ConstScatterList(from)).get().ok());
  ASSERT_TRUE(volume.read(4096, ScatterList(into)).get().ok());
  EXPECT_TRUE(same(in.bytes(), out.bytes()));
}

TEST_F(VolumeTest, RefusesUnalignedOffsetAndLength) {
  Volume& volume = open();
  Buffer block = pattern(4096);
  EXPECT_EQ(kind(volume.read(1, block.bytes())), ErrorKind::invalid_argument);
  EXPECT_EQ(kind(volume.write(0, block.bytes().subspan(0, 100))), ErrorKind::invalid_argument);
}

TEST_F(VolumeTest, RefusesWhatEndsBeyondTheVolumeNamingItsSize) {
  Volume& volume = open();
  Buffer block = pattern(8192);
  auto result = volume.read(kSize - 4096, block.bytes()).get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind(), ErrorKind::out_of_range);
  EXPECT_NE(result.error().text().find(std::to_string(kSize)), std::string::npos);
  EXPECT_EQ(kind(volume.write(~std::uint64_t{0} - 4095, block.bytes())), ErrorKind::out_of_range);
}

TEST_F(VolumeTest, RefusesTooManyPieces) {
  Volume& volume = open();
  Buffer block = pattern(4096);
  const std::vector<Bytes> pieces(kScatterPiecesMax + 1, block.bytes());
  EXPECT_EQ(kind(volume.write(0, ConstScatterList(pieces))), ErrorKind::invalid_argument);
}

TEST_F(VolumeTest, LengthZeroSucceedsAtOnce) {
  Volume& volume = open();
  EXPECT_TRUE(volume.read(0, MutableBytes()).get().ok());
}

TEST_F(VolumeTest, ReadOnlyRefusesWritesAndStillReads) {
  Volume& volume = open({.read_only = true});
  Buffer block = pattern(4096);
  EXPECT_EQ(kind(volume.write(0, block.bytes())), ErrorKind::permission_denied);
  EXPECT_TRUE(volume.read(0, block.bytes()).get().ok());
}

TEST_F(VolumeTest, ZeroesAndComparesWhereTheDeviceCan) {
  Volume& volume = open();
  Buffer out = pattern(8192);
  ASSERT_TRUE(volume.write(0, out.bytes()).get().ok());
  EXPECT_TRUE(volume.compare(0, out.bytes()).get().ok());
  ASSERT_TRUE(volume.write_zeroes(4096, 4096).get().ok());
  EXPECT_EQ(kind(volume.compare(0, out.bytes())), ErrorKind::compare_failed);
  Buffer in = *Buffer::allocate(4096);
  ASSERT_TRUE(volume.read(4096, in.bytes()).get().ok());
  EXPECT_TRUE(same(in.bytes(), Buffer::allocate(4096)->bytes()));
}

TEST_F(VolumeTest, FlushAndForceUnitAccessSucceed) {
  Volume& volume = open();
  Buffer block = pattern(4096);
  EXPECT_TRUE(volume.write(0, block.bytes(), {.force_unit_access = true}).get().ok());
  EXPECT_TRUE(volume.flush().get().ok());
}

TEST_F(VolumeTest, EachShardUsesItsOwnQueue) {
  Volume volume = open();
  for (unsigned i = 0; i < 2; ++i) {
    auto done = runtime_.shard(i).run_on([volume, i]() -> Task<std::uint64_t> {
      Buffer block = pattern(4096, i);
      NETSTOR_CHECK(co_await volume.write(i * 4096, block.bytes()));
      co_return Shard::current()->metrics().writes;
    });
    EXPECT_EQ(*done.get(), 1U);
  }
}

TEST_F(VolumeTest, AShardWithoutAQueueBorrowsTheHomes) {
  Volume volume = open({.queues = 1});
  for (unsigned i = 0; i < 2; ++i) {
    auto done = runtime_.shard(i).run_on([volume]() -> Task<void> {
      Buffer block = pattern(4096);
      co_return co_await volume.write(0, block.bytes());
    });
    EXPECT_TRUE(done.get().ok());
  }
}

TEST_F(VolumeTest, CloseAnswersWhatIsUnderWayAndRefusesWhatComesAfter) {
  Volume volume = open();
  std::vector<Buffer> blocks;
  std::vector<Future<void>> pending;
  for (int i = 0; i < 64; ++i) {
    blocks.push_back(pattern(65536));
    pending.push_back(volume.write(0, blocks.back().bytes()));
  }
  ASSERT_TRUE(volume.close().get().ok());
  for (auto& one : pending) {
    auto result = one.get();
    if (!result.ok()) {
      EXPECT_EQ(result.error().kind(), ErrorKind::cancelled);
    }
  }
  EXPECT_EQ(kind(volume.read(0, blocks[0].bytes())), ErrorKind::cancelled);
  EXPECT_TRUE(volume.close().get().ok());
}

TEST_F(VolumeTest, CancelledRequestsBecomeReady) {
  Volume volume = open();
  auto ended = runtime_.shard(0).run_on([volume]() -> Task<int> {
    Buffer block = *Buffer::allocate(kSize);
    Future<void> whole = volume.read(0, block.bytes());
    whole.cancel();
    Result<void> result = co_await std::move(whole);
    if (!result && result.error().kind() != ErrorKind::cancelled) co_return std::move(result).error();
    co_return 1;
  });
  EXPECT_EQ(*ended.get(), 1);
}

TEST_F(VolumeTest, OutlivesItsRuntimeQuietly) {
  Volume survivor;
  {
    Runtime runtime = *Runtime::start();
    survivor = Volume::open(runtime, "file://" + path_).get().value();
  }
  EXPECT_EQ(survivor.size_bytes(), kSize);
}

TEST_F(VolumeTest, OpenOfNothingSaysWhat) {
  auto missing = Volume::open(runtime_, "file:///nonexistent/netstor").get();
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind(), ErrorKind::not_found);
  EXPECT_NE(missing.error().text().find("/nonexistent/netstor"), std::string::npos);
  EXPECT_EQ(kind(Volume::open(runtime_, "gopher://host/x")), ErrorKind::unsupported);
  EXPECT_EQ(kind(Volume::open(runtime_, "no uri")), ErrorKind::invalid_argument);
}

TEST_F(VolumeTest, OpenRefusesOptionsBeyondTheirLimitNamingThem) {
  auto result = Volume::open(runtime_, "file://" + path_, {.queue_depth = 0}).get();
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().text().find("queue_depth"), std::string::npos);
  EXPECT_EQ(kind(Volume::open(runtime_, "file://" + path_, {.queues = 3})), ErrorKind::invalid_argument);
}

TEST_F(VolumeTest, RegisteredMemoryReadsAndWrites) {
  Volume& volume = open();
  Buffer memory = pattern(1 << 20);
  auto registration = runtime_.register_memory(memory.bytes());
  ASSERT_TRUE(registration.ok());
  EXPECT_TRUE(volume.write(0, memory.bytes()).get().ok());
  EXPECT_TRUE(volume.read(0, memory.bytes().subspan(4096, 8192)).get().ok());
}

TEST(Uri, ParsesTheDocumentedForms) {
  Uri uri = *Uri::parse("nvme+tcp://[::1]:4421/nqn.2026-01.io.netstor:a%20b?ns=2&x");
  EXPECT_EQ(uri.scheme, "nvme+tcp");
  EXPECT_EQ(uri.host, "::1");
  EXPECT_EQ(uri.port, 4421);
  EXPECT_EQ(uri.path, "/nqn.2026-01.io.netstor:a b");
  EXPECT_EQ(uri.find("ns"), "2");
  EXPECT_EQ(Uri::parse(uri.to_string())->path, uri.path);
}

TEST(Uri, RefusesWhatIsNotOne) {
  for (const char* bad : {"", "host/path", "1http://x", "tcp://h:0/", "tcp://h:99999/", "tcp://[::1/",
                          "a://u@h/", "file:///a%zz", "file:///a%00", "x://h/#f", "x://h:/"}) {
    EXPECT_FALSE(Uri::parse(bad).ok()) << bad;
  }
  EXPECT_FALSE(Uri::parse("file:///" + std::string(5000, 'a')).ok());
}

TEST(Size, ParsesUnitsAndRefusesNonsense) {
  EXPECT_EQ(*parse_size("4096"), 4096U);
  EXPECT_EQ(*parse_size("64KiB"), 65536U);
  EXPECT_EQ(*parse_size("1.5G"), std::uint64_t{3} << 29);
  for (const char* bad : {"", "x", "-1", "1XB", "1e400", "0.3", "99999999P", "nan"}) {
    EXPECT_FALSE(parse_size(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace netstor
