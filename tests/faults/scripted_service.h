// SPDX-License-Identifier: Apache-2.0
#pragma once
// An HTTP service whose answers are written by hand and sent by a socket that does what the test wants.
//
//   ScriptedService service;
//   service.answer(answer("503 Slow Down", "retry-after: 0\r\n"));   // the first request gets it
//   … service.url() …
//   EXPECT_EQ(service.requests(), 1u);

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace netstor {

inline std::string answer(std::string_view status, std::string_view fields, std::string_view body = "") {
  return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(fields) +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

/// Any number of connections at once; each request gets the next of its answers, whichever connection it came
/// by.
class ScriptedService {
 public:
  static constexpr const char* kClose = "close";    ///< instead of an answer
  static constexpr const char* kSilent = "silent";  ///< nothing, and the connection stays

  /// What `decide` answers to a request comes before the answers that were written.
  using Decide = std::function<std::string(const std::string& request)>;
  explicit ScriptedService(Decide decide = nullptr) : decide_(std::move(decide)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedService() {
    ended_ = true;
    thread_.join();
    for (const Connection& one : connections_) ::close(one.fd);
    ::close(listener_);
  }
  ScriptedService(const ScriptedService&) = delete;
  ScriptedService& operator=(const ScriptedService&) = delete;

  std::uint16_t port() const { return port_; }
  std::string authority() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return "http://" + authority(); }
  void answer(std::string text) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(text));
  }
  /// Of those to come: they are counted, not kept.
  void forget_requests() { keeps_ = false; }
  /// Takes back the oldest that is left.
  void drop_answer() {
    const std::lock_guard lock(mutex_);
    if (!answers_.empty()) answers_.pop_front();
  }
  unsigned requests() const { return requests_; }
  /// Head and body of request `index`; empty when there was none.
  std::string request(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return index < seen_.size() ? seen_[index] : std::string();
  }
  /// A field of its head; names are in lower case.
  std::string field(std::size_t index, std::string_view name) const {
    const std::string head = request(index);
    const auto at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos || at > head.find("\r\n\r\n")) return {};
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }

 private:
  struct Connection {
    int fd = -1;
    std::string bytes;
    bool silent = false;
    bool continued = false;  // the request that is coming has its 100
  };

  /// Takes a whole request from the front: a head, and the body that its Content-Length tells.
  static std::string take_request(std::string& bytes) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) return {};
    const auto length = bytes.find("\r\ncontent-length: ");
    const std::size_t wanted = end + 4 + (length < end ? std::stoul(bytes.substr(length + 18)) : 0);
    if (bytes.size() < wanted) return {};
    std::string request = bytes.substr(0, wanted);
    bytes.erase(0, wanted);
    return request;
  }
  std::string reply_to(const std::string& request) {
    std::string text = decide_ ? decide_(request) : std::string();
    const std::lock_guard lock(mutex_);
    if (keeps_) seen_.push_back(request);
    ++requests_;
    if (!text.empty()) return text;
    if (answers_.empty()) return kClose;
    text = answers_.front();
    answers_.pop_front();
    return text;
  }
  /// False: the connection is over.
  bool receive(Connection& connection) {
    char some[16384];
    const ssize_t got = ::recv(connection.fd, some, sizeof some, 0);
    if (got <= 0) return false;
    connection.bytes.append(some, static_cast<std::size_t>(got));
    const auto head_end = connection.bytes.find("\r\n\r\n");
    if (!connection.continued && connection.bytes.find("expect: 100-continue") < head_end) {
      connection.continued = true;
      const std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
      static_cast<void>(::send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL));
    }
    for (std::string request; !connection.silent && !(request = take_request(connection.bytes)).empty();) {
      connection.continued = false;
      const std::string text = reply_to(request);
      if (text == kClose) return false;
      connection.silent = text == kSilent;
      if (connection.silent) break;
      // A peer that goes away early is what some tests are about.
      static_cast<void>(::send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL));
      if (text.find("connection: close") != std::string::npos) return false;
    }
    return true;
  }
  void serve() {
    while (!ended_) {
      std::vector<pollfd> watched{{.fd = listener_, .events = POLLIN, .revents = 0}};
      for (const Connection& one : connections_)
        watched.push_back({.fd = one.fd, .events = POLLIN, .revents = 0});
      if (::poll(watched.data(), watched.size(), 5) <= 0) continue;
      for (std::size_t i = watched.size() - 1; i > 0; --i) {
        if (watched[i].revents == 0 || receive(connections_[i - 1])) continue;
        ::close(connections_[i - 1].fd);
        connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i) - 1);
      }
      if (watched[0].revents != 0) {
        connections_.push_back({.fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), .bytes = {}});
      }
    }
  }

  const Decide decide_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::deque<std::string> answers_;
  std::vector<std::string> seen_;
  std::vector<Connection> connections_;
  std::atomic<unsigned> requests_{0};
  std::atomic<bool> keeps_{true};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace netstor
