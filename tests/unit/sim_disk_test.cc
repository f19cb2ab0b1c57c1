// SPDX-License-Identifier: Apache-2.0
//
// The simulated disk: its cache, power failures, and the faults of its operations.
#include "transports/sim/disk.h"

#include "tests/sim/bare_port.h"
#include "transports/sim/device.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace netstor::sim {
namespace {

class SimDisk : public testing::Test {
 protected:
  SimDisk() {
    open.uri = "sim://disk?size=1MiB";
    port->open(open);
    EXPECT_TRUE(run_until(
        world, [&] { return open.completions == 1; }, port));
    EXPECT_TRUE(open.result.ok) << open.detail;
  }
  ~SimDisk() override {
    Counted<Op> closed;
    open.device->close(closed);
    EXPECT_TRUE(run_until(
        world, [&] { return closed.completions == 1; }, port));
  }
  OpResult run(DeviceVerb verb, std::uint64_t offset, std::string& bytes, bool fua = false) {
    Counted<DeviceOp> op;
    const iovec pieces = piece(bytes);
    op.verb = verb;
    op.force_unit_access = fua;
    op.offset = offset;
    op.length = bytes.size();
    op.pieces = &pieces;
    op.piece_count = 1;
    EXPECT_EQ(open.device->submit(op), Submit::accepted);
    EXPECT_EQ(op.completions, 0U);
    EXPECT_TRUE(run_until(
        world, [&] { return op.completions == 1; }, port));
    return op.result;
  }
  std::string read(std::uint64_t offset, std::size_t length) {
    std::string bytes(length, '?');
    EXPECT_TRUE(run(DeviceVerb::read, offset, bytes).ok);
    return bytes;
  }
  OpResult write(std::uint64_t offset, std::string bytes, bool fua = false) {
    return run(DeviceVerb::write, offset, bytes, fua);
  }
  OpResult flush() {
    std::string none;
    return run(DeviceVerb::flush, 0, none);
  }
  Disk& disk() { return *world.find_disk("disk"); }

  World world{1};
  BarePort port{world};
  Counted<OpenOp> open;
};

TEST_F(SimDisk, ReadsWhatWasWritten) {
  EXPECT_TRUE(write(8192, std::string(16384, 'x')).ok);
  EXPECT_EQ(read(8192, 16384), std::string(16384, 'x'));
  EXPECT_EQ(read(0, 512), std::string(512, '\0'));
}

TEST_F(SimDisk, PowerFailureLosesWhatWasNotFlushed) {
  write(0, std::string(512, 'a'));
  flush();
  write(512, std::string(512, 'b'), true);
  write(1024, std::string(512, 'c'));
  disk().lose_power();
  EXPECT_EQ(read(0, 512), std::string(512, 'a'));
  EXPECT_EQ(read(512, 512), std::string(512, 'b'));
  EXPECT_EQ(read(1024, 512), std::string(512, '\0'));
}

TEST_F(SimDisk, PowerFailureTearsAtBlocks) {
  world.faults().lose_cached = 0.5;
  write(0, std::string(512 * 64, 'a'));
  disk().lose_power();
  const std::string left = read(0, 512 * 64);
  unsigned kept = 0;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::string block = left.substr(i * 512, 512);
    EXPECT_TRUE(block == std::string(512, 'a') || block == std::string(512, '\0'));
    kept += block[0] == 'a';
  }
  EXPECT_GT(kept, 0U);
  EXPECT_LT(kept, 64U);
}

TEST_F(SimDisk, FailedSmallWriteChangesNothing) {
  world.faults().no_space = 1;
  const OpResult result = write(0, std::string(4096, 'a'));
  EXPECT_EQ(result.native, ENOSPC);
  EXPECT_EQ(result.effect, Effect::none);
  EXPECT_EQ(read(0, 4096), std::string(4096, '\0'));
}

TEST_F(SimDisk, WriteErrorHasUnknownEffect) {
  world.faults().write_error = 1;
  const OpResult result = write(0, std::string(4096, 'a'));
  EXPECT_EQ(result.native, EIO);
  EXPECT_EQ(result.effect, Effect::unknown);
}

TEST_F(SimDisk, CompareTellsEqualFromDifferent) {
  write(0, std::string(1024, 'a'));
  std::string same(1024, 'a');
  std::string other(1024, 'b');
  EXPECT_TRUE(run(DeviceVerb::compare, 0, same).ok);
  EXPECT_EQ(run(DeviceVerb::compare, 0, other).kind, ErrorKind::compare_failed);
}

TEST_F(SimDisk, RefusesWhatIsBeyondTheEnd) {
  EXPECT_EQ(write(1 << 20, std::string(512, 'a')).kind, ErrorKind::out_of_range);
  EXPECT_EQ(write(100, std::string(512, 'a')).kind, ErrorKind::invalid_argument);
}

TEST_F(SimDisk, CancelCompletesOnce) {
  world.faults().service = std::chrono::milliseconds(1);
  std::string bytes(512, 'a');
  Counted<DeviceOp> op;
  const iovec pieces = piece(bytes);
  op.verb = DeviceVerb::write;
  op.length = bytes.size();
  op.pieces = &pieces;
  op.piece_count = 1;
  EXPECT_EQ(open.device->submit(op), Submit::accepted);
  open.device->cancel(op);
  open.device->cancel(op);
  EXPECT_EQ(op.completions, 0U);
  run_until(
      world, [] { return false; }, port);
  EXPECT_EQ(op.completions, 1U);
  EXPECT_EQ(op.result.kind, ErrorKind::cancelled);
  EXPECT_EQ(read(0, 512), std::string(512, '\0'));
}

TEST_F(SimDisk, AnswersFullBeyondItsDepth) {
  std::vector<Counted<DeviceOp>> ops(SimDevice::kDepth + 1);
  for (auto& op : ops) op.verb = DeviceVerb::flush;
  for (unsigned i = 0; i < SimDevice::kDepth; ++i) EXPECT_EQ(open.device->submit(ops[i]), Submit::accepted);
  EXPECT_EQ(open.device->submit(ops.back()), Submit::full);
  run_until(
      world, [] { return false; }, port);
  EXPECT_EQ(open.device->submit(ops.back()), Submit::accepted);
  run_until(
      world, [] { return false; }, port);
}

TEST_F(SimDisk, KillEndsEverythingWithoutEffect) {
  world.faults().service = std::chrono::milliseconds(1);
  std::string bytes(512, 'a');
  Counted<DeviceOp> op;
  const iovec pieces = piece(bytes);
  op.verb = DeviceVerb::write;
  op.length = bytes.size();
  op.pieces = &pieces;
  op.piece_count = 1;
  EXPECT_EQ(open.device->submit(op), Submit::accepted);
  world.kill("localhost", World::Death::process);
  run_until(
      world, [] { return false; }, port);
  EXPECT_EQ(op.completions, 1U);
  EXPECT_FALSE(op.result.ok);
  EXPECT_EQ(*disk().block(0), std::byte{0});
}

TEST(SimOpen, SaysThatThereIsNoSuchDisk) {
  World world(1);
  BarePort port(world);
  Counted<OpenOp> open;
  open.uri = "sim://nothing";
  port->open(open);
  EXPECT_TRUE(run_until(
      world, [&] { return open.completions == 1; }, port));
  EXPECT_EQ(open.result.kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace netstor::sim
