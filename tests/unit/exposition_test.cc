// SPDX-License-Identifier: Apache-2.0
// The text that Prometheus reads, and the histogram behind it.

#include "server/sight/exposition.h"

#include <gtest/gtest.h>

namespace netstor::sight {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

TEST(Exposition, WritesHelpTypeAndSamplesOfAFamily) {
  Exposition out;
  out.family("netstor_turns_total", Exposition::counter, "Turns.");
  out.sample({{"shard", "0"}}, std::uint64_t{18446744073709551615u});
  out.sample({{"shard", "1"}, {"state", "busy"}}, 0.25);
  out.sample({}, std::uint64_t{0});
  EXPECT_EQ(out.text(),
            "# HELP netstor_turns_total Turns.\n"
            "# TYPE netstor_turns_total counter\n"
            "netstor_turns_total{shard=\"0\"} 18446744073709551615\n"
            "netstor_turns_total{shard=\"1\",state=\"busy\"} 0.25\n"
            "netstor_turns_total 0\n");
}

TEST(Exposition, EscapesWhatWouldEndALabelOrALine) {
  Exposition out;
  out.family("a", Exposition::gauge, "back\\slash \"quotes\"\nline");
  out.sample({{"name", "x\"} 1\n\\"}}, std::uint64_t{1});
  EXPECT_EQ(out.text(),
            "# HELP a back\\\\slash \"quotes\"\\nline\n"
            "# TYPE a gauge\n"
            "a{name=\"x\\\"} 1\\n\\\\\"} 1\n");
}

TEST(Exposition, HistogramCountsUpToEachBoundAndEndsWithInfinity) {
  net::Latency latency;
  latency.record(nanoseconds(0));
  latency.record(nanoseconds(1024));
  latency.record(nanoseconds(1025));
  latency.record(std::chrono::hours(1));
  Exposition out;
  out.family("t", Exposition::histogram, "");
  out.samples({{"op", "read"}}, latency);
  const std::string& text = out.text();
  EXPECT_NE(text.find("t_bucket{op=\"read\",le=\"1.024e-06\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_bucket{op=\"read\",le=\"2.048e-06\"} 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_bucket{op=\"read\",le=\"17.179869184\"} 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_bucket{op=\"read\",le=\"+Inf\"} 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_count{op=\"read\"} 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_sum{op=\"read\"} 3600.00000205\n"), std::string::npos) << text;
}

TEST(Latency, AddsUpShardByShard) {
  net::Latency one, other;
  one.record(microseconds(3));
  other.record(microseconds(3));
  other.record(microseconds(1000));
  one += other;
  EXPECT_EQ(one.count(), 3U);
  EXPECT_EQ(one.sum_ns(), 1'006'000U);
  EXPECT_EQ(one.at(2), 2U);  // over 2.048 µs, up to 4.096
}

TEST(Latency, QuantilesAreBoundsOfWhatCameSince) {
  net::Latency earlier;
  EXPECT_EQ(earlier.quantile_ns(0.5), 0U);
  earlier.record(microseconds(1'000'000));
  net::Latency now = earlier;
  for (int i = 0; i < 98; ++i) now.record(microseconds(3));
  now.record(microseconds(1000));
  now.record(std::chrono::hours(1));
  now -= earlier;
  EXPECT_EQ(now.count(), 100U);
  EXPECT_EQ(now.sum_ns(), 98 * 3'000U + 1'000'000U + 3'600'000'000'000U);
  EXPECT_EQ(now.quantile_ns(0.5), 4'096U);
  EXPECT_EQ(now.quantile_ns(0.98), 4'096U);
  EXPECT_EQ(now.quantile_ns(0.99), 1'048'576U);
  EXPECT_EQ(now.quantile_ns(1), std::uint64_t{1024} << 25);
}

}  // namespace
}  // namespace netstor::sight
