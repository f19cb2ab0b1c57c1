// SPDX-License-Identifier: Apache-2.0
//
// The model of what a volume may answer: what it lets pass, and what it does not.
#include "tests/sim/model.h"

#include <gtest/gtest.h>

#include <array>

namespace netstor::sim {
namespace {

using Versions = std::vector<Version>;

class Model : public testing::Test {
 protected:
  BlockModel model{16};
  void write(std::uint64_t block, Version version, bool durable = false) {
    model.write_done(model.begin_write(block, 1, version), durable);
  }
  void flush() { model.flush_done(model.begin_flush()); }
  bool read(std::uint64_t block, Version version) {
    return !model.read_done(model.begin_read(), block, std::array{version});
  }
};

TEST_F(Model, BeginsWithZeroes) {
  EXPECT_TRUE(read(3, kZeroes));
  EXPECT_FALSE(read(3, 1));
  EXPECT_FALSE(read(3, kGarbage));
}

TEST_F(Model, AcknowledgedWriteHidesWhatWasBefore) {
  write(0, 1);
  write(0, 2);
  EXPECT_FALSE(read(0, 1));
  EXPECT_FALSE(read(0, kZeroes));
  EXPECT_TRUE(read(0, 2));
}

TEST_F(Model, WriteUnderWayMayBeSeenOrNot) {
  write(0, 1);
  const auto pending = model.begin_write(0, 1, 2);
  EXPECT_EQ(model.allowed(0), (Versions{1, 2}));
  EXPECT_TRUE(read(0, 2));
  EXPECT_FALSE(read(0, 1));  // it has been overwritten already
  model.write_done(pending, false);
  EXPECT_TRUE(read(0, 2));
}

TEST_F(Model, ConcurrentWritesEndInEitherOrder) {
  const auto one = model.begin_write(0, 1, 1);
  const auto two = model.begin_write(0, 1, 2);
  model.write_done(two, false);
  model.write_done(one, false);
  EXPECT_EQ(model.allowed(0), (Versions{1, 2}));
  EXPECT_TRUE(read(0, 1));
  EXPECT_FALSE(read(0, 2));
}

TEST_F(Model, ReadThatBeganEarlierMaySeeTheOldVersion) {
  write(0, 1);
  const auto slow = model.begin_read();
  write(0, 2);
  EXPECT_FALSE(model.read_done(slow, 0, std::array{Version{1}}));
}

TEST_F(Model, UnknownWriteStaysPossibleUntilSettledAndOverwritten) {
  write(0, 1);
  model.write_unknown(model.begin_write(0, 1, 2));
  write(0, 3);
  EXPECT_EQ(model.allowed(0), (Versions{2, 3}));
  model.settle();
  write(0, 4);
  EXPECT_EQ(model.allowed(0), (Versions{4}));
}

TEST_F(Model, WriteWithoutEffectMustNotBeSeen) {
  EXPECT_FALSE(model.write_undone(model.begin_write(0, 1, 1)));
  EXPECT_FALSE(read(0, 1));
  const auto seen = model.begin_write(1, 1, 2);
  EXPECT_TRUE(read(1, 2));
  EXPECT_TRUE(model.write_undone(seen));
}

TEST_F(Model, PowerFailureBringsBackWhatWasNotOverwrittenDurably) {
  write(0, 1);
  flush();
  write(0, 2);
  write(0, 3);
  model.power_failed();
  EXPECT_EQ(model.allowed(0), (Versions{1, 2, 3}));
  EXPECT_TRUE(read(0, 2));
  EXPECT_FALSE(read(0, 3));  // the medium has decided
  model.power_failed();
  EXPECT_EQ(model.allowed(0), (Versions{2}));
}

TEST_F(Model, FlushedWriteSurvives) {
  write(0, 1);
  flush();
  model.power_failed();
  EXPECT_EQ(model.allowed(0), (Versions{1}));
}

TEST_F(Model, FlushCoversOnlyWhatWasAnsweredBeforeItBegan) {
  const auto flushing = model.begin_flush();
  write(0, 1);
  model.flush_done(flushing);
  model.power_failed();
  EXPECT_EQ(model.allowed(0), (Versions{kZeroes, 1}));
}

TEST_F(Model, AnswerThatComesAfterThePowerFailureProvesNothing) {
  write(0, 1);
  flush();
  const auto crossing = model.begin_write(0, 1, 2);
  model.power_failed();
  model.write_done(crossing, false);
  EXPECT_EQ(model.allowed(0), (Versions{1, 2}));
  const auto through = model.begin_write(1, 1, 3);
  model.power_failed();
  model.write_done(through, true);
  EXPECT_EQ(model.allowed(1), (Versions{3}));
}

TEST_F(Model, DeallocatedBlocksAreOldOrZeroesAndStaySo) {
  write(0, 1);
  model.hint_done(model.begin_write(0, 1, kZeroes));
  EXPECT_EQ(model.allowed(0), (Versions{kZeroes, 1}));
  EXPECT_TRUE(read(0, 1));
  EXPECT_FALSE(read(0, kZeroes));
}

TEST_F(Model, ReplayedWriteMayComeBackOverALaterOneUntilAllIsSettled) {
  model.write_done(model.begin_write(0, 1, 1), false, true);
  EXPECT_EQ(model.allowed(0), (Versions{1}));
  write(0, 2);
  flush();
  EXPECT_TRUE(read(0, 2));
  EXPECT_TRUE(read(0, 1));
  model.settle();
  write(0, 3);
  EXPECT_EQ(model.allowed(0), (Versions{3}));
}

TEST_F(Model, WriteThroughSurvives) {
  write(0, 1, true);
  model.power_failed();
  EXPECT_EQ(model.allowed(0), (Versions{1}));
}

TEST_F(Model, ReadThatWasOvertakenByAWriteProvesNothingOfTheMedium) {
  model.power_failed();
  write(0, 1);
  const auto reading = model.begin_read();
  write(0, 2);
  EXPECT_FALSE(model.read_done(reading, 0, std::array{Version{1}}));
  model.power_failed();
  EXPECT_EQ(model.allowed(0), (Versions{kZeroes, 1, 2}));
}

TEST_F(Model, ZeroesReadAfterAFailureProveNothingWhenTheyWereAlsoWrittenSince) {
  write(0, 1);
  model.power_failed();
  write(0, kZeroes);
  EXPECT_TRUE(read(0, kZeroes));
  model.power_failed();
  EXPECT_EQ(model.allowed(0), (Versions{kZeroes, 1}));
}

TEST_F(Model, CompareMayDifferOnlyWhereSomethingElseIsPossible) {
  write(0, 1);
  EXPECT_TRUE(model.compare_differed(model.begin_read(), 0, std::array{Version{1}}));
  EXPECT_FALSE(model.compare_differed(model.begin_read(), 0, std::array{Version{2}}));
  const auto pending = model.begin_write(0, 1, 3);
  EXPECT_FALSE(model.compare_differed(model.begin_read(), 0, std::array{Version{1}}));
  model.write_done(pending, false);
}

TEST(Pattern, IdentifiesItsVersionAndNothingElse) {
  std::array<std::byte, kPatternBytes> block;
  fill_block(block, 7, 42);
  EXPECT_EQ(identify_block(block, 7), 42U);
  EXPECT_EQ(identify_block(block, 8), kGarbage);
  block[100] ^= std::byte{1};
  EXPECT_EQ(identify_block(block, 7), kGarbage);
  block.fill(std::byte{0});
  EXPECT_EQ(identify_block(block, 7), kZeroes);
  block.fill(std::byte{0xdb});
  EXPECT_EQ(identify_block(block, 7), kGarbage);
}

}  // namespace
}  // namespace netstor::sim
