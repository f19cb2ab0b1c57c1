// SPDX-License-Identifier: Apache-2.0
//
// What an I/O command is allowed to ask for.

#include <gtest/gtest.h>

#include "lib/proto/nvme/controller_io.h"
#include "lib/wire/nvme/dsm.h"
#include "tests/unit/controller_fixture.h"

namespace netstor::nvme::testing {
namespace {

constexpr std::uint32_t kTransferMax = 1 << 20;

class IoPlanTest : public ::testing::Test {
 protected:
  IoPlanTest() { view = subsystem.add(1); }
  Status plan_of(const Command& command, bool known = true) {
    return plan_io(command, known ? &view : nullptr, kTransferMax, plan);
  }
  void expect_refused(const Command& command, Status status) {
    const Status answer = plan_of(command);
    EXPECT_TRUE(answer.is(status)) << to_string(answer);
    EXPECT_TRUE(answer.dnr());
  }
  FakeSubsystem subsystem;
  NamespaceView view;
  IoPlan plan;
};

TEST_F(IoPlanTest, TurnsBlocksIntoBytes) {
  ASSERT_TRUE(plan_of(make_read(1, 1, {.slba = 10, .blocks = 2})).ok());
  EXPECT_EQ(plan.verb, IoVerb::read);
  EXPECT_EQ(plan.offset, 40960u);
  EXPECT_EQ(plan.to_host, 8192u);
  EXPECT_EQ(plan.to_controller, 0u);
  ASSERT_TRUE(plan_of(make_write(1, 1, {.slba = 999, .fua = true})).ok());
  EXPECT_EQ(plan.to_controller, 4096u);
  EXPECT_TRUE(plan.fua);
}

TEST_F(IoPlanTest, KeepsInsideTheNamespace) {
  expect_refused(make_read(1, 1, {.slba = 1000}), GenericStatus::lba_out_of_range);
  expect_refused(make_read(1, 1, {.slba = 999, .blocks = 2}), GenericStatus::lba_out_of_range);
  expect_refused(make_write(1, 1, {.slba = ~0ull, .blocks = 2}), GenericStatus::lba_out_of_range);
  expect_refused(make_compare(1, 1, {.slba = 1000}), GenericStatus::lba_out_of_range);
  expect_refused(make_write_zeroes(1, 1, {.slba = 990, .blocks = 11}), GenericStatus::lba_out_of_range);
  expect_refused(make_verify(1, 1, {.slba = 1000}), GenericStatus::lba_out_of_range);
}

TEST_F(IoPlanTest, KeepsToTheTransferLimits) {
  expect_refused(make_read(1, 1, {.blocks = 257}), GenericStatus::invalid_field);
  expect_refused(make_compare(1, 1, {.blocks = 257}), GenericStatus::invalid_field);
  expect_refused(make_write_zeroes(1, 1, {.blocks = 257}), NvmStatus::command_size_limit_exceeded);
  expect_refused(make_verify(1, 1, {.blocks = 257}), NvmStatus::command_size_limit_exceeded);
}

TEST_F(IoPlanTest, RefusesProtectionInformation) {
  expect_refused(make_read(1, 1, {.prinfo = 8}), GenericStatus::invalid_field);
  expect_refused(make_write_zeroes(1, 1, {.prinfo = 1}), GenericStatus::invalid_field);
}

TEST_F(IoPlanTest, ProtectsReadOnlyNamespaces) {
  view.read_only = true;
  EXPECT_TRUE(plan_of(make_read(1, 1, {})).ok());
  expect_refused(make_write(1, 1, {}), GenericStatus::namespace_write_protected);
  expect_refused(make_write_zeroes(1, 1, {}), GenericStatus::namespace_write_protected);
  expect_refused(make_dataset_management(1, 1, {.deallocate = true}),
                 GenericStatus::namespace_write_protected);
}

TEST_F(IoPlanTest, KnowsWhichNamespacesThereAre) {
  EXPECT_TRUE(plan_of(make_read(1, 9, {}), false).is(GenericStatus::invalid_namespace_or_format));
  EXPECT_TRUE(plan_of(make_flush(1, 9), false).is(GenericStatus::invalid_namespace_or_format));
  EXPECT_TRUE(plan_of(make_flush(1, kNsidAll), false).ok());
  EXPECT_TRUE(plan_of(make_command(IoOpcode::copy, 1, 9), false).is(GenericStatus::invalid_opcode));
}

TEST_F(IoPlanTest, RefusesOpcodesThatTheStoreLacks) {
  view.can_compare = view.can_verify = view.can_write_zeroes = false;
  expect_refused(make_compare(1, 1, {}), GenericStatus::invalid_opcode);
  expect_refused(make_verify(1, 1, {}), GenericStatus::invalid_opcode);
  expect_refused(make_write_zeroes(1, 1, {}), GenericStatus::invalid_opcode);
  expect_refused(make_command(IoOpcode::reservation_register, 1, 1), GenericStatus::invalid_opcode);
}

TEST_F(IoPlanTest, ChecksRangesOneByOne) {
  ASSERT_TRUE(
      plan_of(make_dataset_management(1, 1, {.ranges = 2, .deallocate = true}, in_capsule_data(0, 4096)))
          .ok());
  EXPECT_EQ(plan.to_controller, 4096u);
  expect_refused(make_dataset_management(1, 1, {.ranges = 2, .deallocate = true}, in_capsule_data(0, 16)),
                 GenericStatus::data_sgl_length_invalid);
  std::array<std::byte, 32> list{};
  encode(DsmRange{.blocks = 8, .slba = 16}, std::span(list).first<16>());
  encode(DsmRange{.blocks = 8, .slba = 996}, std::span(list).last<16>());
  ByteRange range;
  ASSERT_TRUE(check_range(list, 0, view, range).ok());
  EXPECT_EQ(range.offset, 65536u);
  EXPECT_EQ(range.length, 32768u);
  EXPECT_TRUE(check_range(list, 1, view, range).is(GenericStatus::lba_out_of_range));
  EXPECT_TRUE(check_range(list, 2, view, range).is(GenericStatus::invalid_field));
}

TEST_F(IoPlanTest, PairsOnlyEqualRanges) {
  IoPlan write;
  plan_of(make_compare(1, 1, {.slba = 4, .blocks = 2}));
  ASSERT_TRUE(plan_io(make_write(2, 1, {.slba = 4, .blocks = 2}), &view, kTransferMax, write).ok());
  EXPECT_TRUE(check_fused(plan, write, view).ok());
  write.offset += 4096;
  EXPECT_TRUE(check_fused(plan, write, view).is(GenericStatus::invalid_field));
  view.fused_blocks_max = 1;
  write.offset -= 4096;
  EXPECT_TRUE(check_fused(plan, write, view).is(GenericStatus::atomic_write_unit_exceeded));
}

}  // namespace
}  // namespace netstor::nvme::testing
