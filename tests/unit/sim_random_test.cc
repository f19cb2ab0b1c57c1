// SPDX-License-Identifier: Apache-2.0
//
// The seeded generator.
#include "lib/base/random.h"

#include <gtest/gtest.h>

namespace netstor {
namespace {

TEST(SimRandom, SameSeedGivesSameNumbers) {
  Random one(7);
  Random two(7);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(one.next(), two.next());
}

TEST(SimRandom, NeighbouringSeedsDiffer) {
  Random one(1);
  Random two(2);
  EXPECT_NE(one.next(), two.next());
}

TEST(SimRandom, BelowStaysBelowAndReachesEveryValue) {
  Random random(3);
  unsigned seen = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t drawn = random.below(8);
    ASSERT_LT(drawn, 8U);
    seen |= 1U << drawn;
  }
  EXPECT_EQ(seen, 0xffU);
}

TEST(SimRandom, BetweenIncludesBothEnds) {
  Random random(3);
  bool first = false;
  bool last = false;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t drawn = random.between(5, 7);
    ASSERT_TRUE(drawn >= 5 && drawn <= 7);
    first |= drawn == 5;
    last |= drawn == 7;
  }
  EXPECT_TRUE(first && last);
}

TEST(SimRandom, ChanceOfNothingDrawsNothing) {
  Random one(9);
  Random two(9);
  EXPECT_FALSE(one.chance(0));
  EXPECT_EQ(one.next(), two.next());
  EXPECT_TRUE(one.chance(1));
}

}  // namespace
}  // namespace netstor
