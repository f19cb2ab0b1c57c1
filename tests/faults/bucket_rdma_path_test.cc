// SPDX-License-Identifier: Apache-2.0
// By what a bucket's payload goes, and why: what Bucket::path() and traces say of it.

#include "tests/faults/bucket_rdma.h"
#include "tests/faults/trace_lines.h"

namespace netstor {
namespace {

using BucketRdmaPath = BucketRdma;

TEST_F(BucketRdmaPath, PathSaysWhatIsUsed) {
  open(RdmaUse::automatic);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_EQ(path->endpoint, service_.url());
  EXPECT_EQ(path->transport, "http");
  EXPECT_TRUE(path->rdma_offered);
  EXPECT_TRUE(path->rdma);
  EXPECT_EQ(path->rdma_obstacle, "");
  // The session is there for requests.
  ASSERT_TRUE(get().get());
  EXPECT_EQ(card_.connects, 1u);
}

TEST_F(BucketRdmaPath, PathSaysWhyItIsNotUsed) {
  open(RdmaUse::automatic);
  refuse(s3::RdmaStatus::version);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_TRUE(path->rdma_offered);
  EXPECT_FALSE(path->rdma);
  EXPECT_NE(path->rdma_obstacle.find("another version"), std::string::npos) << path->rdma_obstacle;
}

TEST_F(BucketRdmaPath, PathSaysThatItIsNotOffered) {
  offers_ = false;
  open(RdmaUse::required);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_FALSE(path->rdma_offered);
  EXPECT_FALSE(path->rdma);
  EXPECT_NE(path->rdma_obstacle, "");
  EXPECT_EQ(card_.connects, 0u);
}

TEST_F(BucketRdmaPath, PathSaysThatNobodyGetsASession) {
  options_.credentials.reset();
  options_.anonymous = true;
  open(RdmaUse::automatic);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_FALSE(path->rdma);
  EXPECT_NE(path->rdma_obstacle.find("without credentials"), std::string::npos) << path->rdma_obstacle;
  EXPECT_EQ(sessions_asked_, 0u);
}

TEST_F(BucketRdmaPath, PathOfALiveSessionAsksForNone) {
  open(RdmaUse::automatic);
  ASSERT_TRUE(get().get());
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_TRUE(path->rdma_offered);
  EXPECT_TRUE(path->rdma);
  ASSERT_TRUE(get().get());
  EXPECT_EQ(card_.connects, 1u);
  EXPECT_EQ(sessions_asked_, 1u);
}

TEST_F(BucketRdmaPath, FirstTokenOfTheSessionThatAPathAskedForIsAWordAboutRdma) {
  open(RdmaUse::automatic);
  ASSERT_TRUE(bucket_.path().get());
  declines_ = 8;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(get().get());
  EXPECT_EQ(sessions_asked_, 1u);
  EXPECT_EQ(declines_, 7u);
}

TEST_F(BucketRdmaPath, PathIsTriedAgainAfterWhatPasses) {
  busy_ = 1;
  open(RdmaUse::automatic);
  refuse(s3::RdmaStatus::resources);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_TRUE(path->rdma) << path->rdma_obstacle;
  EXPECT_EQ(sessions_asked_, 3u);
  EXPECT_EQ(card_.connects, 2u);
}

TEST_F(BucketRdmaPath, PathSwitchesNothingOff) {
  open(RdmaUse::automatic);
  refuse(s3::RdmaStatus::resources, 4);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_TRUE(path->rdma_offered);
  EXPECT_FALSE(path->rdma);
  EXPECT_NE(path->rdma_obstacle.find("no resources"), std::string::npos) << path->rdma_obstacle;
  ASSERT_TRUE(get().get());
  EXPECT_EQ(runtime_.metrics().rdma_requests, 1u);
}

TEST_F(BucketRdmaPath, PathSaysWhatTheEndpointAnsweredInstead) {
  open(RdmaUse::automatic);
  answer_asker(answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code></Error>"));
  auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_FALSE(path->rdma_offered);
  EXPECT_NE(path->rdma_obstacle.find("the endpoint did not say: "), std::string::npos) << path->rdma_obstacle;
  EXPECT_NE(path->rdma_obstacle.find("AccessDenied"), std::string::npos) << path->rdma_obstacle;
  busy_ = 4;
  path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_NE(path->rdma_obstacle.find("the endpoint did not say: "), std::string::npos) << path->rdma_obstacle;
  EXPECT_NE(path->rdma_obstacle.find("HTTP 503"), std::string::npos) << path->rdma_obstacle;
}

TEST_F(BucketRdmaPath, PathIsThatOfThePlaceWhereTheAskerIsSent) {
  // There the card of the test is not to be had; who has a real one is declined.
  ScriptedService other([](const std::string&) { return answer("501 Not Implemented", ""); });
  open(RdmaUse::automatic);
  answer_asker(answer("307 Temporary", "location: " + other.url() + "/samples/?netstor-rdma=\r\n"));
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_EQ(path->endpoint, other.url());
  EXPECT_FALSE(path->rdma_offered);
  EXPECT_FALSE(path->rdma);
  EXPECT_NE(path->rdma_obstacle, "");
}

TEST_F(BucketRdmaPath, NobodyIsAskedWhereSomethingStandsInTheWay) {
  offers_ = false;
  open(RdmaUse::automatic);
  ASSERT_TRUE(get().get());
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_NE(path->rdma_obstacle.find("does not offer it"), std::string::npos) << path->rdma_obstacle;
  EXPECT_EQ(sessions_asked_, 1u);
}

TEST_F(BucketRdmaPath, NobodyIsAskedWhereItIsNeverUsed) {
  open(RdmaUse::never);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_FALSE(path->rdma);
  EXPECT_EQ(sessions_asked_, 0u);
}

TEST_F(BucketRdmaPath, TraceShowsTheWayByRdma) {
  open(RdmaUse::automatic);
  TraceLines lines(runtime_);
  ASSERT_TRUE(get().get());
  const std::string peer = service_.authority();
  EXPECT_EQ(lines.all,
            "rdma bucket: asked\n"
            "rdma bucket: waits for a connection\n"
            "rdma connection: new: " +
                peer +
                "\n"
                "rdma rdma: asks for a session\n"
                "rdma rdma: connects: 10.0.0.1\n"
                "rdma rdma: connected\n"
                "rdma rdma: opened\n"
                "rdma connection: head sent\n"
                "rdma connection: answered: 206\n"
                "rdma rdma: moved\n"
                "rdma rdma: closed\n"
                "rdma bucket: done\n");
  EXPECT_EQ(lines.last, "GET samples/key 100");
}

TEST_F(BucketRdmaPath, TraceShowsWhyItWentByHttp) {
  open(RdmaUse::automatic);
  refuse(s3::RdmaStatus::resources);
  TraceLines lines(runtime_);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(get().get());
  const std::string why = "no RDMA connection to 10.0.0.1 port 9001: the endpoint refused it: no resources\n";
  for (const std::string& each : {"rdma rdma: declined: " + why, "http bucket: goes by http: " + why,
                                  "http connection: kept: " + service_.authority() + "\n",
                                  std::string("http connection: body received\nhttp bucket: done\n")})
    EXPECT_NE(lines.all.find(each), std::string::npos) << each << "of\n" << lines.all;
  // Of the second request, too, which asked for no session.
  EXPECT_NE(lines.all.rfind("http bucket: asked\nhttp bucket: goes by http: " + why), std::string::npos)
      << lines.all;
}

TEST_F(BucketRdmaPath, TraceShowsWhatTheServiceDeclined) {
  declines_ = 8;
  open(RdmaUse::automatic);
  TraceLines lines(runtime_);
  ASSERT_TRUE(get().get());
  EXPECT_NE(lines.all.find("rdma rdma: declined\n"), std::string::npos) << lines.all;
  EXPECT_NE(lines.all.find("http bucket: goes by http: it was declined (HTTP 501)\n"), std::string::npos)
      << lines.all;
}

TEST_F(BucketRdmaPath, TraceShowsTriesAndTheError) {
  open(RdmaUse::required);
  refuse(s3::RdmaStatus::resources, 4);
  TraceLines lines(runtime_);
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_NE(lines.all.find("bucket: repeats: BucketOptions::rdma "), std::string::npos) << lines.all;
  // What the point says of itself is not said again.
  EXPECT_EQ(read.error().text().find("GET s3://samples/key: "), 0U) << read.error();
  const std::string reason = read.error().text().substr(std::string("GET s3://samples/key: ").size());
  EXPECT_TRUE(lines.all.ends_with("bucket: failed: " + reason + "\n")) << lines.all;
}

}  // namespace
}  // namespace netstor
