// SPDX-License-Identifier: Apache-2.0
// The limit of a bucket's client: sockets and epoll, --depth connections with one request each, the same
// bytes as a signed request has, but made once; answers are received into the object's memory and looked at
// no further than where their heads end.
//
//   bucket_limit --port 9000 --verb get --size 4096 --depth 32 --seconds 2 [--signature off] [--wait busy]

#include "bench/bucket_stats.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <deque>
#include <string_view>
#include <vector>

namespace {

using namespace netstor::bench;

constexpr std::size_t kHeadRoom = 4096;

struct Plan {
  std::string head;
  bool put = false;
  std::size_t size = 0;
};

/// `with_signature`: with the fields of a signature, which nobody has to believe.
std::string head_of(bool put, std::size_t size, const std::string& authority, bool with_signature) {
  std::string head = put ? "PUT" : "GET";
  head += " /things/o" + std::to_string(size) + " HTTP/1.1\r\nhost: " + authority + "\r\n";
  if (with_signature) {
    head +=
        "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n"
        "x-amz-date: 20221012T175000Z\r\nauthorization: AWS4-HMAC-SHA256 "
        "Credential=AKIAIOSFODNN7EXAMPLE/20221012/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\n";
  }
  if (put) {
    head += "content-type: application/octet-stream\r\ncontent-length: " + std::to_string(size) + "\r\n";
  } else {
    head += "range: bytes=0-" + std::to_string(size - 1) + "\r\n";
  }
  return head + "user-agent: netstor\r\n\r\n";
}

/// One connection, one request at a time.
struct Lane {
  int fd = -1;
  std::vector<char> memory;
  std::size_t sent = 0;
  std::size_t had = 0;
  std::size_t wanted = 0;  // 0: the head has not ended yet
  SteadyTime begun;

  void begin() {
    sent = had = wanted = 0;
    begun = now();
  }
  bool send_some(const Plan& plan) {
    const std::size_t all = plan.head.size() + (plan.put ? plan.size : 0);
    while (sent < all) {
      iovec pieces[2];
      int count = 0;
      if (sent < plan.head.size()) {
        pieces[count++] = {const_cast<char*>(plan.head.data()) + sent, plan.head.size() - sent};
      }
      const std::size_t of_body = sent < plan.head.size() ? 0 : sent - plan.head.size();
      if (plan.put) pieces[count++] = {memory.data() + kHeadRoom + of_body, plan.size - of_body};
      msghdr message{};
      message.msg_iov = pieces;
      message.msg_iovlen = static_cast<std::size_t>(count);
      const ssize_t went = ::sendmsg(fd, &message, MSG_NOSIGNAL);
      if (went < 0) return errno == EAGAIN;
      sent += static_cast<std::size_t>(went);
    }
    return true;
  }
  /// 1: the answer is there, 0: not yet, -1: the connection is of no use.
  int receive_some(const Plan& plan) {
    const std::size_t room = plan.put ? kHeadRoom : memory.size();
    for (;;) {
      const ssize_t got = ::recv(fd, memory.data() + had, room - had, 0);
      if (got <= 0) return got < 0 && errno == EAGAIN ? 0 : -1;
      had += static_cast<std::size_t>(got);
      if (wanted == 0) {
        const std::string_view text(memory.data(), std::min(had, kHeadRoom));
        const auto end = text.find("\r\n\r\n");
        if (end == text.npos) continue;
        if (!text.starts_with("HTTP/1.1 20")) return -1;
        wanted = end + 4 + (plan.put ? 0 : plan.size);
      }
      if (had >= wanted) return had == wanted ? 1 : -1;
    }
  }
};

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return -1;
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

int fail(const char* what) {
  std::fprintf(stderr, "bucket_limit: %s: %s\n", what, std::strerror(errno));
  return 1;
}

/// With --wait block the process sleeps in epoll, with busy it asks without pause.
bool run(std::deque<Lane>& lanes, const Plan& plan, double seconds, bool busy, Latencies& latencies,
         Cost& from, Cost& to) {
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  for (Lane& lane : lanes) {
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = &lane}};
    if (::epoll_ctl(poll, EPOLL_CTL_ADD, lane.fd, &event) != 0) return false;
    lane.begin();
    if (!lane.send_some(plan)) return false;
  }
  const SteadyTime measure_from = now() + std::chrono::milliseconds(200);
  const SteadyTime end = measure_from + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
  bool warm = false;
  for (std::vector<epoll_event> events(256);;) {
    const int count = ::epoll_wait(poll, events.data(), 256, busy ? 0 : -1);
    for (int i = 0; i < count; ++i) {
      Lane& lane = *static_cast<Lane*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (!lane.send_some(plan)) return false;
      const int done = lane.receive_some(plan);
      if (done < 0) return false;
      if (done == 0) continue;
      const SteadyTime when = now();
      if (warm) {
        latencies.add(when - lane.begun);
        to = Cost::now();
      } else if (when >= measure_from) {
        warm = true;
        from = Cost::now();
      }
      // Large ones take their time: each lane's share at least.
      if (when >= end && latencies.total() >= lanes.size()) return true;
      lane.begin();
      if (!lane.send_some(plan)) return false;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  pin_to_cpu(static_cast<int>(number(argc, argv, "--cpu", "0")));
  const auto port = static_cast<std::uint16_t>(number(argc, argv, "--port", "9000"));
  const auto depth = static_cast<unsigned>(number(argc, argv, "--depth", "1"));
  Plan plan;
  plan.put = argument(argc, argv, "--verb", "get") == "put";
  plan.size = static_cast<std::size_t>(number(argc, argv, "--size", "4096"));
  plan.head = head_of(plan.put, plan.size, "127.0.0.1:" + std::to_string(port),
                      argument(argc, argv, "--signature", "on") == "on");
  std::deque<Lane> lanes(depth);
  for (Lane& lane : lanes) {
    lane.fd = connect_to(port);
    if (lane.fd < 0) return fail("connect");
    lane.memory.resize(kHeadRoom + plan.size, 'x');
  }
  for (Lane& lane : lanes) {
    const int flags = 1;
    static_cast<void>(::ioctl(lane.fd, FIONBIO, &flags));
  }
  Latencies latencies;
  Cost from, to;
  const bool busy = argument(argc, argv, "--wait", "block") == "busy";
  const double seconds = std::strtod(argument(argc, argv, "--seconds", "1").c_str(), nullptr);
  if (!run(lanes, plan, seconds, busy, latencies, from, to)) return fail("a request failed");
  print_cost(latencies, from, to, plan.size, depth);
}
