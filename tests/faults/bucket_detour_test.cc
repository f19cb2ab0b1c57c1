// SPDX-License-Identifier: Apache-2.0
// Where requests of a bucket's client go when the service, or a proxy, stands between: redirects, proxies,
// second requests for slow parts.

#include <netstor/netstor.h>

#include "tests/faults/scripted_service.h"

#include <cstdlib>
#include <cstring>

namespace netstor {
namespace {

using std::chrono::milliseconds;

const char* const kProxyVariables[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                       "HTTPS_PROXY", "no_proxy",   "NO_PROXY"};

class Detour : public testing::Test {
 protected:
  Detour() {
    for (const char* name : kProxyVariables) ::unsetenv(name);
  }
  ~Detour() override {
    for (const char* name : kProxyVariables) ::unsetenv(name);
  }
  BucketOptions options() const {
    BucketOptions options;
    options.endpoint = service_.url();
    options.credentials = Credentials{
        .access_key_id = "id", .secret_access_key = "the-secret", .session_token = "", .expires = {}};
    options.retries = 0;
    options.connect_timeout = options.first_byte_timeout = std::chrono::seconds(20);
    return options;
  }
  Bucket open(const BucketOptions& options) {
    Result<Bucket> bucket = Bucket::open(runtime_, "s3://samples", options).get();
    EXPECT_TRUE(bucket.ok()) << bucket.error();
    return *bucket;
  }

  ScriptedService service_;
  ScriptedService other_;
  Runtime runtime_ = *Runtime::start({.shards = 1});
  Buffer into_ = *Buffer::allocate(4096);
};

const std::string kThreeBytes = answer("206 Partial", "content-range: bytes 0-2/3\r\netag: \"e\"\r\n", "abc");

TEST_F(Detour, RedirectIsFollowedWithASignatureOfItsOwn) {
  for (const char* status : {"307 Temporary", "308 Permanent", "301 Moved"}) {
    service_.answer(answer(status, "location: " + other_.url() + "/samples/a%2Bb\r\n"));
    other_.answer(kThreeBytes);
    const unsigned before = other_.requests();
    const auto read = open(options()).get("a+b", into_.bytes()).get();
    ASSERT_TRUE(read.ok()) << status << ": " << read.error();
    EXPECT_EQ(read->bytes, 3u);
    ASSERT_EQ(other_.requests(), before + 1) << status;
    EXPECT_EQ(other_.field(before, "host"), other_.authority());
    EXPECT_TRUE(other_.request(before).starts_with("GET /samples/a%2Bb HTTP/1.1\r\n"));
    EXPECT_NE(other_.field(before, "authorization"), service_.field(before, "authorization"));
  }
}

TEST_F(Detour, APlaceForGoodIsRemembered) {
  service_.answer(answer("301 Moved", "location: " + other_.url() + "/samples/key\r\n"));
  for (int i = 0; i < 2; ++i) other_.answer(kThreeBytes);
  const Bucket bucket = open(options());
  EXPECT_TRUE(bucket.get("key", into_.bytes()).get().ok());
  EXPECT_TRUE(bucket.get("key2", into_.bytes()).get().ok());
  EXPECT_EQ(service_.requests(), 1u);
  EXPECT_TRUE(other_.request(1).starts_with("GET /samples/key2 ")) << other_.request(1);
}

TEST_F(Detour, APlaceOfOneObjectIsNotTheBuckets) {
  service_.answer(answer("301 Moved", "location: /samples/folder/key\r\n"));
  service_.answer(kThreeBytes);
  service_.answer(answer("200 OK", "etag: \"e\"\r\n"));
  const Bucket bucket = open(options());
  EXPECT_TRUE(bucket.get("key", into_.bytes()).get().ok());
  EXPECT_TRUE(bucket.put("other", into_.bytes()).get().ok());
  EXPECT_TRUE(service_.request(1).starts_with("GET /samples/folder/key ")) << service_.request(1);
  EXPECT_TRUE(service_.request(2).starts_with("PUT /samples/other ")) << service_.request(2);
}

TEST_F(Detour, APlaceForNowIsNot) {
  service_.answer(answer("307 Temporary", "location: " + other_.url() + "/samples/key\r\n"));
  service_.answer(kThreeBytes);
  other_.answer(kThreeBytes);
  const Bucket bucket = open(options());
  EXPECT_TRUE(bucket.get("key", into_.bytes()).get().ok());
  EXPECT_TRUE(bucket.get("key", into_.bytes()).get().ok());
  EXPECT_EQ(service_.requests(), 2u);
}

TEST_F(Detour, PutIsSentWholeToWhereItIsLed) {
  service_.answer(answer("307 Temporary", "location: " + other_.url() + "/samples/key\r\n"));
  other_.answer(answer("200 OK", "etag: \"e\"\r\n"));
  std::memset(into_.data(), 'x', into_.size());
  const auto put = open(options()).put("key", into_.bytes()).get();
  ASSERT_TRUE(put.ok()) << put.error();
  EXPECT_TRUE(other_.request(0).ends_with(std::string(into_.size(), 'x')));
}

TEST_F(Detour, RedirectsEnd) {
  for (int i = 0; i < 10; ++i) {
    service_.answer(answer("307 Temporary", "location: " + service_.url() + "/samples/key\r\n"));
  }
  const auto read = open(options()).get("key", into_.bytes()).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind(), ErrorKind::protocol) << read.error();
  EXPECT_EQ(service_.requests(), 4u);
}

TEST_F(Detour, APlaceInTheErrorIsFollowedAsOneInTheHead) {
  // As Amazon answers who asks the wrong one of its services; here both are of one host.
  const std::string body = "<Error><Code>PermanentRedirect</Code><Endpoint>" + other_.authority() +
                           "</Endpoint><Bucket>samples</Bucket></Error>";
  service_.answer(answer("301 Moved Permanently", "", body));
  other_.answer(kThreeBytes);
  const auto read = open(options()).get("key", into_.bytes()).get();
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_TRUE(other_.request(0).starts_with("GET /samples/key HTTP/1.1\r\n")) << other_.request(0);
  EXPECT_EQ(other_.field(0, "host"), other_.authority());
}

TEST_F(Detour, AStrangersPlaceInTheErrorIsNot) {
  for (const char* place : {"samples.evil.example", "evil.example", "127.0.0.1@evil.example", "x\r\ny"}) {
    service_.answer(answer(
        "301 Moved Permanently", "",
        "<Error><Code>PermanentRedirect</Code><Endpoint>" + std::string(place) + "</Endpoint></Error>"));
    const auto read = open(options()).get("key", into_.bytes()).get();
    ASSERT_FALSE(read.ok()) << place;
  }
  EXPECT_EQ(service_.requests(), 4u);
}

TEST_F(Detour, RegionOfTheHeadIsSignedForWhereTheRequestIsRepeated) {
  service_.answer(answer("301 Moved Permanently", "x-amz-bucket-region: eu-central-1\r\n"));
  service_.answer(kThreeBytes);
  const Bucket bucket = open(options());
  ASSERT_TRUE(bucket.get("key", into_.bytes()).get().ok());
  EXPECT_NE(service_.field(0, "authorization").find("/us-east-1/s3/"), std::string::npos);
  EXPECT_NE(service_.field(1, "authorization").find("/eu-central-1/s3/"), std::string::npos);
}

TEST_F(Detour, NothingIsSentToAStranger) {
  const std::string port = std::to_string(other_.port());
  for (const std::string& to :
       {"http://localhost:" + port, "http://127.0.0.1.evil.example:" + port, "http://127.0.0.2:" + port,
        "https://127.0.0.1:" + port, std::string("ftp://x"), std::string("http://"),
        "http://user@127.0.0.1:" + port}) {
    service_.answer(answer("307 Temporary", "location: " + to + "/samples/key\r\n"));
    const auto put = open(options()).put("key", into_.bytes()).get();
    ASSERT_FALSE(put.ok()) << to;
    EXPECT_EQ(put.error().effect(), Effect::none);
  }
  EXPECT_EQ(other_.requests(), 0u);
}

TEST_F(Detour, RegionsThatTakeTurnsEnd) {
  for (int i = 0; i < 10; ++i) {
    service_.answer(answer("400 Bad", "",
                           i % 2 == 0 ? "<Error><Code>AuthorizationHeaderMalformed</Code>"
                                        "<Region>eu-west-1</Region></Error>"
                                      : "<Error><Code>AuthorizationHeaderMalformed</Code>"
                                        "<Region>us-west-1</Region></Error>"));
  }
  const auto read = open(options()).get("key", into_.bytes()).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(service_.requests(), 4u);
  EXPECT_NE(service_.field(1, "authorization").find("/eu-west-1/"), std::string::npos);
}

TEST_F(Detour, ProxyIsAskedForTheWholeUrl) {
  ::setenv("http_proxy", ("http://me:p%40ss@" + other_.authority() + "/").c_str(), 1);
  other_.answer(kThreeBytes);
  BucketOptions to = options();
  to.endpoint = "http://storage.example:9000";
  const auto read = open(to).get("key", into_.bytes()).get();
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_TRUE(other_.request(0).starts_with("GET http://storage.example:9000/samples/key HTTP/1.1\r\n"));
  EXPECT_EQ(other_.field(0, "host"), "storage.example:9000");
  EXPECT_EQ(other_.field(0, "proxy-authorization"), "Basic bWU6cEBzcw==");
}

TEST_F(Detour, ProxyIsLeftOutWhereItIsToBe) {
  ::setenv("HTTP_PROXY", other_.url().c_str(), 1);
  service_.answer(kThreeBytes);
  EXPECT_TRUE(open(options()).get("key", into_.bytes()).get().ok()) << "never to this machine itself";
  EXPECT_EQ(other_.requests(), 0u);
}

TEST_F(Detour, TunnelIsAskedForAndItsRefusalSaid) {
  ::setenv("HTTPS_PROXY", ("http://me:the-password@" + other_.authority()).c_str(), 1);
  BucketOptions to = options();
  to.endpoint = "https://storage.example";
  const struct {
    std::string answer;
    ErrorKind kind;
    const char* words;
  } cases[] = {
      {answer("407 Authenticate", ""), ErrorKind::permission_denied, "HTTP 407"},
      {answer("502 Bad Gateway", "", "<html>"), ErrorKind::disconnected, "HTTP 502"},
      {"ICY 200 OK\r\n\r\n", ErrorKind::protocol, "no HTTP"},
      {"HTTP/1.1 200 OK\r\nx: " + std::string(10'000, 'x'), ErrorKind::protocol, "too long"},
      {"HTTP/1.0 200 Established\r\n\r\nmore", ErrorKind::protocol, "nobody asked"},
      {ScriptedService::kClose, ErrorKind::disconnected, "without an answer"},
  };
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    other_.answer(cases[i].answer);
    const auto read = open(to).get("key", into_.bytes()).get();
    ASSERT_FALSE(read.ok()) << i;
    EXPECT_EQ(read.error().kind(), cases[i].kind) << read.error();
    EXPECT_NE(read.error().text().find(cases[i].words), std::string::npos) << read.error();
    EXPECT_EQ(read.error().text().find("the-password"), std::string::npos) << read.error();
    EXPECT_TRUE(other_.request(i).starts_with("CONNECT storage.example:443 HTTP/1.1\r\n"));
    EXPECT_NE(other_.field(i, "proxy-authorization"), "");
    EXPECT_EQ(other_.request(i).find("AWS4-HMAC"), std::string::npos);
  }
}

TEST_F(Detour, ProxyThatIsNoneIsSaidWithoutItsPassword) {
  for (const char* value :
       {"http://me:the-password@", "socks5://me:the-password@x:1", "http://me:the-password@x y"}) {
    ::setenv("https_proxy", value, 1);
    BucketOptions to = options();
    to.endpoint = "https://storage.example";
    const auto bucket = Bucket::open(runtime_, "s3://samples", to).get();
    ASSERT_FALSE(bucket.ok()) << value;
    EXPECT_EQ(bucket.error().text().find("the-password"), std::string::npos) << bucket.error();
  }
}

class Hedged : public Detour {
 protected:
  Bucket open_hedged(Duration after = milliseconds(20)) {
    BucketOptions hedged = options();
    hedged.hedge_after = after;
    return open(hedged);
  }
};

TEST_F(Hedged, SecondRequestAnswersForASilentOne) {
  service_.answer(ScriptedService::kSilent);
  service_.answer(kThreeBytes);
  const auto read = open_hedged().get("key", into_.bytes()).get();
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(read->bytes, 3u);
  EXPECT_EQ(read->info.etag, "e");
  EXPECT_EQ(std::memcmp(into_.data(), "abc", 3), 0);
  EXPECT_EQ(service_.requests(), 2u);
}

TEST_F(Hedged, LoserWritesNothingIntoTheCallersMemoryAnyMore) {
  // The first begins its body and stops in the middle.
  service_.answer("HTTP/1.1 206 P\r\ncontent-range: bytes 0-2/3\r\ncontent-length: 3\r\n\r\nX");
  service_.answer(kThreeBytes);
  const auto read = open_hedged().get("key", into_.bytes()).get();
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(std::memcmp(into_.data(), "abc", 3), 0);
}

TEST_F(Hedged, FastAnswerIsNotAskedForTwice) {
  service_.answer(kThreeBytes);
  EXPECT_TRUE(open_hedged(std::chrono::minutes(1)).get("key", into_.bytes()).get().ok());
  EXPECT_EQ(service_.requests(), 1u);
}

TEST_F(Hedged, ErrorOfTheFirstIsTheAnswerAtOnce) {
  service_.answer(answer("404 Not Found", ""));
  const auto read = open_hedged(std::chrono::minutes(1)).get("key", into_.bytes()).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind(), ErrorKind::not_found);
}

TEST_F(Hedged, MemoryBoundsThem) {
  // As long as there is none for a second buffer, the first has to do.
  BucketOptions hedged = options();
  hedged.hedge_after = milliseconds(1);
  hedged.first_byte_timeout = milliseconds(50);
  hedged.memory_limit_bytes = 1 << 20;
  Buffer large = *Buffer::allocate(std::size_t{2} << 20);
  service_.answer(ScriptedService::kSilent);
  EXPECT_FALSE(open(hedged).get("key", large.bytes()).get().ok());
  EXPECT_EQ(service_.requests(), 1u);
}

TEST_F(Hedged, CancelEndsBoth) {
  service_.answer(ScriptedService::kSilent);
  service_.answer(ScriptedService::kSilent);
  const Bucket bucket = open_hedged();
  auto ended = runtime_.shard(0).run_on([&]() -> Task<ErrorKind> {
    auto reading = bucket.get("key", into_.bytes());
    while (service_.requests() < 2) NETSTOR_CHECK(co_await sleep(milliseconds(1)));
    reading.cancel();
    const auto read = co_await std::move(reading);
    co_return read ? ErrorKind::internal : read.error().kind();
  });
  EXPECT_EQ(ended.get().value(), ErrorKind::cancelled);
}

}  // namespace
}  // namespace netstor
