// SPDX-License-Identifier: Apache-2.0
// What netstord keeps: over restarts, over kill -9, and of what is under way when it stops.

#include "tests/integration/netstord_process.h"

#include <netstor/volume.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

namespace netstor {
namespace {

class NetstordData : public ::testing::Test {
 protected:
  // A server that is gone answers nothing any more; the test does not wait for it to come back.
  static VolumeOptions options() {
    VolumeOptions at_once;
    at_once.path_loss_timeout = Duration::zero();
    return at_once;
  }
  Volume open(const ServerProcess& server, const std::string& name = "default") {
    return Volume::open(runtime, server.uri(name), options()).get().value();
  }
  static Buffer filled(std::size_t size, int value) {
    Buffer buffer = *Buffer::allocate(size);
    std::memset(buffer.data(), value, size);
    return buffer;
  }
  static bool holds(const Volume& volume, std::uint64_t offset, const Buffer& expected) {
    Buffer seen = *Buffer::allocate(expected.size());
    if (auto read = volume.read(offset, seen.bytes()).get(); !read) {
      ADD_FAILURE() << read.error();
      return false;
    }
    return std::memcmp(seen.data(), expected.data(), seen.size()) == 0;
  }
  ServerFolder folder;
  Runtime runtime = *Runtime::start();
};

TEST_F(NetstordData, KeepsItOverARestart) {
  const Buffer bytes = filled(1 << 20, 0x5a);
  {
    ServerProcess server(folder, {});
    ASSERT_TRUE(server.wait_ready());
    const Volume volume = open(server);
    ASSERT_TRUE(volume.write(1 << 20, bytes.bytes()).get());
    ASSERT_TRUE(volume.close().get());
    EXPECT_EQ(server.kill(SIGTERM), 0) << server.error_text();
  }
  ServerProcess server(folder, {});
  ASSERT_TRUE(server.wait_ready());
  const Volume volume = open(server);
  EXPECT_TRUE(holds(volume, 1 << 20, bytes));
  EXPECT_TRUE(holds(volume, 0, filled(1 << 20, 0)));
}

TEST_F(NetstordData, KeepsWhatWasFlushedOverAKill) {
  const Buffer flushed = filled(256 * 1024, 1);
  const Buffer forced = filled(4096, 2);
  {
    ServerProcess server(folder, {});
    ASSERT_TRUE(server.wait_ready());
    const Volume volume = open(server);
    ASSERT_TRUE(volume.write(0, flushed.bytes()).get());
    ASSERT_TRUE(volume.flush().get());
    ASSERT_TRUE(volume.write(1 << 20, forced.bytes(), {.force_unit_access = true}).get());
    EXPECT_EQ(server.kill(SIGKILL), 128 + SIGKILL);
  }
  ServerProcess server(folder, {});
  ASSERT_TRUE(server.wait_ready()) << "the lock of a server that was killed is free";
  const Volume volume = open(server);
  EXPECT_TRUE(holds(volume, 0, flushed));
  EXPECT_TRUE(holds(volume, 1 << 20, forced));
}

TEST_F(NetstordData, ServesAtTheSamePortAtOnceAfterAKill) {
  std::string address = "127.0.0.1:0";
  for (int i = 0; i < 6; ++i) {
    ServerProcess server(folder, {"--listen", address});
    ASSERT_TRUE(server.wait_ready()) << "the port of a server that was killed is free";
    address = "127.0.0.1:" + std::to_string(server.port(1));
    const Volume volume = open(server);  // connections are no hindrance either
    ASSERT_TRUE(volume.flush().get());
    EXPECT_EQ(server.kill(SIGKILL), 128 + SIGKILL);
  }
}

TEST_F(NetstordData, KeepsWhateverItAnsweredBeforeItStopped) {
  std::vector<std::uint64_t> answered;
  constexpr std::size_t kBytes = 64 * 1024;
  {
    ServerProcess server(folder, {});
    ASSERT_TRUE(server.wait_ready());
    const Volume volume = open(server);
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      ::kill(server.pid(), SIGTERM);
    });
    for (std::uint64_t i = 0; i < 8192; ++i) {
      const Buffer bytes = filled(kBytes, static_cast<int>(1 + i % 255));
      if (!volume.write(i * kBytes, bytes.bytes()).get()) break;
      answered.push_back(i);
    }
    stopper.join();
    EXPECT_EQ(server.wait(), 0) << server.error_text();
  }
  ServerProcess server(folder, {});
  ASSERT_TRUE(server.wait_ready());
  const Volume volume = open(server);
  ASSERT_FALSE(answered.empty());
  for (const std::uint64_t i : answered) {
    ASSERT_TRUE(holds(volume, i * kBytes, filled(kBytes, static_cast<int>(1 + i % 255)))) << "write " << i;
  }
}

TEST_F(NetstordData, ServesEveryKindOfStore) {
  ServerProcess server(folder, {"--volume", "f=16MiB", "--volume", "m=16MiB,store=memory,block=512",
                                "--volume", "n=16MiB,store=null"});
  ASSERT_TRUE(server.wait_ready());
  const Buffer ones = filled(1 << 20, 1);
  const Buffer zeroes = filled(1 << 20, 0);
  const Buffer twos = filled(4096, 2);
  for (const std::string& name : {std::string("f"), std::string("m"), std::string("n")}) {
    SCOPED_TRACE(name);
    const Volume volume = open(server, name);
    EXPECT_EQ(volume.size_bytes(), 16U << 20);
    EXPECT_EQ(volume.info().volatile_cache, name == "f");
    EXPECT_TRUE(volume.write(8192, ones.bytes()).get());
    EXPECT_TRUE(volume.flush().get());
    EXPECT_TRUE(holds(volume, 8192, name == "n" ? zeroes : ones));
    EXPECT_TRUE(volume.write_zeroes(8192, 65536).get());
    EXPECT_TRUE(volume.deallocate(8192 + 65536, 65536).get());
    EXPECT_TRUE(holds(volume, 8192, filled(131072, 0)));
    if (name == "n") continue;
    EXPECT_TRUE(volume.compare(0, filled(4096, 0).bytes()).get());
    EXPECT_EQ(volume.compare(0, twos.bytes()).get().error().kind(), ErrorKind::compare_failed);
    EXPECT_TRUE(volume.compare_and_write(0, filled(4096, 0).bytes(), twos.bytes()).get());
    EXPECT_TRUE(holds(volume, 0, twos));
    EXPECT_EQ(
        volume.compare_and_write(0, filled(4096, 0).bytes(), ones.bytes().first(4096)).get().error().kind(),
        ErrorKind::compare_failed);
    EXPECT_TRUE(holds(volume, 0, twos));
  }
}

TEST_F(NetstordData, LetsOnlyThoseInThatItWasTold) {
  ServerProcess server(folder, {"--allow-host", "nqn.2020-01.org.example:friend"});
  ASSERT_TRUE(server.wait_ready());
  VolumeOptions options = NetstordData::options();
  options.host_nqn = "nqn.2020-01.org.example:stranger";
  const auto refused = Volume::open(runtime, server.uri(), options).get();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind(), ErrorKind::permission_denied) << refused.error();
  EXPECT_TRUE(
      server.logs("host nqn.2020-01.org.example:stranger was refused by nqn.2026-01.io.netstor:default"))
      << server.error_text();
  options.host_nqn = "nqn.2020-01.org.example:friend";
  const auto admitted = Volume::open(runtime, server.uri(), options).get();
  EXPECT_TRUE(admitted.ok()) << admitted.error();
}

// The limit on the size of files stands for a disk that is full: no right is needed to set it.
TEST_F(NetstordData, AnswersNoSpaceAndServesOn) {
  for (const std::string driver : {"posix", "uring"}) {
    SCOPED_TRACE(driver);
    if (driver == "uring" && !Runtime::start({.io_driver = IoDriver::uring})) continue;
    const ServerFolder own;
    ServerProcess server(own, {"--volume", "v=16MiB", "--volume", "other=1MiB", "--io-driver", driver});
    ASSERT_TRUE(server.wait_ready());
    const Volume volume = open(server, "v");
    const Volume other = open(server, "other");
    const Buffer bytes = filled(65536, 7);
    rlimit limit{};
    ASSERT_EQ(::prlimit(server.pid(), RLIMIT_FSIZE, nullptr, &limit), 0);
    const rlimit full{.rlim_cur = 2 << 20, .rlim_max = limit.rlim_max};
    ASSERT_EQ(::prlimit(server.pid(), RLIMIT_FSIZE, &full, nullptr), 0);
    for (const bool forced : {false, true}) {
      const auto refused = volume.write(8 << 20, bytes.bytes(), {.force_unit_access = forced}).get();
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(refused.error().kind(), ErrorKind::no_space) << refused.error();
      EXPECT_EQ(refused.error().effect(), Effect::unknown) << "a part of it may be there";
      EXPECT_NE(refused.error().text().find("65536 bytes at 8388608"), std::string::npos) << refused.error();
    }
    EXPECT_TRUE(server.logs("write of 65536 bytes at 8388608 in nqn.2026-01.io.netstor:v for 127.0.0.1:"))
        << server.error_text();
    EXPECT_TRUE(volume.write(0, bytes.bytes()).get()) << "what has its room already";
    EXPECT_TRUE(holds(volume, 0, bytes));
    EXPECT_TRUE(other.write(0, bytes.bytes()).get());
    ASSERT_EQ(::prlimit(server.pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
    EXPECT_TRUE(volume.write(8 << 20, bytes.bytes()).get()) << "there is room again";
    EXPECT_TRUE(volume.flush().get());
    EXPECT_TRUE(holds(volume, 8 << 20, bytes));
    EXPECT_EQ(server.kill(SIGTERM), 0) << server.error_text();
  }
}

TEST_F(NetstordData, AnswersAnErrorWhenAVolumesFileIsRemoved) {
  ServerProcess server(folder, {"--volume", "v=16MiB", "--volume", "other=16MiB"});
  ASSERT_TRUE(server.wait_ready());
  const Volume volume = open(server, "v");
  ASSERT_TRUE(volume.write(0, filled(4096, 1).bytes()).get());
  std::filesystem::remove(folder / "state/volumes/v/data");
  EXPECT_FALSE(volume.flush().get().ok());
  EXPECT_FALSE(volume.write(0, filled(4096, 1).bytes()).get().ok());
  const Volume other = open(server, "other");
  EXPECT_TRUE(other.write(0, filled(4096, 1).bytes()).get()) << "the others go on";
}

}  // namespace
}  // namespace netstor
