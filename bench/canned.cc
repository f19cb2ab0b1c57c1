// SPDX-License-Identifier: Apache-2.0
// A service that costs a bucket's client next to nothing: one thread and epoll, answers that were made
// before, bodies by sendfile, payloads that are taken off the socket unread.
//
//   canned [--port 0] [--cpu 1]        prints its port
//
// GET and HEAD of any key that ends in oN answer N bytes (ranges too), PUT takes anything, POST answers as
// multipart uploads have it. Nothing is checked and nothing kept: it is for measuring, not for testing.

#include "bench/stats.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <string_view>

namespace {

using namespace netstor::bench;

constexpr std::uint64_t kLargest = 64 << 20;
constexpr std::size_t kBySendfile = 64 << 10;
constexpr std::string_view kFields =
    "Last-Modified: Wed, 12 Oct 2022 17:50:00 GMT\r\nETag: \"fba9dede5f27731c9771645a39863328\"\r\n"
    "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n";
constexpr std::string_view kXml =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
    "<UploadId>u</UploadId></InitiateMultipartUploadResult>";
constexpr std::string_view kCompleted =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
    "<ETag>\"fba9dede5f27731c9771645a39863328-8\"</ETag></CompleteMultipartUploadResult>";

int memory = -1;        // the bytes of every object
char* bytes = nullptr;  // the same

std::uint64_t number_of(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The value of a header field, or nothing.
std::string_view field(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2);
    if (line.size() > name.size() + 2 && ::strncasecmp(line.data(), name.data(), name.size()) == 0 &&
        line[name.size()] == ':') {
      const std::string_view value = line.substr(name.size() + 2);
      return value.substr(0, value.find("\r\n"));
    }
  }
  return {};
}

struct Peer {
  int fd = -1;
  std::array<char, 16384> in{};
  std::size_t have = 0;
  std::uint64_t payload_left = 0;
  std::string head;  // of the answer
  std::size_t head_sent = 0;
  off_t body_at = 0;
  std::uint64_t body_left = 0;
  bool answering = false;

  /// Everything that can be done now; false: the connection is over.
  bool work() {
    for (;;) {
      if (answering) {
        if (!send_some()) return errno == EAGAIN;
        if (head_sent < head.size() || body_left > 0) return true;
        answering = false;
      }
      if (payload_left > 0) {
        const ssize_t got = ::recv(fd, nullptr, payload_left, MSG_TRUNC);
        if (got <= 0) return got < 0 && errno == EAGAIN;
        payload_left -= static_cast<std::uint64_t>(got);
        if (payload_left > 0) continue;
        answering = true;
        continue;
      }
      const std::string_view text(in.data(), have);
      if (const auto end = text.find("\r\n\r\n"); end != text.npos) {
        request(text.substr(0, end + 2), end + 4);
        continue;
      }
      if (have == in.size()) return false;
      const ssize_t got = ::recv(fd, in.data() + have, in.size() - have, 0);
      if (got <= 0) return got < 0 && errno == EAGAIN;
      have += static_cast<std::size_t>(got);
    }
  }

 private:
  void answer(std::string_view status, std::string_view more, std::uint64_t length) {
    head.assign("HTTP/1.1 ").append(status).append("\r\nServer: canned\r\n");
    head.append(more).append("Content-Length: ").append(std::to_string(length)).append("\r\n\r\n");
    head_sent = 0;
    body_left = 0;
  }

  void request(std::string_view text, std::size_t length) {
    const std::string_view line = text.substr(0, text.find("\r\n"));
    const std::string_view target = line.substr(line.find(' ') + 1, line.rfind(' ') - line.find(' ') - 1);
    answering = true;
    if (line.starts_with("GET ") || line.starts_with("HEAD ")) {
      get(target, field(text, "range"));
      if (line[0] == 'H') body_left = 0;
    } else {
      payload_left = number_of(field(text, "content-length"));
      const bool waits = !field(text, "expect").empty();
      const bool starts = target.find("uploads") != target.npos;
      if (line.starts_with("POST ")) {
        const std::string_view body = starts ? kXml : kCompleted;
        answer("200 OK", "Content-Type: application/xml\r\n", body.size());
        head.append(body);
      } else {
        answer("200 OK", kFields, 0);
      }
      static_cast<void>(waits && ::send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) < 0);
    }
    std::memmove(in.data(), in.data() + length, have - length);
    have -= length;
    const std::uint64_t here = std::min<std::uint64_t>(have, payload_left);
    std::memmove(in.data(), in.data() + here, have - here);
    have -= here;
    payload_left -= here;
    if (payload_left > 0) answering = false;
  }

  void get(std::string_view target, std::string_view range) {
    const auto at = target.rfind('o');
    const std::uint64_t size = at == target.npos ? 0 : std::min(number_of(target.substr(at + 1)), kLargest);
    if (size == 0) return answer("404 Not Found", "", 0);
    std::uint64_t from = 0;
    std::uint64_t to = size - 1;
    std::string fields(kFields);
    if (range.starts_with("bytes=")) {
      from = number_of(range.substr(6));
      const std::string_view last = range.substr(range.find('-') + 1);
      if (!last.empty()) to = std::min(to, number_of(last));
      fields += "Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(to) + "/" +
                std::to_string(size) + "\r\n";
    }
    answer(range.empty() ? "200 OK" : "206 Partial Content", fields, to - from + 1);
    body_at = static_cast<off_t>(from);
    body_left = to - from + 1;
  }

  bool send_some() {
    if (head_sent < head.size() || (body_left > 0 && body_left <= kBySendfile)) {
      iovec pieces[2] = {{head.data() + head_sent, head.size() - head_sent}, {bytes + body_at, body_left}};
      msghdr message{};
      message.msg_iov = pieces;
      message.msg_iovlen = body_left > 0 && body_left <= kBySendfile ? 2 : 1;
      const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | (body_left > kBySendfile ? MSG_MORE : 0));
      if (sent < 0) return false;
      const std::size_t of_head = std::min(static_cast<std::size_t>(sent), head.size() - head_sent);
      head_sent += of_head;
      body_at += sent - static_cast<ssize_t>(of_head);
      body_left -= static_cast<std::uint64_t>(sent) - of_head;
    }
    while (head_sent == head.size() && body_left > 0) {
      const ssize_t sent = ::sendfile(fd, memory, &body_at, body_left);
      if (sent <= 0) return false;
      body_left -= static_cast<std::uint64_t>(sent);
    }
    return true;
  }
};

int listen_at(long port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(fd, 1024) != 0) return -1;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  std::printf("%d\n", ntohs(at.sin_port));
  std::fflush(stdout);
  return fd;
}

void accept_all(int listener, int poll) {
  for (int fd; (fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    auto* const peer = new Peer;
    peer->fd = fd;
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = peer}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
  }
}

}  // namespace

int main(int argc, char** argv) {
  pin_to_cpu(static_cast<int>(number(argc, argv, "--cpu", "1")));
  std::signal(SIGPIPE, SIG_IGN);  // sendfile() has no MSG_NOSIGNAL
  memory = ::memfd_create("canned", MFD_CLOEXEC);
  if (memory < 0 || ::ftruncate(memory, kLargest) != 0) return 1;
  bytes = static_cast<char*>(::mmap(nullptr, kLargest, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0));
  std::memset(bytes, 'x', kLargest);
  const int listener = listen_at(number(argc, argv, "--port", "0"));
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (listener < 0 || ::epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) != 0) return 1;
  for (std::array<epoll_event, 256> events;;) {
    const int count = ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* const peer = static_cast<Peer*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (peer == nullptr) {
        accept_all(listener, poll);
      } else if (!peer->work()) {
        ::close(peer->fd);
        delete peer;
      }
    }
  }
}
