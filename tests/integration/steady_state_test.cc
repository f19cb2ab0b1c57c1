// SPDX-License-Identifier: Apache-2.0
// The steady state of a remote volume: nothing is allocated per request, payload is not copied in user
// space, and a connection that has nothing to do uses no CPU. Initiator and target share this process, so
// what is counted is counted on both sides.

#include <gtest/gtest.h>
#include <netstor/netstor.h>
#include <sys/resource.h>

#include <thread>

#include "server/nvmf/target.h"
#include "server/store/memory_store.h"
#include "tests/conformance/counting_new.h"

namespace netstor {
namespace {

constexpr std::uint64_t kSize = 64 << 20;
constexpr const char* kNqn = "nqn.2026-01.io.netstor:steady";
constexpr unsigned kLanes = 16;

class SteadyState : public testing::TestWithParam<IoDriver> {
 protected:
  void SetUp() override {
    auto server = Runtime::start({.io_driver = GetParam()});
    if (!server) GTEST_SKIP() << server.error();
    server_.emplace(*std::move(server));
    stored_ = *store::make_memory_volume({.name = "v", .nqn = kNqn, .uuid = {1}, .nguid = {1}, .serial = "1"},
                                         kSize, 4096);
    target_ = *nvmf::Target::start(*server_, {});
    target_->add_subsystem({.nqn = kNqn, .serial = "1"}).get().value();
    target_->add_namespace(kNqn, 1, *stored_).get().value();
    const Address at = target_->listen({.address = {"127.0.0.1", 0}, .advertised_host = {}}).get().value();
    host_.emplace(*Runtime::start({.io_driver = GetParam()}));
    volume_ =
        Volume::open(*host_, "nvme+tcp://127.0.0.1:" + std::to_string(at.port) + "/" + kNqn).get().value();
  }
  void TearDown() override {
    if (!target_) return;
    volume_ = {};
    host_.reset();
    target_->stop(std::chrono::milliseconds(200)).get().value();
    target_.reset();
    stored_.reset();
    server_.reset();
  }

  struct Load {
    bool write = false;
    std::size_t bytes = 0;
    unsigned requests = 0;  // of each lane
  };
  static Task<void> lane(Volume volume, MutableBytes memory, Load load, unsigned number) {
    for (unsigned i = 0; i < load.requests; ++i) {
      const std::uint64_t offset = (std::uint64_t{i} * kLanes + number) * load.bytes % kSize;
      NETSTOR_CHECK(load.write ? co_await volume.write(offset, memory)
                               : co_await volume.read(offset, memory));
    }
    co_return ok();
  }
  Result<void> run(Load load) {
    Buffer memory = *Buffer::allocate(kLanes * load.bytes);
    auto all = host_->shard(0).run_on([&] {
      std::vector<Future<void>> lanes;
      for (unsigned i = 0; i < kLanes; ++i) {
        lanes.push_back(spawn(lane(volume_, memory.bytes().subspan(i * load.bytes, load.bytes), load, i)));
      }
      return when_all(std::move(lanes));
    });
    for (Result<void>& one : *all.get()) {
      if (!one) return std::move(one).error();
    }
    return {};
  }
  /// Allocations of ten times `load` beyond those of `load`: what starting and ending cost falls out.
  long allocations_of_more(Load load) {
    const auto allocated = [&](unsigned times) {
      const auto before = conformance::allocations.load();
      EXPECT_TRUE(run({load.write, load.bytes, load.requests * times}).ok());
      return static_cast<long>(conformance::allocations.load() - before);
    };
    allocated(10);
    const long once = allocated(1);
    return allocated(10) - once;
  }

  std::optional<Runtime> server_;
  std::unique_ptr<store::StoredVolume> stored_;
  std::unique_ptr<nvmf::Target> target_;
  std::optional<Runtime> host_;
  Volume volume_;
};

TEST_P(SteadyState, AllocatesNothingPerRequest) {
  for (const bool write : {false, true}) {
    for (const std::size_t bytes : {4096UL, 65536UL}) {
      // 16 lanes of 500 more requests each: one allocation per request would be 7,200.
      EXPECT_LT(allocations_of_more({write, bytes, 50}), 20) << (write ? "writes of " : "reads of ") << bytes;
    }
  }
}

TEST_P(SteadyState, CopiesNoPayloadOfLargeReadsAndOfWrites) {
  const auto copied = [&](Load load) {
    const std::uint64_t before = host_->metrics().copied_bytes;
    EXPECT_TRUE(run(load).ok());
    return host_->metrics().copied_bytes - before;
  };
  EXPECT_EQ(copied({false, 16384, 100}), 0U);
  EXPECT_EQ(copied({false, 131072, 50}), 0U);
  EXPECT_EQ(copied({true, 4096, 100}), 0U);
  EXPECT_EQ(copied({true, 131072, 50}), 0U);
  // The counter can count: small reads go through the staging buffer.
  EXPECT_GT(copied({false, 4096, 100}), 0U);
}

TEST_P(SteadyState, CountsWhatTheCallerMoved) {
  const Metrics before = host_->metrics();
  ASSERT_TRUE(run({true, 4096, 10}).ok());
  ASSERT_TRUE(run({false, 4096, 10}).ok());
  const Metrics after = host_->metrics();
  EXPECT_EQ(after.writes - before.writes, 10U * kLanes);
  EXPECT_EQ(after.write_bytes - before.write_bytes, 4096U * 10 * kLanes);
  EXPECT_EQ(after.read_bytes - before.read_bytes, 4096U * 10 * kLanes);
  EXPECT_EQ(after.errors, before.errors);
}

TEST_P(SteadyState, AnIdleConnectionSleeps) {
  ASSERT_TRUE(run({false, 4096, 10}).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const Metrics before = host_->metrics();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const Metrics after = host_->metrics();
  // Asking wakes the shard; an idle half second may hold a timer or two besides.
  EXPECT_LE(after.sleeps - before.sleeps, 8U);
  EXPECT_GT(after.sleeps, 0U);
}

INSTANTIATE_TEST_SUITE_P(Drivers, SteadyState, testing::Values(IoDriver::uring, IoDriver::posix),
                         [](const auto& driver) {
                           return driver.param == IoDriver::uring ? "uring" : "posix";
                         });

}  // namespace
}  // namespace netstor
