// SPDX-License-Identifier: Apache-2.0
#pragma once
// Proxies by environment, as curl and the AWS tools have them: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in small
// letters, too, which win (credentials.cc reads them).

#include <netstor/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netstor::object {

struct Proxy {
  std::string host;
  std::uint16_t port = 0;
  std::string authorization;  ///< value of Proxy-Authorization; empty: none. Never printed
};

struct ProxySettings {
  std::string http;   ///< for http:// endpoints
  std::string https;  ///< for https:// endpoints
  std::string none;   ///< who is asked directly: "*", or names, domains and addresses between commas
};

/// The proxy for this endpoint. Never one for this machine's own loopback addresses, which no proxy reaches.
/// Errors: invalid_argument, unsupported (https and SOCKS proxies), without the URL's user and password.
[[nodiscard]] Result<std::optional<Proxy>> proxy_for(const ProxySettings& settings, bool tls,
                                                     std::string_view host, std::uint16_t port);

/// 127.0.0.0/8, ::1, localhost.
[[nodiscard]] bool is_loopback(std::string_view host) noexcept;

}  // namespace netstor::object
