// SPDX-License-Identifier: Apache-2.0
// What a service may do wrong to a bucket's client, one small test each: the answers are written by hand and
// sent by a socket that does what the test wants.

#include <netstor/netstor.h>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace netstor {
namespace {

using std::chrono::milliseconds;

/// Takes connections one after the other and answers each request with the next of its answers.
class Scripted {
 public:
  static constexpr const char* kClose = "close";    ///< instead of an answer
  static constexpr const char* kSilent = "silent";  ///< nothing, and the connection stays

  Scripted() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Scripted() {
    ended_ = true;
    thread_.join();
    for (const int fd : kept_) ::close(fd);
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void answer(std::string text) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(text));
  }
  unsigned requests() const { return requests_; }

 private:
  bool readable(int fd) const {
    while (!ended_) {
      pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
      if (::poll(&watched, 1, 5) > 0) return true;
    }
    return false;
  }
  std::string next() {
    const std::lock_guard lock(mutex_);
    if (answers_.empty()) return kClose;
    std::string text = answers_.front();
    answers_.pop_front();
    return text;
  }
  /// A head, and the body that its Content-Length tells. False at the end of the stream.
  bool read_request(int fd) const {
    std::string bytes;
    std::size_t wanted = std::string::npos;
    while (wanted == std::string::npos || bytes.size() < wanted) {
      char some[4096];
      if (!readable(fd)) return false;
      const ssize_t got = ::recv(fd, some, sizeof some, 0);
      if (got <= 0) return false;
      bytes.append(some, static_cast<std::size_t>(got));
      const auto end = bytes.find("\r\n\r\n");
      if (end == std::string::npos || wanted != std::string::npos) continue;
      const auto length = bytes.find("content-length: ");
      wanted = end + 4 + (length < end ? std::stoul(bytes.substr(length + 16)) : 0);
    }
    return true;
  }
  void serve() {
    while (readable(listener_)) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      bool open = true;
      while (open && read_request(fd)) {
        ++requests_;
        const std::string text = next();
        open = text != kClose && text != kSilent;
        if (text == kSilent) kept_.push_back(fd);
        if (open) {
          EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
        }
        if (text.find("connection: close") != std::string::npos) open = false;
      }
      if (kept_.empty() || kept_.back() != fd) ::close(fd);
    }
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::deque<std::string> answers_;
  std::vector<int> kept_;
  std::atomic<unsigned> requests_{0};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

std::string answer(std::string_view status, std::string_view fields, std::string_view body = "") {
  return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(fields) +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string error_body(std::string_view code) {
  return "<?xml version=\"1.0\"?><Error><Code>" + std::string(code) +
         "</Code><Message>why</Message><RequestId>R1</RequestId></Error>";
}

class BucketFault : public testing::Test {
 protected:
  Bucket open(unsigned retries = 2) {
    BucketOptions options;
    options.endpoint = service_.url();
    options.credentials = Credentials{
        .access_key_id = "id", .secret_access_key = "the-secret", .session_token = "", .expires = {}};
    options.retries = retries;
    options.retry_delay = milliseconds(1);
    options.retry_delay_max = milliseconds(5);
    options.connect_timeout = milliseconds(500);
    options.first_byte_timeout = milliseconds(300);
    Result<Bucket> bucket = Bucket::open(runtime_, "s3://samples", options).get();
    EXPECT_TRUE(bucket.ok()) << bucket.error();
    return *bucket;
  }
  /// The error of a GET of 100 bytes.
  Error get_fails(unsigned retries = 0) {
    const Bucket bucket = open(retries);
    auto read = bucket.get("key", into_.bytes().first(100)).get();
    EXPECT_FALSE(read.ok());
    EXPECT_TRUE(bucket.close().get().ok());
    return read ? Error(ErrorKind::internal, "it succeeded") : read.error();
  }

  Scripted service_;
  Runtime runtime_ = *Runtime::start();
  Buffer into_ = *Buffer::allocate(4096);
};

TEST_F(BucketFault, BusyServiceIsAskedAgain) {
  service_.answer(answer("503 Slow Down", "retry-after: 0\r\n", error_body("SlowDown")));
  service_.answer(answer("206 Partial", "content-range: bytes 0-2/3\r\netag: \"e\"\r\n", "abc"));
  const Bucket bucket = open();
  const auto read = bucket.get("key", into_.bytes()).get();
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(read->bytes, 3u);
  EXPECT_EQ(service_.requests(), 2u);
}

TEST_F(BucketFault, BusyServiceIsNotAskedForEver) {
  for (int i = 0; i < 3; ++i) service_.answer(answer("503 Slow Down", "", error_body("SlowDown")));
  const Error error = get_fails(2);
  EXPECT_EQ(error.kind(), ErrorKind::exhausted) << error;
  EXPECT_EQ(error.origin(), Origin::s3);
  EXPECT_EQ(error.native(), 503);
  EXPECT_NE(error.text().find("SlowDown"), std::string::npos) << error;
  EXPECT_EQ(service_.requests(), 3u);
}

TEST_F(BucketFault, ConnectionThatEndsUnansweredIsMadeAnew) {
  service_.answer(Scripted::kClose);
  service_.answer(answer("206 Partial", "content-range: bytes 0-2/3\r\n", "abc"));
  EXPECT_TRUE(open().get("key", into_.bytes()).get().ok());
}

TEST_F(BucketFault, PutUnderAConditionIsNotRepeatedWhenItsAnswerIsLost) {
  service_.answer(Scripted::kClose);
  const Bucket bucket = open();
  PutOptions options;
  options.conditions.if_none_match = "*";
  const auto put = bucket.put("key", into_.bytes(), options).get();
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().kind(), ErrorKind::disconnected) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::unknown);
  EXPECT_EQ(service_.requests(), 1u);
}

TEST_F(BucketFault, CreateOnlyPutSaysThatTheObjectIsThere) {
  service_.answer(answer("412 Precondition Failed", "", error_body("PreconditionFailed")));
  PutOptions options;
  options.conditions.if_none_match = "*";
  const auto put = open().put("key", into_.bytes(), options).get();
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().kind(), ErrorKind::already_exists) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::none);
}

TEST_F(BucketFault, BodyThatEndsEarlyIsAnError) {
  service_.answer(
      "HTTP/1.1 206 P\r\ncontent-range: bytes 0-99/100\r\ncontent-length: 100\r\nconnection: "
      "close\r\n\r\nabc");
  const Error error = get_fails();
  EXPECT_EQ(error.kind(), ErrorKind::disconnected) << error;
}

TEST_F(BucketFault, AnswerThatIsLongerThanItsPlaceIsRefusedBeforeAByteIsWritten) {
  std::memset(into_.data(), 7, into_.size());
  service_.answer(answer("200 OK", "", std::string(5000, 'x')));
  const Error error = get_fails();
  EXPECT_EQ(error.kind(), ErrorKind::protocol) << error;
  EXPECT_EQ(into_.bytes()[0], std::byte{7});
}

TEST_F(BucketFault, AnotherRangeThanTheOneAskedForIsRefused) {
  service_.answer(answer("206 Partial", "content-range: bytes 50-52/1000\r\n", "abc"));
  EXPECT_EQ(get_fails().kind(), ErrorKind::protocol);
}

TEST_F(BucketFault, IgnoredRangeIsRefused) {
  service_.answer(answer("200 OK", "", "abc"));
  GetOptions options;
  options.offset = 10;
  const auto read = open(0).get("key", into_.bytes(), options).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind(), ErrorKind::protocol) << read.error();
}

TEST_F(BucketFault, ErrorInsideOfASuccessIsAnError) {
  service_.answer(answer("200 OK", "", error_body("InternalError")));
  const auto copied = open(0).copy("a", "b").get();
  ASSERT_FALSE(copied.ok());
  EXPECT_NE(copied.error().text().find("InternalError"), std::string::npos) << copied.error();
}

TEST_F(BucketFault, PageOfAProxyIsNoXml) {
  service_.answer(answer("502 Bad Gateway", "content-type: text/html\r\n", "<html><body>no & no</html>"));
  const Error error = get_fails();
  EXPECT_EQ(error.native(), 502) << error;
}

TEST_F(BucketFault, XmlBombIsRefused) {
  std::string bomb =
      "<!DOCTYPE lol [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b "
      "\"&a;&a;&a;\">]><ListBucketResult>&b;</ListBucketResult>";
  service_.answer(answer("200 OK", "", bomb));
  const auto page = open(0).list().get();
  ASSERT_FALSE(page.ok());
  EXPECT_EQ(page.error().kind(), ErrorKind::protocol) << page.error();
}

TEST_F(BucketFault, HeadThatIsNone) {
  service_.answer("ICY 200 OK\r\n\r\n");
  EXPECT_EQ(get_fails().kind(), ErrorKind::protocol);
}

TEST_F(BucketFault, HeadWithoutAnEnd) {
  service_.answer("HTTP/1.1 200 OK\r\nx: " + std::string(100'000, 'a'));
  EXPECT_EQ(get_fails().kind(), ErrorKind::protocol);
}

TEST_F(BucketFault, TwoLengths) {
  service_.answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd");
  EXPECT_EQ(get_fails().kind(), ErrorKind::protocol);
}

TEST_F(BucketFault, SilenceEndsByItsTimeout) {
  service_.answer(Scripted::kSilent);
  const Error error = get_fails();
  EXPECT_EQ(error.kind(), ErrorKind::timed_out) << error;
}

TEST_F(BucketFault, WholeOperationEndsByItsTimeout) {
  for (int i = 0; i < 20; ++i) service_.answer(answer("503 Slow Down", "", error_body("SlowDown")));
  BucketOptions options;
  options.endpoint = service_.url();
  options.anonymous = true;
  options.retries = 20;
  options.retry_delay = options.retry_delay_max = std::chrono::seconds(10);
  options.operation_timeout = milliseconds(100);
  const Bucket bucket = *Bucket::open(runtime_, "s3://samples", options).get();
  const auto read = bucket.get("key", into_.bytes()).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind(), ErrorKind::timed_out) << read.error();
}

TEST_F(BucketFault, NobodyListens) {
  BucketOptions options;
  options.endpoint = "http://127.0.0.1:1";
  options.anonymous = true;
  options.retries = 1;
  options.retry_delay = milliseconds(1);
  const Bucket bucket = *Bucket::open(runtime_, "s3://samples", options).get();
  const auto put = bucket.put("key", into_.bytes()).get();
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().kind(), ErrorKind::disconnected) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::none);
  EXPECT_NE(put.error().text().find("2 tries"), std::string::npos) << put.error();
}

TEST_F(BucketFault, CancelledRequestGivesItsBytesBack) {
  service_.answer(Scripted::kSilent);
  const Bucket bucket = open();
  auto ended = runtime_.shard(0).run_on([&]() -> Task<ErrorKind> {
    auto reading = bucket.get("key", into_.bytes());
    NETSTOR_CHECK(co_await sleep(milliseconds(20)));
    reading.cancel();
    const auto read = co_await std::move(reading);
    co_return read ? ErrorKind::internal : read.error().kind();
  });
  EXPECT_EQ(ended.get().value(), ErrorKind::cancelled);
}

TEST_F(BucketFault, CloseAnswersWhatIsUnderWay) {
  service_.answer(Scripted::kSilent);
  const Bucket bucket = open();
  auto reading = bucket.get("key", into_.bytes());
  while (service_.requests() == 0) std::this_thread::yield();
  EXPECT_TRUE(bucket.close().get().ok());
  EXPECT_EQ(reading.get().error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(bucket.head("key").get().error().kind(), ErrorKind::cancelled);
}

TEST_F(BucketFault, SecretIsInNoError) {
  service_.answer(answer("403 Forbidden", "", error_body("SignatureDoesNotMatch")));
  const Error error = get_fails();
  EXPECT_EQ(error.kind(), ErrorKind::permission_denied);
  EXPECT_EQ(error.to_string().find("the-secret"), std::string::npos);
}

}  // namespace
}  // namespace netstor
