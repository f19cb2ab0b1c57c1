// SPDX-License-Identifier: Apache-2.0
#pragma once
// TCP sockets as every driver of the kernel's sockets needs them: addresses, looking up names, and making
// the descriptors. All sockets made here are non-blocking and close-on-exec. Who waits for them is the
// driver's own business (transports/io_port.h).

#include <netstor/ext/driver.h>

#include <netdb.h>
#include <sys/socket.h>

#include <string>
#include <vector>

namespace netstor {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

/// The address when `address.host` is a number; nothing when it is a name.
std::optional<SocketAddress> numeric_address(const Address& address);

/// Asks the system's resolver, which may block. `found` keeps the resolver's order.
OpResult look_up(const Address& address, std::vector<SocketAddress>& found);

/// "10.0.0.1:4420", "[::1]:4420".
std::string to_text(const SocketAddress& address);
std::string peer_text(int fd);

/// A descriptor, or a negative errno value. A connecting one may still be on its way.
int start_connect(const SocketAddress& to) noexcept;
/// `address` gets the port that the system chose.
int make_listening(const Address& address, Address& bound);
int accept_one(int listening, SocketAddress& peer) noexcept;

/// Of TCP_INFO; what Link::acknowledged_bytes() answers.
std::optional<std::uint64_t> acknowledged_bytes(int fd) noexcept;

/// What every link wants: small messages leave at once.
void tune_link(int fd) noexcept;
void set_blocking(int fd, bool blocking) noexcept;

}  // namespace netstor
