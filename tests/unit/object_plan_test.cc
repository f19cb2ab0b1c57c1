// SPDX-License-Identifier: Apache-2.0
// How objects are cut, ranges joined, requests tried again; where they go, and what the AWS files say.

#include "lib/object/answers.h"
#include "lib/object/aws_profile.h"
#include "lib/object/credentials.h"
#include "lib/object/endpoint.h"
#include "lib/object/plan.h"
#include "lib/object/retry.h"

#include <gtest/gtest.h>

#include <array>

namespace netstor::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::array<std::byte, 4096> memory;

RangeRead range(std::uint64_t offset, std::size_t length) {
  return {.offset = offset, .into = MutableBytes(memory).first(length)};
}

TEST(ObjectPlan, PartsGrowWhereThereWouldBeTooMany) {
  constexpr std::uint64_t kMiB = 1 << 20;
  EXPECT_EQ(part_bytes_for(100 * kMiB, 8 * kMiB), 8 * kMiB);
  EXPECT_EQ(part_bytes_for(80'000 * kMiB, 8 * kMiB), 8 * kMiB);
  EXPECT_EQ(part_bytes_for(80'001 * kMiB, 8 * kMiB), 9 * kMiB);
  const std::uint64_t largest = std::uint64_t{5} << 40;
  EXPECT_LE((largest + part_bytes_for(largest, 8 * kMiB) - 1) / part_bytes_for(largest, 8 * kMiB),
            kPartsMost);
}

TEST(ObjectPlan, NeighbouringRangesAreAskedForTogether) {
  const std::array ranges{range(1000, 100), range(0, 100), range(150, 50)};
  const auto groups = join_ranges(ranges, 50, 1 << 20);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].offset, 0u);
  EXPECT_EQ(groups[0].length, 200u);
  EXPECT_EQ(groups[0].members, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(groups[1].members, (std::vector<std::uint32_t>{0}));
}

TEST(ObjectPlan, RangesThatOverlapAreAskedForApart) {
  const std::array ranges{range(0, 100), range(50, 100)};
  EXPECT_EQ(join_ranges(ranges, 1000, 1 << 20).size(), 2u);
}

TEST(ObjectPlan, AGroupStaysWithinItsLimit) {
  const std::array ranges{range(0, 100), range(100, 100), range(200, 100)};
  EXPECT_EQ(join_ranges(ranges, 10, 200).size(), 2u);
}

TEST(ObjectPlan, EmptyRangesAreNotAskedFor) {
  const std::array ranges{range(5, 0)};
  EXPECT_TRUE(join_ranges(ranges, 10, 200).empty());
}

TEST(ObjectRetry, WhatWasNeverSentMayAlwaysBeTriedAgain) {
  EXPECT_TRUE(may_retry({.unanswered = true, .never_sent = true}, Repeat::only_if_it_never_happened));
}

TEST(ObjectRetry, ALostAnswerIsTriedAgainOnlyWhereThatDoesNoHarm) {
  EXPECT_TRUE(may_retry({.unanswered = true}, Repeat::harmless));
  EXPECT_FALSE(may_retry({.unanswered = true}, Repeat::only_if_it_never_happened));
}

TEST(ObjectRetry, OfWhatMustNotHappenTwiceOnlyARefusalIsTriedAgain) {
  EXPECT_TRUE(may_retry({.retryable_answer = true}, Repeat::harmless));
  EXPECT_FALSE(may_retry({.retryable_answer = true}, Repeat::only_if_it_never_happened));
  EXPECT_TRUE(may_retry({.retryable_answer = true, .refused = true}, Repeat::only_if_it_never_happened));
}

TEST(ObjectRetry, AnAnswerThatIsFinalStays) { EXPECT_FALSE(may_retry({}, Repeat::harmless)); }

TEST(ObjectRetry, PausesGrowUpToTheirLimit) {
  BucketOptions options;
  options.retry_delay = milliseconds(50);
  options.retry_delay_max = milliseconds(300);
  const std::uint64_t most = ~std::uint64_t{0};
  for (unsigned i = 1; i < 20; ++i) EXPECT_LE(pause_before(i, options, {}, most), milliseconds(300));
  EXPECT_LE(pause_before(1, options, {}, most), milliseconds(50));
}

TEST(ObjectRetry, TheServiceMayAskForALongerPause) {
  const BucketOptions options;
  EXPECT_GE(pause_before(1, options, {.asked_pause = seconds(3)}, 0), seconds(3));
  EXPECT_LE(pause_before(1, options, {.asked_pause = seconds(3000)}, 0), options.retry_delay_max);
}

TEST(ObjectRetry, TheBudgetIsUsedUpAndEarnedAgain) {
  RetryBudget budget;
  int taken = 0;
  while (budget.take()) ++taken;
  EXPECT_EQ(taken, 100);
  for (int i = 0; i < 5; ++i) budget.succeeded();
  EXPECT_TRUE(budget.take());
  EXPECT_FALSE(budget.take());
}

TEST(ObjectEndpoint, PathStyleWithEndpointsOfOnesOwn) {
  const Endpoint endpoint = *make_endpoint("http://10.0.0.1:9000", "x", Addressing::automatic, "samples");
  EXPECT_EQ(endpoint.host, "10.0.0.1");
  EXPECT_EQ(endpoint.port, 9000);
  EXPECT_EQ(endpoint.authority, "10.0.0.1:9000");
  EXPECT_EQ(endpoint.path_prefix, "/samples");
  EXPECT_FALSE(endpoint.tls);
}

TEST(ObjectEndpoint, VirtualHostsAtAmazon) {
  const Endpoint endpoint = *make_endpoint("", "eu-west-3", Addressing::automatic, "samples");
  EXPECT_EQ(endpoint.authority, "samples.s3.eu-west-3.amazonaws.com");
  EXPECT_EQ(endpoint.path_prefix, "");
  EXPECT_TRUE(endpoint.tls);
  EXPECT_EQ(make_endpoint("", "us-east-1", Addressing::automatic, "with.dots")->path_prefix, "/with.dots");
}

TEST(ObjectEndpoint, Ipv6StandsInBrackets) {
  EXPECT_EQ(make_endpoint("http://[::1]:9000", "x", Addressing::path, "abc")->authority, "[::1]:9000");
}

TEST(ObjectEndpoint, RefusesWhatIsNone) {
  for (const char* url : {"ftp://host", "http://host/path", "host:9000", "http://host?x=1"}) {
    EXPECT_EQ(make_endpoint(url, "x", Addressing::path, "abc").error().kind(), ErrorKind::invalid_argument)
        << url;
  }
  EXPECT_FALSE(make_endpoint("http://10.0.0.1", "x", Addressing::virtual_host, "abc").ok());
  for (const char* name : {"ab", "Capital", "a..b", "-abc", "a/b"})
    EXPECT_FALSE(check_bucket_name(name).ok()) << name;
  EXPECT_FALSE(check_key("").ok());
  EXPECT_FALSE(check_key(std::string(1025, 'k')).ok());
}

TEST(ObjectEndpoint, RedirectsStayInTheDomain) {
  const Endpoint own = *make_endpoint("https://s3.example.com", "x", Addressing::virtual_host, "samples");
  for (const char* host : {"s3.example.com", "samples.s3.example.com", "eu.s3.example.com"})
    EXPECT_TRUE(is_below(own, host)) << host;
  for (const char* host : {"example.com", "xs3.example.com", "s3.example.com.evil", "evil.com", ""})
    EXPECT_FALSE(is_below(own, host)) << host;
  const Endpoint amazon = *make_endpoint("", "us-east-1", Addressing::automatic, "samples");
  for (const char* host :
       {"samples.s3.eu-west-1.amazonaws.com", "samples.s3-eu-west-1.amazonaws.com", "s3.amazonaws.com",
        "samples.s3.dualstack.eu-west-1.amazonaws.com", "samples.s3.cn-north-1.amazonaws.com.cn"})
    EXPECT_TRUE(is_below(amazon, host)) << host;
  for (const char* host : {"ec2-1-2-3-4.compute-1.amazonaws.com", "s3-mine-1.us-east-1.elb.amazonaws.com",
                           "x.s3.evil.us-east-1.amazonaws.com", "amazonaws.com", "s3.amazonaws.com.evil"})
    EXPECT_FALSE(is_below(amazon, host)) << host;
}

TEST(ObjectEndpoint, RedirectsAreReadWithCare) {
  const Endpoint own = *make_endpoint("http://10.0.0.1:9000", "x", Addressing::automatic, "samples");
  const auto to = [&](std::string_view location) {
    const auto led = follow_redirect(own, own, "/samples/a", location);
    return led ? led->endpoint.authority + " " + led->path : "refused";
  };
  EXPECT_EQ(to("http://10.0.0.1:9001/b/a%20c?x=1#y"), "10.0.0.1:9001 /b/a%20c");
  EXPECT_EQ(to("http://10.0.0.1"), "10.0.0.1 /samples/a");
  EXPECT_EQ(to("/b/a+%2b"), "10.0.0.1:9000 /b/a%2B%2B");
  for (const char* location :
       {"https://10.0.0.1:9000/", "http://10.0.0.2/", "http://x10.0.0.1/", "b", "//10.0.0.2/",
        "http://u@10.0.0.1/", "/%zz", "http://", "http:///x", "http://sub.10.0.0.1/"}) {
    EXPECT_EQ(to(location), "refused") << location;
  }
}

TEST(CustomerKey, IsSentWithItsSum) {
  const std::string key(32, 'k');
  const auto fields = key_fields("x-amz-copy-source-", key);
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields[0], std::pair(std::string("x-amz-copy-source-server-side-encryption-customer-algorithm"),
                                 std::string("AES256")));
  EXPECT_EQ(fields[1].second, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=");
  EXPECT_EQ(fields[2].first, "x-amz-copy-source-server-side-encryption-customer-key-md5");
  EXPECT_EQ(fields[2].second, "mT2HRsMGJ5IX5C+0rreZ8Q==");
}

TEST(AwsFiles, ProfilesAreFoundByTheirSections) {
  constexpr std::string_view kConfig =
      "# comment\n[default]\nregion = one\n[profile training]\nregion=two   # why\ns3 =\n  endpoint_url = "
      "http://h:1\n[training]\nregion = three\n";
  EXPECT_EQ(read_aws_profile(kConfig, AwsFile::config, "default").at("region"), "one");
  const AwsProfile training = read_aws_profile(kConfig, AwsFile::config, "training");
  EXPECT_EQ(training.at("region"), "two");
  EXPECT_EQ(training.at("s3.endpoint_url"), "http://h:1");
  EXPECT_EQ(read_aws_profile(kConfig, AwsFile::credentials, "training").at("region"), "three");
  EXPECT_TRUE(read_aws_profile(kConfig, AwsFile::config, "other").empty());
}

TEST(AwsFiles, NonsenseIsPassedOver) {
  EXPECT_TRUE(read_aws_profile("[default\nregion = x\n", AwsFile::config, "default").empty());
  EXPECT_TRUE(read_aws_profile(std::string(1000, '['), AwsFile::config, "default").empty());
  EXPECT_TRUE(read_aws_profile("region = x\n[default]\nno value\n", AwsFile::config, "default").empty());
}

TEST(AwsFiles, AProcessAnswersInJson) {
  const auto found = parse_credentials(
      R"({"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "s", "SessionToken": "t",
          "Expiration": "2030-01-01T00:00:00Z"})");
  ASSERT_TRUE(found.ok()) << found.error();
  EXPECT_EQ(found->access_key_id, "id");
  EXPECT_EQ(found->session_token, "t");
  EXPECT_TRUE(found->expires.has_value());
  for (const char* bad : {"", "{}", "[]", "{\"AccessKeyId\": 1}", "not json",
                          R"({"AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "soon"})"}) {
    EXPECT_FALSE(parse_credentials(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace netstor::object
