// SPDX-License-Identifier: Apache-2.0
#include "transports/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace netstor {
namespace {

constexpr int kBacklog = 1024;

void turn_on(int fd, int level, int option) noexcept {
  const int on = 1;
  static_cast<void>(::setsockopt(fd, level, option, &on, sizeof on));
}

OpResult look_up_failure(int code) {
  switch (code) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
      return OpResult::failure(ErrorKind::not_found);
    case EAI_MEMORY:
      return OpResult::failure(ErrorKind::exhausted);
    case EAI_SYSTEM:
      return OpResult::system(errno);
    // The name servers did not answer, or not with an answer.
    default:
      return OpResult::failure(ErrorKind::disconnected);
  }
}

int listening_on(const SocketAddress& at, Address& bound) {
  const int fd = ::socket(at.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
  SocketAddress local;
  local.length = sizeof local.storage;
  if (::bind(fd, at.get(), at.length) != 0 || ::listen(fd, kBacklog) != 0 ||
      ::getsockname(fd, local.get(), &local.length) != 0) {
    const int error = errno;
    ::close(fd);
    return -error;
  }
  // The port stands at the same place in both families.
  bound.port = ntohs(reinterpret_cast<const sockaddr_in*>(&local.storage)->sin_port);
  return fd;
}

}  // namespace

std::optional<SocketAddress> numeric_address(const Address& address) {
  SocketAddress result;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    result.length = sizeof *v4;
    return result;
  }
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    result.length = sizeof *v6;
    return result;
  }
  return std::nullopt;
}

OpResult look_up(const Address& address, std::vector<SocketAddress>& found) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int code = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  if (code != 0) return look_up_failure(code);
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    SocketAddress& next = found.emplace_back();
    std::memcpy(&next.storage, each->ai_addr, each->ai_addrlen);
    next.length = each->ai_addrlen;
  }
  ::freeaddrinfo(list);
  return OpResult::success();
}

std::string to_text(const SocketAddress& address) {
  char host[INET6_ADDRSTRLEN] = "?";
  if (address.storage.ss_family == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    return std::string(host) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  ::inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
  return "[" + std::string(host) + "]:" + std::to_string(ntohs(v6->sin6_port));
}

std::string peer_text(int fd) {
  SocketAddress peer;
  peer.length = sizeof peer.storage;
  if (::getpeername(fd, peer.get(), &peer.length) != 0) return "(gone)";
  return to_text(peer);
}

int start_connect(const SocketAddress& to) noexcept {
  const int fd = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (::connect(fd, to.get(), to.length) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd);
    return -error;
  }
  return fd;
}

int make_listening(const Address& address, Address& bound) {
  bound = address;
  // Everything, on both families: the dual-stack wildcard. Where IPv6 is off, IPv4's.
  if (address.host.empty() || address.host == "*") {
    const int fd = make_listening({"::", address.port}, bound);
    return fd == -EAFNOSUPPORT ? make_listening({"0.0.0.0", address.port}, bound) : fd;
  }
  if (const auto numeric = numeric_address(address)) return listening_on(*numeric, bound);
  // A listener is made once, at start-up, so a name may block here ("localhost").
  std::vector<SocketAddress> found;
  const OpResult result = look_up(address, found);
  if (!result.ok) return result.native != 0 ? -result.native : -ENOENT;
  int fd = -EADDRNOTAVAIL;
  for (const SocketAddress& each : found) {
    fd = listening_on(each, bound);
    if (fd >= 0) break;
  }
  return fd;
}

int accept_one(int listening, SocketAddress& peer) noexcept {
  peer.length = sizeof peer.storage;
  const int fd = ::accept4(listening, peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

std::optional<std::uint64_t> acknowledged_bytes(int fd) noexcept {
  tcp_info info{};
  socklen_t size = sizeof info;
  const bool told = ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
                    size >= offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked;
  return told ? std::optional<std::uint64_t>(info.tcpi_bytes_acked) : std::nullopt;
}

void tune_link(int fd) noexcept { turn_on(fd, IPPROTO_TCP, TCP_NODELAY); }

void set_blocking(int fd, bool blocking) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

}  // namespace netstor
