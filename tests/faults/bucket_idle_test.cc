// SPDX-License-Identifier: Apache-2.0
// A service that ends a connection between two requests, in the very turn in which the next one is asked for;
// and one that is slow.

#include <netstor/netstor.h>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

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

/// Takes a PUT of `bytes` at 3 MB/s and answers it; how much came.
std::size_t take_slowly(int listener, std::size_t bytes) {
  pollfd watched{.fd = listener, .events = POLLIN, .revents = 0};
  if (::poll(&watched, 1, 10'000) != 1) return 0;
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  std::vector<char> some(64 << 10);
  std::size_t taken = 0;
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_GT(::send(fd, kContinue.data(), kContinue.size(), MSG_NOSIGNAL), 0);
  while (taken < bytes) {
    const ssize_t got = ::recv(fd, some.data(), some.size(), MSG_WAITALL);
    if (got <= 0) break;
    taken += static_cast<std::size_t>(got);
    ::usleep(20'000);
  }
  constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 0\r\n\r\n";
  static_cast<void>(::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL));
  ::close(fd);
  return taken;
}

// 4 MiB take this service longer than first_byte_timeout.
TEST(BucketSlow, WhatASlowServiceTakesIsProgress) {
  constexpr std::size_t kBytes = 12 << 20;
  std::uint16_t port = 0;
  const int listener = listen_somewhere(port);
  const int small = 64 << 10;
  ASSERT_EQ(::setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  std::size_t taken = 0;
  std::thread service([&] { taken = take_slowly(listener, kBytes); });
  Runtime runtime = *Runtime::start();
  BucketOptions options;
  options.endpoint = "http://127.0.0.1:" + std::to_string(port);
  options.anonymous = true;
  options.retries = 0;
  options.part_bytes = 16 << 20;
  options.first_byte_timeout = std::chrono::seconds(1);
  const Bucket bucket = *Bucket::open(runtime, "s3://samples", options).get();
  const Buffer from = *Buffer::allocate(kBytes);
  const auto put = bucket.put("key", from.bytes()).get();
  EXPECT_TRUE(put.ok()) << put.error();
  service.join();
  EXPECT_GE(taken, kBytes);
  ::close(listener);
}

}  // namespace
}  // namespace netstor
