// SPDX-License-Identifier: Apache-2.0
#pragma once
// A TCP relay in front of a target that can fall silent (bytes stop, connections stay) or cut every
// connection.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace netstor::test {

class FreezingProxy {
 public:
  explicit FreezingProxy(std::uint16_t target_port) : target_port_(target_port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = loopback(0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    socklen_t size = sizeof at;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  FreezingProxy(const FreezingProxy&) = delete;
  FreezingProxy& operator=(const FreezingProxy&) = delete;
  ~FreezingProxy() {
    ended_ = true;
    thread_.join();
    close_all();
    ::close(listener_);
  }

  std::uint16_t port() const { return port_; }
  void freeze() { frozen_ = true; }
  /// Whether who connects is sent away.
  void refuse(bool yes) { refusing_ = yes; }
  void thaw() { frozen_ = false; }
  /// Ready when every connection of now is closed.
  void cut() {
    cut_ = true;
    while (cut_) std::this_thread::yield();
  }

 private:
  struct Pair {
    std::array<int, 2> ends;
  };
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    return at;
  }
  static void close_pair(const Pair& pair) {
    for (const int end : pair.ends) ::close(end);
  }
  void close_all() {
    for (const Pair& pair : pairs_) close_pair(pair);
    pairs_.clear();
  }
  void accept_one() {
    const int host = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (host < 0) return;
    if (refusing_) {
      ::close(host);
      return;
    }
    const int target = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in at = loopback(target_port_);
    EXPECT_EQ(::connect(target, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    pairs_.push_back({{host, target}});
  }
  static bool relay(int from, int to) {
    std::array<char, 65536> buffer;
    const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
    for (ssize_t at = 0; at < got;) {
      const ssize_t put = ::send(to, buffer.data() + at, static_cast<std::size_t>(got - at), MSG_NOSIGNAL);
      if (put <= 0) return false;
      at += put;
    }
    return got > 0;
  }
  void run() {
    while (!ended_) {
      if (cut_) {
        close_all();
        cut_ = false;
      }
      std::vector<pollfd> watched{{.fd = listener_, .events = POLLIN, .revents = 0}};
      for (const Pair& pair : pairs_) {
        for (const int end : pair.ends) watched.push_back({.fd = end, .events = POLLIN, .revents = 0});
      }
      if (::poll(watched.data(), frozen_ ? 1 : watched.size(), 1) <= 0) continue;
      std::size_t pair = 0;
      for (std::size_t i = 1; !frozen_ && i + 1 < watched.size(); i += 2) {
        const auto& ends = pairs_[pair].ends;
        const bool alive = (watched[i].revents == 0 || relay(ends[0], ends[1])) &&
                           (watched[i + 1].revents == 0 || relay(ends[1], ends[0]));
        if (alive) {
          ++pair;
        } else {
          close_pair(pairs_[pair]);
          pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(pair));
        }
      }
      if (watched[0].revents != 0) accept_one();
    }
  }

  const std::uint16_t target_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::vector<Pair> pairs_;
  std::atomic<bool> frozen_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> refusing_{false};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace netstor::test
