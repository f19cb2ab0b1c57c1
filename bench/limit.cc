// SPDX-License-Identifier: Apache-2.0
// The floor: what one TCP connection on loopback gives to a program that does nothing else. The client sends
// 72 bytes (a read command), the server answers 24 bytes and the payload; one at a time. Both ends spin on
// non-blocking receives (--wait busy), or block in the kernel (--wait block).

#include "bench/stats.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace {

using namespace netstor::bench;

bool receive_all(int fd, std::vector<char>& bytes, std::size_t count, bool busy) {
  for (std::size_t done = 0; done < count;) {
    const ssize_t got = ::recv(fd, bytes.data() + done, count - done, busy ? MSG_DONTWAIT : 0);
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      return false;
    }
  }
  return true;
}

bool send_all(int fd, const std::vector<char>& bytes, std::size_t count) {
  for (std::size_t done = 0; done < count;) {
    const ssize_t sent = ::send(fd, bytes.data() + done, count - done, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    done += static_cast<std::size_t>(sent);
  }
  return true;
}

void no_delay(int fd) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

constexpr std::size_t kAsk = 72;

void serve(int listener, std::size_t answer, bool busy, int cpu) {
  pin_to_cpu(cpu);
  const int fd = ::accept(listener, nullptr, nullptr);
  no_delay(fd);
  std::vector<char> bytes(answer + kAsk);
  while (receive_all(fd, bytes, kAsk, busy) && send_all(fd, bytes, answer)) {
  }
  ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  const auto answer = static_cast<std::size_t>(number(argc, argv, "--payload", "4096")) + 24;
  const bool busy = argument(argc, argv, "--wait", "busy") == "busy";
  const double seconds = std::strtod(argument(argc, argv, "--seconds", "1").c_str(), nullptr);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener, 1) != 0)
    return 1;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  const int server_cpu = static_cast<int>(number(argc, argv, "--server-cpu", "1"));
  std::thread server([&] { serve(listener, answer, busy, server_cpu); });
  pin_to_cpu(static_cast<int>(number(argc, argv, "--cpu", "0")));
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 1;
  no_delay(fd);
  std::vector<char> bytes(answer + kAsk);
  Latencies latencies;
  const double cpu_before = cpu_seconds();
  auto start = now();
  auto last = start;
  bool warm = false;
  while (last - start < std::chrono::duration<double>(seconds)) {
    if (!send_all(fd, bytes, kAsk) || !receive_all(fd, bytes, answer, busy)) return 1;
    const auto done = now();
    latencies.add(done - last);
    last = done;
    if (!warm && last - start > std::chrono::milliseconds(100)) {
      warm = true;
      latencies.reset();
      start = last;
    }
  }
  const double taken = std::chrono::duration<double>(last - start).count();
  ::shutdown(fd, SHUT_RDWR);
  server.join();
  print_json(latencies, taken, cpu_seconds() - cpu_before);
}
