// SPDX-License-Identifier: Apache-2.0
// A service that ends a connection between two requests, in the very turn in which the next one is asked for.

#include <netstor/netstor.h>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace netstor {
namespace {

int listen_somewhere(std::uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  EXPECT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), size), 0);
  EXPECT_EQ(::listen(listener, 4), 0);
  EXPECT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size), 0);
  port = ntohs(at.sin_port);
  return listener;
}

/// Takes a connection and answers one HEAD on it.
int answer_one(int listener) {
  pollfd watched{.fd = listener, .events = POLLIN, .revents = 0};
  if (::poll(&watched, 1, 10'000) != 1) return -1;
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  std::string request;
  while (request.find("\r\n\r\n") == std::string::npos) {
    char some[4096];
    const ssize_t got = ::recv(fd, some, sizeof some, 0);
    if (got <= 0) return fd;
    request.append(some, static_cast<std::size_t>(got));
  }
  constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 5\r\n\r\n";
  EXPECT_EQ(::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(kAnswer.size()));
  return fd;
}

/// The shard sees the end of the stream in its next turn; the request comes in one of the `turns` after this.
Task<ObjectInfo> close_and_ask(const Bucket* bucket, int fd, int turns) {
  ::close(fd);
  ::usleep(2000);
  for (int i = 0; i < turns; ++i) NETSTOR_CHECK(co_await sleep(std::chrono::nanoseconds(1)));
  auto heading = bucket->head("key");
  co_return co_await std::move(heading);
}

class BucketIdle : public ::testing::TestWithParam<IoDriver> {};

TEST_P(BucketIdle, AsksOnAnotherConnectionWhenOneEndsInTheSameTurn) {
  auto started = Runtime::start({.io_driver = GetParam()});
  if (!started) GTEST_SKIP() << "SKIP: " << started.error();
  Runtime runtime = *std::move(started);
  std::uint16_t port = 0;
  const int listener = listen_somewhere(port);
  BucketOptions options;
  options.endpoint = "http://127.0.0.1:" + std::to_string(port);
  options.anonymous = true;
  const Bucket bucket = *Bucket::open(runtime, "s3://things", options).get();
  for (int turns = 0; turns < 4; ++turns) {
    int fd = -1;
    std::thread first([&] { fd = answer_one(listener); });
    EXPECT_TRUE(bucket.head("key").get());
    first.join();
    // Long enough that the connection waits for its end.
    ::usleep(250'000);
    int second = -1;
    std::thread again([&] { second = answer_one(listener); });
    const auto found = runtime.shard(0).run_on([&] { return close_and_ask(&bucket, fd, turns); }).get();
    again.join();
    EXPECT_TRUE(found) << "after " << turns << " turns: " << found.error();
    ::close(second);
    ::usleep(20'000);
  }
  EXPECT_TRUE(bucket.close().get());
  ::close(listener);
}

INSTANTIATE_TEST_SUITE_P(Drivers, BucketIdle, ::testing::Values(IoDriver::posix, IoDriver::uring),
                         [](const auto& each) { return each.param == IoDriver::posix ? "posix" : "uring"; });

}  // namespace
}  // namespace netstor
