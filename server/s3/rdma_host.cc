// SPDX-License-Identifier: Apache-2.0

#include "server/s3/rdma_host.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "transports/socket.h"

namespace netstor::s3server {

std::string rdma_host_to_offer(const Address& listening) {
  const auto numeric = numeric_address(listening);
  if (!numeric) return {};
  char text[INET6_ADDRSTRLEN] = "";
  if (numeric->storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in*>(&numeric->storage)->sin_addr;
    if (v4.s_addr == htonl(INADDR_ANY)) return {};
    ::inet_ntop(AF_INET, &v4, text, sizeof text);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6*>(&numeric->storage)->sin6_addr;
    if (IN6_IS_ADDR_UNSPECIFIED(&v6)) return {};
    ::inet_ntop(AF_INET6, &v6, text, sizeof text);
  }
  return text;
}

}  // namespace netstor::s3server
