// SPDX-License-Identifier: Apache-2.0
//
// The NVMe over Fabrics driver against the target, over loopback TCP: a volume is opened, used, resized,
// lost.

#include <gtest/gtest.h>
#include <netstor/netstor.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>

#include "server/nvmf/target.h"
#include "server/store/memory_store.h"
#include "tests/integration/freezing_proxy.h"

namespace netstor {
namespace {

constexpr std::uint64_t kSize = 64 << 20;
constexpr const char* kNqn = "nqn.2026-01.io.netstor:v";

class Nvmeof : public testing::TestWithParam<IoDriver> {
 protected:
  void SetUp() override {
    const Result<Runtime> probe = Runtime::start({.io_driver = GetParam()});
    if (!probe) GTEST_SKIP() << probe.error();
    start_target(512);
    host_.emplace(*Runtime::start({.shards = 3, .io_driver = GetParam()}));
  }
  void TearDown() override {
    host_.reset();
    stop_target();
    volume_.reset();
    server_.reset();
  }

  void start_target(std::uint32_t block_bytes) {
    server_.emplace(*Runtime::start({.shards = 2, .io_driver = GetParam()}));
    store::VolumeIdentity identity{.name = "v", .nqn = kNqn, .uuid = {}, .nguid = {1}, .serial = "1"};
    volume_ = *store::make_memory_volume(identity, kSize, block_bytes);
    target_ = *nvmf::Target::start(*server_, {});
    target_->add_subsystem({.nqn = kNqn, .serial = "1"}).get().value();
    target_->add_namespace(kNqn, 1, *volume_).get().value();
    address_ = target_->listen({.address = {"127.0.0.1", 0}, .advertised_host = {}}).get().value();
  }
  void stop_target() {
    if (!target_) return;
    target_->stop(std::chrono::milliseconds(100)).get().value();
    target_.reset();
  }

  std::string service() const { return "nvme+tcp://127.0.0.1:" + std::to_string(address_.port); }
  std::string uri() const { return service() + "/" + kNqn; }
  Result<Volume> open(VolumeOptions options = {}) {
    if (options.path_loss_timeout == VolumeOptions{}.path_loss_timeout)
      options.path_loss_timeout = Duration::zero();
    return Volume::open(*host_, uri(), options).get();
  }
  static Buffer filled(std::size_t size, unsigned seed) {
    Buffer buffer = *Buffer::allocate(size);
    for (std::size_t i = 0; i < size; ++i) {
      buffer.bytes()[i] = static_cast<std::byte>((i * 31 + seed + (i >> 9)) & 0xFF);
    }
    return buffer;
  }

  std::optional<Runtime> server_;
  std::unique_ptr<store::StoredVolume> volume_;
  std::unique_ptr<nvmf::Target> target_;
  Address address_;
  std::optional<Runtime> host_;
};

TEST_P(Nvmeof, ReadsBackWhatItWroteAtEverySize) {
  for (const bool digests : {false, true}) {
    Volume volume = *open({.header_digest = digests, .data_digest = digests});
    EXPECT_EQ(volume.size_bytes(), kSize);
    unsigned seed = digests ? 100 : 0;
    for (const std::size_t size : {512u, 4096u, 8192u, 12288u, 65536u, 1u << 20, 5u << 20}) {
      const Buffer from = filled(size, ++seed);
      Buffer into = *Buffer::allocate(size);
      volume.write(512, from.bytes()).get().value();
      volume.read(512, into.bytes()).get().value();
      EXPECT_TRUE(std::ranges::equal(from.bytes(), into.bytes())) << size;
    }
    volume.close().get().value();
  }
}

TEST_P(Nvmeof, CopiesNothingOfLargeTransfers) {
  Volume volume = *open();
  const Buffer from = filled(1 << 20, 1);
  Buffer into = *Buffer::allocate(1 << 20);
  for (int i = 0; i < 8; ++i) {
    volume.write(0, from.bytes()).get().value();
    volume.read(0, into.bytes()).get().value();
  }
  EXPECT_EQ(host_->metrics().copied_bytes, 0u);
  volume.close().get().value();
}

TEST_P(Nvmeof, CarriesManyRequestsOfManyShards) {
  Volume volume = *open({.queue_depth = 16});
  std::vector<Future<void>> all;
  for (unsigned shard = 0; shard < host_->shards(); ++shard) {
    all.push_back(host_->shard(shard).run_on([volume, shard]() -> Task<void> {
      constexpr std::size_t kBlock = 4096, kCount = 200;
      const std::uint64_t base = std::uint64_t{shard} << 20;
      Buffer from = filled(kBlock * kCount, shard);
      Buffer into = *Buffer::allocate(kBlock * kCount);
      std::vector<Future<void>> some;
      for (std::size_t i = 0; i < kCount; ++i) {
        some.push_back(volume.write(base + i * kBlock, from.bytes().subspan(i * kBlock, kBlock)));
      }
      auto written = co_await when_all(std::move(some));
      for (auto& each : *written) NETSTOR_CHECK(std::move(each));
      some.clear();
      for (std::size_t i = 0; i < kCount; ++i) {
        some.push_back(volume.read(base + i * kBlock, into.bytes().subspan(i * kBlock, kBlock)));
      }
      auto read = co_await when_all(std::move(some));
      for (auto& each : *read) NETSTOR_CHECK(std::move(each));
      if (!std::ranges::equal(from.bytes(), into.bytes()))
        co_return Error(ErrorKind::data_corrupt, "differs");
      co_return ok();
    }));
  }
  for (auto& each : all) EXPECT_TRUE(each.get().ok());
  volume.close().get().value();
}

TEST_P(Nvmeof, HasTheOtherVerbs) {
  Volume volume = *open();
  const Buffer old = filled(4096, 1), fresh = filled(4096, 2);
  Buffer into = *Buffer::allocate(4096);
  volume.write(0, old.bytes()).get().value();
  volume.flush().get().value();
  volume.compare(0, old.bytes()).get().value();
  EXPECT_EQ(volume.compare(0, fresh.bytes()).get().error().kind(), ErrorKind::compare_failed);
  const std::size_t atomic = std::min<std::size_t>(4096, volume.info().atomic_bytes);
  const auto part = [atomic](const Buffer& buffer) { return buffer.bytes().first(atomic); };
  const auto refused = volume.compare_and_write(0, part(fresh), part(fresh)).get();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind(), ErrorKind::compare_failed);
  EXPECT_EQ(refused.error().effect(), Effect::none);
  volume.compare_and_write(0, part(old), part(fresh)).get().value();
  volume.read(0, into.bytes()).get().value();
  EXPECT_TRUE(std::ranges::equal(into.bytes().first(atomic), part(fresh)));
  volume.verify(0, 4096).get().value();
  volume.write_zeroes(0, 4096).get().value();
  volume.read(0, into.bytes()).get().value();
  EXPECT_TRUE(std::ranges::all_of(into.bytes(), [](std::byte b) { return b == std::byte{0}; }));
  volume.deallocate(0, 65536).get().value();
  volume.write(0, old.bytes(), {.force_unit_access = true}).get().value();
  volume.close().get().value();
}

TEST_P(Nvmeof, SaysWhatIsNotThere) {
  const auto kind = [&](const std::string& name) {
    return Volume::open(*host_, name, {.connect_timeout = std::chrono::seconds(5)}).get().error().kind();
  };
  EXPECT_EQ(kind(service() + "/nqn.2026-01.io.netstor:other"), ErrorKind::not_found);
  EXPECT_EQ(kind(uri() + "?ns=7"), ErrorKind::not_found);
  EXPECT_EQ(kind(service()), ErrorKind::invalid_argument);
  EXPECT_EQ(kind(uri() + "?ns=x"), ErrorKind::invalid_argument);
}

TEST_P(Nvmeof, FindsTheSubsystemByDiscovery) {
  const auto found = discover(*host_, service()).get().value();
  const auto is_it = [&](const DiscoveredSubsystem& each) { return each.nqn == kNqn && each.uri == uri(); };
  EXPECT_TRUE(std::ranges::any_of(found, is_it));
}

TEST_P(Nvmeof, FailsAsDisconnectedWhenTheTargetGoes) {
  Volume volume = *open();
  Buffer into = *Buffer::allocate(4096);
  volume.read(0, into.bytes()).get().value();
  stop_target();
  Result<void> read;
  for (int i = 0; i < 100 && read; ++i) read = volume.read(0, into.bytes()).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind(), ErrorKind::disconnected);
  volume.close().get().value();
}

// The memory of a shard that ended is a sanitizer's to watch.
TEST_P(Nvmeof, IsObservedUntilTheLastOfItsShardsIsGone) {
  for (int round = 0; round < 20; ++round) {
    Future<void> stopping = target_->stop(Duration::zero());
    std::size_t shards = 2;
    while (!stopping.ready()) {
      const auto facts = target_->observe().get();
      ASSERT_TRUE(facts) << facts.error();
      EXPECT_LE(facts->size(), shards) << "a shard came back";
      shards = facts->size();
    }
    stopping.get().value();
    EXPECT_TRUE(target_->observe().get()->empty());
    target_.reset();
    server_.reset();
    start_target(512);
  }
}

TEST_P(Nvmeof, GivesMemoryBackOnCancel) {
  Volume volume = *open();
  const auto result = host_->shard(0)
                          .run_on([volume]() -> Task<void> {
                            Buffer memory = filled(1 << 20, 3);
                            for (int i = 0; i < 50; ++i) {
                              Future<void> write = volume.write(0, memory.bytes());
                              Future<void> read = volume.read(0, memory.bytes().first(65536));
                              if (i % 3 == 1) NETSTOR_CHECK(co_await yield());
                              write.cancel();
                              read.cancel();
                              static_cast<void>(co_await std::move(write));
                              static_cast<void>(co_await std::move(read));
                            }
                            NETSTOR_CHECK(co_await volume.write(0, memory.bytes()));
                            Buffer into = *Buffer::allocate(memory.bytes().size());
                            NETSTOR_CHECK(co_await volume.read(0, into.bytes()));
                            if (!std::ranges::equal(into.bytes(), memory.bytes()))
                              co_return Error(ErrorKind::data_corrupt, "differs");
                            co_return ok();
                          })
                          .get();
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().to_string());
  volume.close().get().value();
}

TEST_P(Nvmeof, RefusesPairsThatAQueueOfOneCannotHold) {
  Volume volume = *open({.queue_depth = 1});
  const Buffer block = filled(512, 1);
  const auto pair = volume.compare_and_write(0, block.bytes(), block.bytes()).get();
  ASSERT_FALSE(pair.ok());
  EXPECT_EQ(pair.error().kind(), ErrorKind::unsupported) << pair.error();
  volume.write(0, block.bytes()).get().value();
  volume.compare(0, block.bytes()).get().value();
  volume.close().get().value();
}

// A command that was cancelled on its way keeps its place in the queue until the target answers.
TEST_P(Nvmeof, GoesOnWhenTheLastPlaceWasACancelledCommands) {
  test::FreezingProxy proxy(address_.port);
  const std::string there = "nvme+tcp://127.0.0.1:" + std::to_string(proxy.port()) + "/" + kNqn;
  Volume volume = *Volume::open(*host_, there, {.queue_depth = 1}).get();
  Buffer first = *Buffer::allocate(4096), second = *Buffer::allocate(4096);
  proxy.freeze();
  const auto task = [&]() -> Task<void> {
    auto cancelled = volume.read(0, first.bytes());
    NETSTOR_CHECK(co_await sleep(std::chrono::milliseconds(20)));
    cancelled.cancel();
    auto waiting = with_deadline(volume.read(0, second.bytes()), std::chrono::seconds(20));
    static_cast<void>(co_await std::move(cancelled));
    proxy.thaw();
    NETSTOR_CHECK(co_await std::move(waiting));
    co_return ok();
  };
  host_->shard(0).run_on(task).get().value();
  volume.close().get().value();
}

TEST_P(Nvmeof, RemembersThatAWriteWhichWaitsForItsNextTryMayHaveHappened) {
  test::FreezingProxy proxy(address_.port);
  const std::string there = "nvme+tcp://127.0.0.1:" + std::to_string(proxy.port()) + "/" + kNqn;
  Volume volume = *Volume::open(*host_, there, {.connect_timeout = std::chrono::milliseconds(100)}).get();
  const Buffer from = filled(4096, 7);
  proxy.freeze();
  const auto task = [&]() -> Task<void> {
    auto write = volume.write(0, from.bytes(), {.idempotent = true});
    NETSTOR_CHECK(co_await sleep(std::chrono::milliseconds(20)));
    proxy.cut();
    NETSTOR_CHECK(co_await sleep(std::chrono::milliseconds(50)));
    write.cancel();
    Result<void> cancelled = co_await std::move(write);
    co_return cancelled;
  };
  const auto cancelled = host_->shard(0).run_on(task).get();
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().kind(), ErrorKind::cancelled) << cancelled.error();
  EXPECT_EQ(cancelled.error().effect(), Effect::unknown);
  volume.close().get().value();
}

TEST_P(Nvmeof, HearsOfNamespacesThatComeAndGo) {
  Volume volume = *open();
  Buffer into = *Buffer::allocate(4096);
  store::VolumeIdentity identity{.name = "w", .nqn = kNqn, .uuid = {}, .nguid = {2}, .serial = "1"};
  const auto second = *store::make_memory_volume(identity, kSize, 512);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(target_->add_namespace(kNqn, 2, *second).get().value(), 2u);
    volume.read(0, into.bytes()).get().value();
    target_->remove_namespace(kNqn, 2).get().value();
    volume.read(0, into.bytes()).get().value();
  }
  target_->remove_namespace(kNqn, 1).get().value();
  const auto gone = volume.read(0, into.bytes()).get();
  ASSERT_FALSE(gone.ok());
  EXPECT_TRUE(gone.error().kind() == ErrorKind::disconnected || gone.error().kind() == ErrorKind::not_found)
      << gone.error();
  volume.close().get().value();
}

TEST_P(Nvmeof, TakesNoOtherVolumeForItsOwn) {
  test::FreezingProxy proxy(address_.port);
  const std::string there = "nvme+tcp://127.0.0.1:" + std::to_string(proxy.port()) + "/" + kNqn;
  Volume volume = *Volume::open(*host_, there,
                                {.reconnect_delay = std::chrono::milliseconds(1),
                                 .reconnect_delay_max = std::chrono::milliseconds(5),
                                 .path_loss_timeout = std::chrono::seconds(30)})
                       .get();
  const Buffer from = filled(4096, 42);
  Buffer into = *Buffer::allocate(4096);
  volume.write(0, from.bytes()).get().value();
  // Under the same name there is another volume when the path comes back.
  proxy.refuse(true);
  proxy.cut();
  store::VolumeIdentity identity{.name = "w", .nqn = kNqn, .uuid = {}, .nguid = {9}, .serial = "1"};
  const auto other = *store::make_memory_volume(identity, kSize, 512);
  target_->remove_namespace(kNqn, 1).get().value();
  target_->add_namespace(kNqn, 1, *other).get().value();
  proxy.refuse(false);
  const auto read = volume.read(0, into.bytes()).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind(), ErrorKind::not_found) << read.error();
  // It is asked for again and again, and found when it is back.
  target_->remove_namespace(kNqn, 1).get().value();
  target_->add_namespace(kNqn, 1, *volume_).get().value();
  for (int i = 0; i < 10'000 && !volume.read(0, into.bytes()).get().ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(std::memcmp(into.data(), from.data(), 4096), 0);
  volume.close().get().value();
}

TEST_P(Nvmeof, RefusesUnknownUriParameters) {
  const auto opened = Volume::open(*host_, uri() + "?nss=2").get();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind(), ErrorKind::invalid_argument) << opened.error();
}

TEST_P(Nvmeof, TimesOutWhereNobodyAnswersTheOpening) {
  test::FreezingProxy proxy(address_.port);
  proxy.freeze();
  const std::string there = "nvme+tcp://127.0.0.1:" + std::to_string(proxy.port()) + "/" + kNqn;
  const auto opened = Volume::open(*host_, there, {.connect_timeout = std::chrono::milliseconds(100)}).get();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind(), ErrorKind::timed_out) << opened.error();
}

TEST_P(Nvmeof, GivesUpAPathThatFellSilent) {
  test::FreezingProxy proxy(address_.port);
  const std::string there = "nvme+tcp://127.0.0.1:" + std::to_string(proxy.port()) + "/" + kNqn;
  VolumeOptions options{.io_timeout = std::chrono::milliseconds(100), .path_loss_timeout = Duration::zero()};
  Volume volume = *Volume::open(*host_, there, options).get();
  const Buffer from = filled(1 << 20, 5);
  volume.write(0, from.bytes()).get().value();
  proxy.freeze();
  const auto write = volume.write(0, from.bytes()).get();
  ASSERT_FALSE(write.ok());
  EXPECT_EQ(write.error().kind(), ErrorKind::disconnected) << write.error();
  EXPECT_EQ(write.error().effect(), Effect::unknown);
  volume.close().get().value();
}

TEST_P(Nvmeof, ComesBackAfterThePathWasCut) {
  test::FreezingProxy proxy(address_.port);
  const std::string there = "nvme+tcp://127.0.0.1:" + std::to_string(proxy.port()) + "/" + kNqn;
  Volume volume = *Volume::open(*host_, there, {.reconnect_delay = std::chrono::milliseconds(1)}).get();
  Buffer into = *Buffer::allocate(65536);
  for (int i = 0; i < 5; ++i) {
    volume.read(0, into.bytes()).get().value();
    proxy.cut();
  }
  volume.read(0, into.bytes()).get().value();
  volume.close().get().value();
}

INSTANTIATE_TEST_SUITE_P(Drivers, Nvmeof, testing::Values(IoDriver::posix, IoDriver::uring),
                         [](const auto& each) { return each.param == IoDriver::posix ? "posix" : "uring"; });

}  // namespace
}  // namespace netstor
