// SPDX-License-Identifier: Apache-2.0
// What may go wrong with a bucket's sessions of RDMA, seen by who asked for an object: a service of the
// test's, and a card on which connections go as it wants. Payload is the service's word alone: no byte moves
// by such a card.

#include <netstor/netstor.h>

#include "lib/object/bucket_core.h"
#include "tests/faults/scripted_service.h"
#include "tests/unit/paper_card.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <string>

namespace netstor {
namespace {

using detail::BucketCore;
using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr std::size_t kBytes = 100;

class BucketRdma : public testing::Test {
 protected:
  BucketRdma() {
    options_.endpoint = service_.url();
    options_.credentials = Credentials{
        .access_key_id = "id", .secret_access_key = "the-secret", .session_token = "", .expires = {}};
    options_.retries = 3;
    options_.retry_delay = milliseconds(1);
    options_.retry_delay_max = milliseconds(2);
    options_.rdma_from_bytes = 1;
    options_.connect_timeout = options_.first_byte_timeout = minutes(10);
    step_.test = this;
    step_.run = [](detail::Runnable& self) noexcept { static_cast<Step&>(self).test->card_.poll(~0U); };
    card_.wants_poll = [this] { detail::current_loop->push(step_); };
  }
  ~BucketRdma() override {
    if (bucket_.valid()) {
      EXPECT_TRUE(bucket_.close().get());
    }
  }

  void open(RdmaUse use) {
    options_.rdma = use;
    bucket_ = Bucket::open(runtime_, "s3://samples", options_).get().value();
    Future<void> taken =
        runtime_.shard(0).run_on([this] { BucketCore::of(bucket_)->here()->pool().use_messages(card_); });
    ASSERT_TRUE(taken.get());
  }
  Future<ObjectRead> get() { return bucket_.get("key", into_.bytes().first(kBytes)); }
  void refuse(s3::RdmaStatus status, unsigned times = 1) {
    for (unsigned i = 0; i < times; ++i)
      card_.answers.push_back({OpResult::system(ECONNREFUSED), words(status)});
  }
  /// To the next one who asks for a session.
  void answer_asker(std::string text) {
    service_.answer(std::move(text));
    ++scripted_;
  }
  static void expect_text(const Error& error, std::initializer_list<const char*> words) {
    for (const char* const each : words) EXPECT_NE(error.text().find(each), std::string::npos) << error;
  }

  // Of the service, on its own thread.
  std::string reply(const std::string& request) {
    if (request.starts_with("POST ") && request.find("netstor-rdma=") != std::string::npos) {
      ++sessions_asked_;
      if (const unsigned scripted = scripted_.load(); scripted != 0) {
        scripted_ = scripted - 1;
        return "";
      }
      if (const unsigned busy = busy_.load(); busy != 0) {
        busy_ = busy - 1;
        return answer("503 Slow Down", "");
      }
      if (!offers_) return answer("501 Not Implemented", "");
      const s3::RdmaOffer offer{.port = 9001, .seconds = 10, .bytes_max = 1 << 20, .host = "10.0.0.1"};
      return answer("200 OK", "x-netstor-rdma-session: " + encode(offer) + "\r\n");
    }
    const std::string range = "content-range: bytes 0-99/100\r\netag: \"e\"\r\n";
    if (request.find("\r\nx-amz-rdma-token: ") == std::string::npos)
      return answer("206 Partial Content", range, std::string(kBytes, 'h'));
    if (declines_) return answer("501 Not Implemented", "x-amz-rdma-reply: 501\r\n");
    return answer("206 Partial Content",
                  range + "x-amz-rdma-reply: 206\r\nx-amz-rdma-bytes-transferred: 100\r\n");
  }

  struct Step : detail::Runnable {
    BucketRdma* test = nullptr;
  };
  std::atomic<unsigned> sessions_asked_{0};
  std::atomic<unsigned> busy_{0};
  std::atomic<unsigned> scripted_{0};
  std::atomic<bool> offers_{true};
  std::atomic<bool> declines_{false};
  ScriptedService service_{[this](const std::string& request) { return reply(request); }};
  BucketOptions options_;
  PaperCard card_;
  Step step_;
  Runtime runtime_ = *Runtime::start();
  Buffer into_ = *Buffer::allocate(4096);
  Bucket bucket_;
};

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
  declines_ = true;
  open(RdmaUse::required);
  const auto read = get().get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind(), ErrorKind::unsupported);
  expect_text(read.error(), {"requires RDMA", "HTTP 501"});
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

TEST_F(BucketRdma, PathSaysWhatIsUsed) {
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

TEST_F(BucketRdma, PathSaysWhyItIsNotUsed) {
  open(RdmaUse::automatic);
  refuse(s3::RdmaStatus::version);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_TRUE(path->rdma_offered);
  EXPECT_FALSE(path->rdma);
  EXPECT_NE(path->rdma_obstacle.find("another version"), std::string::npos) << path->rdma_obstacle;
}

TEST_F(BucketRdma, PathSaysThatItIsNotOffered) {
  offers_ = false;
  open(RdmaUse::required);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_FALSE(path->rdma_offered);
  EXPECT_FALSE(path->rdma);
  EXPECT_NE(path->rdma_obstacle, "");
  EXPECT_EQ(card_.connects, 0u);
}

TEST_F(BucketRdma, PathOfALiveSessionAsksForNone) {
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

TEST_F(BucketRdma, PathIsTriedAgainAfterWhatPasses) {
  busy_ = 1;
  open(RdmaUse::automatic);
  refuse(s3::RdmaStatus::resources);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_TRUE(path->rdma) << path->rdma_obstacle;
  EXPECT_EQ(sessions_asked_, 3u);
  EXPECT_EQ(card_.connects, 2u);
}

TEST_F(BucketRdma, PathSwitchesNothingOff) {
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

TEST_F(BucketRdma, PathSaysWhatTheEndpointAnsweredInstead) {
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

TEST_F(BucketRdma, PathIsThatOfThePlaceWhereTheAskerIsSent) {
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

TEST_F(BucketRdma, NobodyIsAskedWhereSomethingStandsInTheWay) {
  offers_ = false;
  open(RdmaUse::automatic);
  ASSERT_TRUE(get().get());
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_NE(path->rdma_obstacle.find("does not offer it"), std::string::npos) << path->rdma_obstacle;
  EXPECT_EQ(sessions_asked_, 1u);
}

TEST_F(BucketRdma, NobodyIsAskedWhereItIsNeverUsed) {
  open(RdmaUse::never);
  const auto path = bucket_.path().get();
  ASSERT_TRUE(path) << path.error();
  EXPECT_FALSE(path->rdma);
  EXPECT_EQ(sessions_asked_, 0u);
}

/// What a trace has of requests, a line a point: "path room: what: detail".
class Lines {
 public:
  explicit Lines(Runtime& runtime) : runtime_(runtime) {
    const auto hook = [](void* user, const TracePoint& at) noexcept {
      auto& self = *static_cast<Lines*>(user);
      const std::string detail = at.detail.empty() ? "" : ": " + std::string(at.detail);
      self.all += std::string(at.path) + " " + at.room + ": " + at.what + detail + "\n";
      self.last = std::string(at.verb) + " " + std::string(at.key) + " " + std::to_string(at.length);
    };
    trace(runtime_, hook, this);
  }
  ~Lines() { trace(runtime_, nullptr, nullptr); }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  std::string all;
  std::string last;

 private:
  Runtime& runtime_;
};

TEST_F(BucketRdma, TraceShowsTheWayByRdma) {
  open(RdmaUse::automatic);
  Lines lines(runtime_);
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
  EXPECT_EQ(lines.last, "GET key 100");
}

TEST_F(BucketRdma, TraceShowsWhyItWentByHttp) {
  open(RdmaUse::automatic);
  refuse(s3::RdmaStatus::resources);
  Lines lines(runtime_);
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

TEST_F(BucketRdma, TraceShowsWhatTheServiceDeclined) {
  declines_ = true;
  open(RdmaUse::automatic);
  Lines lines(runtime_);
  ASSERT_TRUE(get().get());
  EXPECT_NE(lines.all.find("rdma rdma: declined\n"), std::string::npos) << lines.all;
  EXPECT_NE(lines.all.find("http bucket: goes by http: it was declined (HTTP 501)\n"), std::string::npos)
      << lines.all;
}

TEST_F(BucketRdma, TraceShowsTriesAndTheError) {
  open(RdmaUse::required);
  refuse(s3::RdmaStatus::resources, 4);
  Lines lines(runtime_);
  EXPECT_FALSE(get().get());
  EXPECT_NE(lines.all.find("bucket: repeats: GET s3://samples/key: "), std::string::npos) << lines.all;
  EXPECT_NE(lines.all.find("bucket: failed: GET s3://samples/key: "), std::string::npos) << lines.all;
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
