// SPDX-License-Identifier: Apache-2.0
//
// Clocks that jump, at either end of a volume: by an hour, there or back, with requests under way. What a
// jump makes overdue is lost and found again; nothing fails, and nothing waits for the hour to pass.

#include <netstor/netstor.h>

#include "lib/engine/engine.h"
#include "tests/faults/raw_host.h"

namespace netstor::faults {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class JumpingClock final : public Clock {
 public:
  Time now() const noexcept override { return std::chrono::steady_clock::now() + jumped.load(); }
  void jump(Duration by) { jumped = jumped.load() + by; }

 private:
  std::atomic<Duration> jumped{hours(1000)};
};

Runtime runtime_with(const Clock& clock) {
  auto engine = netstor::detail::Engine::make({.io_driver = IoDriver::posix}, &clock);
  return netstor::detail::Engine::wrap(std::move(engine).value());
}

class ClockFault : public ::testing::Test {
 protected:
  ClockFault() {
    volume =
        Volume::open(host, "nvme+tcp://127.0.0.1:" + std::to_string(server.port) + "/" + std::string(kNqn),
                     {.keep_alive = seconds(1), .reconnect_delay = milliseconds(1)})
            .get()
            .value();
  }
  ~ClockFault() override { EXPECT_TRUE(volume.close().get()); }

  void jump_under_io(JumpingClock& clock, Duration by) {
    std::vector<std::byte> from(65536), into(65536);
    for (int i = 0; i < 40; ++i) {
      std::fill(from.begin(), from.end(), static_cast<std::byte>(i));
      Future<void> write = volume.write(65536, Bytes(from), {.idempotent = true});
      Future<void> read = volume.read(0, MutableBytes(into));
      clock.jump(by);
      const auto written = write.get();
      ASSERT_TRUE(written) << written.error();
      const auto seen = read.get();
      ASSERT_TRUE(seen) << seen.error();
      const auto back = volume.read(65536, MutableBytes(into)).get();
      ASSERT_TRUE(back) << back.error();
      ASSERT_EQ(into, from);
    }
  }

  JumpingClock hosts_clock;
  JumpingClock targets_clock;
  TargetInProcess server{runtime_with(targets_clock), {}};
  Runtime host = runtime_with(hosts_clock);
  Volume volume;
};

TEST_F(ClockFault, TheHostsGoesForward) { jump_under_io(hosts_clock, hours(1)); }
TEST_F(ClockFault, TheHostsGoesBack) { jump_under_io(hosts_clock, -hours(1)); }
TEST_F(ClockFault, TheTargetsGoesForward) { jump_under_io(targets_clock, hours(1)); }
TEST_F(ClockFault, TheTargetsGoesBack) { jump_under_io(targets_clock, -hours(1)); }

TEST_F(ClockFault, BothGoToAndFro) {
  for (int i = 0; i < 10; ++i) {
    targets_clock.jump(hours(i % 2 == 0 ? 5 : -5));
    hosts_clock.jump(hours(i % 3 == 0 ? -7 : 7));
    std::vector<std::byte> block(4096);
    const auto read = volume.read(0, MutableBytes(block)).get();
    ASSERT_TRUE(read) << read.error();
  }
}

}  // namespace
}  // namespace netstor::faults
