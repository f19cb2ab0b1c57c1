// SPDX-License-Identifier: Apache-2.0
//
// The requests of the simulation are within their limits, mixed, and the same for the same seed.
#include "tests/sim/workload.h"

#include "tests/sim/pattern.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace netstor::sim {
namespace {

constexpr WorkloadLimits kLimits{.blocks = 2048, .compare_and_write_blocks_max = 8};

TEST(Workload, RequestsStayWithinTheVolume) {
  Workload workload(1, kLimits);
  for (int i = 0; i < 2000; ++i) {
    const Request request = workload.draw();
    if (request.verb == DeviceVerb::flush) continue;
    ASSERT_GE(request.count, 1U);
    ASSERT_LE(request.first + request.count, kLimits.blocks);
    ASSERT_EQ(std::accumulate(request.pieces.begin(), request.pieces.end(), std::size_t{0}),
              request.count * kPatternBytes);
    if (request.verb == DeviceVerb::compare_and_write) {
      ASSERT_LE(request.count, 8U);
    }
  }
}

TEST(Workload, EveryVerbAndEveryEndAppears) {
  Workload workload(1, kLimits);
  std::set<DeviceVerb> verbs;
  std::set<Request::End> ends;
  for (int i = 0; i < 2000; ++i) {
    const Request request = workload.draw();
    verbs.insert(request.verb);
    ends.insert(request.end);
  }
  EXPECT_EQ(verbs.size(), 8U);
  EXPECT_EQ(ends.size(), 4U);
}

TEST(Workload, SameSeedGivesTheSameRequests) {
  Workload one(9, kLimits), two(9, kLimits);
  for (int i = 0; i < 200; ++i) {
    const Request first = one.draw();
    const Request second = two.draw();
    ASSERT_EQ(first.verb, second.verb);
    ASSERT_EQ(first.first, second.first);
    ASSERT_EQ(first.pieces, second.pieces);
    ASSERT_EQ(first.patience, second.patience);
  }
}

}  // namespace
}  // namespace netstor::sim
