// SPDX-License-Identifier: Apache-2.0
// What may go wrong with a bucket's sessions of RDMA, seen by who asked for an object.

#include "tests/faults/bucket_rdma.h"

namespace netstor {
namespace {

using std::chrono::milliseconds;

TEST_F(BucketRdma, PayloadGoesByASession) {
  open(RdmaUse::automatic);
  for (int i = 0; i < 2; ++i) {
    const auto read = get().get();
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(read->bytes, kBytes);
  }
  EXPECT_EQ(runtime_.metrics().rdma_requests, 2u);
  EXPECT_EQ(card_.connects, 1u);
}

TEST_F(BucketRdma, RequiredIsTriedAgainAfterWhatPasses) {
  open(RdmaUse::required);
  refuse(s3::RdmaStatus::resources);
  refuse(s3::RdmaStatus::ticket);
  card_.answers.push_back({OpResult::failure(ErrorKind::timed_out), {}});
  const auto read = get().get();
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(card_.connects, 4u);
  EXPECT_EQ(runtime_.metrics().rdma_requests, 1u);
}

TEST_F(BucketRdma, RequiredIsTriedAgainOfABusyService) {
  open(RdmaUse::required);
  busy_ = 2;
  const auto read = get().get();
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(sessions_asked_, 3u);
}

TEST_F(BucketRdma, RequiredWaitsAsLongAsABusyServiceAsks) {
  options_.retry_delay_max = std::chrono::seconds(10);
  open(RdmaUse::required);
  answer_asker(answer("503 Slow Down", "retry-after: 1\r\n", "<Error><Code>SlowDown</Code></Error>"));
  const auto begun = std::chrono::steady_clock::now();
  const auto read = get().get();
  ASSERT_TRUE(read) << read.error();
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
  EXPECT_EQ(sessions_asked_, 2u);
}

TEST_F(BucketRdma, RequiredSaysWhoIsBusy) {
  options_.retries = 1;
  open(RdmaUse::required);
  for (int i = 0; i < 2; ++i)
    answer_asker(answer("503 Slow Down", "", "<Error><Code>SlowDown</Code></Error>"));
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::exhausted);
  expect_text(read.error(), {"asking for a session of RDMA", "SlowDown (HTTP 503)", "(2 tries)"});
}

TEST_F(BucketRdma, RequiredIsNotTriedForEver) {
  open(RdmaUse::required);
  refuse(s3::RdmaStatus::resources, 8);
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::exhausted);
  expect_text(read.error(), {"requires RDMA", "10.0.0.1 port 9001", "no resources", "(4 tries)"});
  EXPECT_EQ(card_.connects, 4u);
  // The next request asks for itself.
  EXPECT_FALSE(get().get());
  EXPECT_EQ(card_.connects, 8u);
}

TEST_F(BucketRdma, ErrorsAreOfTheLastTryAlone) {
  options_.retries = 1;
  open(RdmaUse::required);
  const PaperAnswer nobody{OpResult::system(ECONNREFUSED), {}};
  card_.answers = {nobody, nobody};
  auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().origin(), Origin::system);
  EXPECT_EQ(read.error().native(), ECONNREFUSED);
  card_.answers = {nobody};
  refuse(s3::RdmaStatus::resources);
  read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().origin(), Origin::library);
  EXPECT_EQ(read.error().native(), 0);
}

TEST_F(BucketRdma, RequiredFailsAtOnceForWhatStays) {
  open(RdmaUse::required);
  refuse(s3::RdmaStatus::version);
  for (int i = 0; i < 2; ++i) {
    const auto read = get().get();
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind(), ErrorKind::unsupported);
    expect_text(read.error(), {"requires RDMA", "another version"});
  }
  EXPECT_EQ(card_.connects, 1u);
}

TEST_F(BucketRdma, RequiredSaysWhoDoesNotOfferIt) {
  offers_ = false;
  open(RdmaUse::required);
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::unsupported);
  expect_text(read.error(), {"requires RDMA", "HTTP 501", "--s3-listen-rdma"});
  EXPECT_EQ(sessions_asked_, 1u);
}

TEST_F(BucketRdma, RequiredSaysOfWhatTheAskerWasAccused) {
  open(RdmaUse::required);
  answer_asker(answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code></Error>"));
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::permission_denied);
  EXPECT_EQ(read.error().origin(), Origin::s3);
  EXPECT_EQ(read.error().code(), "AccessDenied");
  expect_text(read.error(), {"asking for a session of RDMA", "AccessDenied (HTTP 403)"});
  // The next request asks for itself.
  EXPECT_TRUE(get().get());
  EXPECT_EQ(sessions_asked_, 2u);
}

TEST_F(BucketRdma, RequiredFindsOtherCredentialsForWhoseHaveEnded) {
  const Credentials found = *std::exchange(options_.credentials, std::nullopt);
  std::atomic<int> asked{0};
  options_.credentials_callback = [&]() -> Result<Credentials> {
    Credentials next = found;
    next.session_token = std::to_string(++asked);
    return next;
  };
  open(RdmaUse::required);
  answer_asker(answer("400 Bad Request", "", "<Error><Code>ExpiredToken</Code></Error>"));
  const auto read = get().get();
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(runtime_.metrics().rdma_requests, 1u);
}

TEST_F(BucketRdma, RequiredFollowsWhereTheAskerIsSent) {
  open(RdmaUse::required);
  answer_asker(answer("307 Temporary", "location: " + service_.url() + "/samples/?netstor-rdma=\r\n"));
  const auto read = get().get();
  ASSERT_TRUE(read) << read.error();
  EXPECT_TRUE(service_.request(2).starts_with("GET /samples/key HTTP/1.1\r\n")) << service_.request(2);
  EXPECT_EQ(runtime_.metrics().rdma_requests, 1u);
}

TEST_F(BucketRdma, RequiredIsNotSentToAnotherBucket) {
  open(RdmaUse::required);
  answer_asker(answer("307 Temporary", "location: " + service_.url() + "/others/?netstor-rdma=\r\n"));
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::protocol);
  EXPECT_EQ(service_.requests(), 1u);
}

TEST_F(BucketRdma, AutomaticGoesByHttpForWhomTheServiceRefusesASession) {
  open(RdmaUse::automatic);
  answer_asker(answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code></Error>"));
  ASSERT_TRUE(get().get());
  const unsigned asked_once = service_.requests();
  ASSERT_TRUE(get().get());
  EXPECT_EQ(service_.requests(), asked_once + 1) << "asked again before the minute is over";
  EXPECT_EQ(runtime_.metrics().rdma_requests, 0u);
}

TEST_F(BucketRdma, RequiredSaysWhatWasDeclined) {
  declines_ = 8;
  open(RdmaUse::required);
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::unsupported);
  expect_text(read.error(), {"requires RDMA", "HTTP 501", "(2 tries)"});
  EXPECT_EQ(sessions_asked_, 2u);
}

// As when the endpoint hears of a lost connection, and says so, before the client's card does.
TEST_F(BucketRdma, RequiredIsTriedAgainByASessionThatTheEndpointKnows) {
  open(RdmaUse::required);
  for (unsigned sessions = 2; sessions <= 3; ++sessions) {  // of a session's first token, and of a later one
    declines_ = 1;
    const auto read = get().get();
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(sessions_asked_, sessions);
    EXPECT_EQ(card_.connects, sessions);
    EXPECT_TRUE(get().get());
  }
  EXPECT_EQ(runtime_.metrics().rdma_requests, 4u);
  EXPECT_EQ(sessions_asked_, 3u);
}

// Without a further try nobody knows whether there is RDMA.
TEST_F(BucketRdma, RequiredSaysThatASessionIsKnownNoMore) {
  options_.retries = 0;
  open(RdmaUse::required);
  ASSERT_TRUE(get().get());
  declines_ = 1;
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::disconnected);
  expect_text(read.error(), {"requires RDMA", "knows its session of RDMA no more", "HTTP 501"});
}

TEST_F(BucketRdma, RequiredIsTriedAgainBySessionsThatAreNotLost) {
  loses_ = 1;
  open(RdmaUse::required);
  const auto read = get().get();
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(card_.connects, 2u);
  EXPECT_EQ(runtime_.metrics().rdma_requests, 1u);
}

TEST_F(BucketRdma, RequiredIsNotTriedForEverBySessionsThatAreLost) {
  loses_ = 8;
  options_.retries = 2;
  open(RdmaUse::required);
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::disconnected);
  expect_text(read.error(), {"was lost", "(3 tries)"});
  EXPECT_EQ(card_.connects, 3u);
}

TEST_F(BucketRdma, AutomaticAsksAgainWhereASessionWasLost) {
  loses_ = 1;
  open(RdmaUse::automatic);
  ASSERT_TRUE(get().get());
  EXPECT_EQ(into_.data()[0], std::byte{'h'});
  EXPECT_EQ(runtime_.metrics().rdma_requests, 0u);
  EXPECT_EQ(card_.connects, 1u);
  ASSERT_TRUE(get().get());
  EXPECT_EQ(card_.connects, 2u);
  EXPECT_EQ(runtime_.metrics().rdma_requests, 1u);
}

TEST_F(BucketRdma, AutomaticAsksAgainWhereTheEndpointKnowsTheSessionNoMore) {
  open(RdmaUse::automatic);
  ASSERT_TRUE(get().get());
  declines_ = 1;
  ASSERT_TRUE(get().get());
  EXPECT_EQ(into_.data()[0], std::byte{'h'});
  EXPECT_EQ(card_.connects, 1u);
  ASSERT_TRUE(get().get());
  EXPECT_EQ(card_.connects, 2u);
  EXPECT_EQ(runtime_.metrics().rdma_requests, 2u);
}

TEST_F(BucketRdma, AutomaticAsksNoMoreForAWhileWhereTheFirstTokenIsDeclined) {
  declines_ = 8;
  open(RdmaUse::automatic);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(get().get());
  EXPECT_EQ(sessions_asked_, 1u);
  EXPECT_EQ(declines_, 7u);
}

TEST_F(BucketRdma, AutomaticGoesByHttpAndAsksNoMoreForAWhile) {
  open(RdmaUse::automatic);
  refuse(s3::RdmaStatus::resources);
  for (int i = 0; i < 2; ++i) {
    const auto read = get().get();
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(into_.data()[0], std::byte{'h'});
  }
  EXPECT_EQ(card_.connects, 1u);
  EXPECT_EQ(runtime_.metrics().rdma_requests, 0u);
}

// What the endpoint says of a transfer that failed it says of nothing that it may have stored.
TEST_F(BucketRdma, AnswersThatDoNotSayWhatWasMovedAreNotBelieved) {
  open(RdmaUse::automatic);
  for (const std::string& wrong :
       {answer("206 Partial Content", "x-amz-rdma-reply: 206\r\n"),
        answer("206 Partial Content", "x-amz-rdma-reply: 206\r\nx-amz-rdma-bytes-transferred: 101\r\n"),
        answer("206 Partial Content", "x-amz-rdma-reply: 206\r\nx-amz-rdma-bytes-transferred: 3\r\n",
               "abc")}) {
    answer_token(wrong);
    const auto read = get().get();
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().kind(), ErrorKind::protocol) << read.error();
    expect_text(read.error(), {"did not say what it moved by RDMA"});
  }
  EXPECT_EQ(runtime_.metrics().rdma_requests, 0u);
}

// Whoever does not know tokens answers as if there were none: it has stored an empty object.
TEST_F(BucketRdma, PutWhoseTokenWasOverlookedMayHaveHappened) {
  open(RdmaUse::automatic);
  answer_token(answer("200 OK", "etag: \"e\"\r\n"));
  const auto put = bucket_.put("key", into_.bytes().first(kBytes)).get();
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().kind(), ErrorKind::protocol) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::unknown) << put.error();
}

TEST_F(BucketRdma, GetWhoseTokenWasOverlookedCameByHttp) {
  open(RdmaUse::automatic);
  answer_token(answer("206 Partial Content", "content-range: bytes 0-99/100\r\n", std::string(kBytes, 'h')));
  const auto read = get().get();
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->bytes, kBytes);
  EXPECT_EQ(into_.bytes()[kBytes - 1], std::byte{'h'});
  EXPECT_EQ(runtime_.metrics().rdma_requests, 0u);
}

TEST_F(BucketRdma, RequiredGoesWithNothingThatForbidsIt) {
  options_.rdma = RdmaUse::required;
  BucketOptions anonymous = options_;
  anonymous.credentials.reset();
  anonymous.anonymous = true;
  BucketOptions signing = options_;
  signing.payload_signing = PayloadSigning::always;
  for (const BucketOptions& each : {anonymous, signing}) {
    const auto opened = Bucket::open(runtime_, "s3://samples", each).get();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind(), ErrorKind::invalid_argument);
    expect_text(opened.error(), {"BucketOptions::rdma: required"});
  }
}

TEST_F(BucketRdma, TransfersThatFailHaveChangedNothing) {
  breaks_ = 1;
  open(RdmaUse::automatic);
  const PutOptions absent{.conditions = {.if_none_match = "*"}};
  const auto put = bucket_.put("key", into_.bytes().first(kBytes), absent).get();
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().native(), 412) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::none) << put.error();
}

TEST_F(BucketRdma, RequiredPutsUnderAConditionAgainAfterATransferThatFailed) {
  breaks_ = 1;
  open(RdmaUse::required);
  const PutOptions absent{.conditions = {.if_none_match = "*"}};
  const auto put = bucket_.put("key", into_.bytes().first(kBytes), absent).get();
  ASSERT_TRUE(put) << put.error();
  EXPECT_EQ(breaks_, 0u);
  EXPECT_EQ(runtime_.metrics().rdma_requests, 1u);
}

TEST_F(BucketRdma, CancelledRequestsWaitForNoConnection) {
  card_.is_silent = true;
  open(RdmaUse::required);
  Future<ObjectRead> read = get();
  const auto connecting = [this] { return !card_.silent.empty(); };
  while (!runtime_.shard(0).run_on(connecting).get().value()) ::usleep(1000);
  read.cancel();
  EXPECT_EQ(read.get().error().kind(), ErrorKind::cancelled);
}

TEST_F(BucketRdma, DeadlineEndsTheWaitForAConnection) {
  card_.is_silent = true;
  options_.operation_timeout = milliseconds(50);
  open(RdmaUse::required);
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::timed_out);
}

}  // namespace
}  // namespace netstor
