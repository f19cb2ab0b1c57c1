// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a bucket's requests go: host, Host field and the path before the key.

#include <netstor/bucket.h>

#include "lib/object/proxy.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace netstor::object {

struct Endpoint {
  bool tls = false;
  std::string host;  ///< to connect to
  std::uint16_t port = 0;
  std::string authority;    ///< the Host field: without the scheme's own port
  std::string path_prefix;  ///< "/bucket" in path style, else empty
  std::string domain;       ///< the host without the bucket's name
  std::optional<Proxy> proxy{};
};

/// `url` empty: Amazon's of `region`. `bucket` empty: of the service itself. Errors: invalid_argument, naming
/// what of the two is wrong.
[[nodiscard]] Result<Endpoint> make_endpoint(std::string_view url, std::string_view region,
                                             Addressing addressing, std::string_view bucket);

/// Whether `host` is the endpoint's own domain, or below it; of Amazon's endpoints another one of S3.
[[nodiscard]] bool is_below(const Endpoint& endpoint, std::string_view host);

struct Redirect {
  Endpoint endpoint;  ///< its path_prefix is that of `from`
  std::string path;   ///< percent-encoded
};
/// Where `location`, a URL or a path in an answer of `from`, leads. Errors: permission_denied when that is
/// not below the endpoint that was `configured`, or the scheme is another one: neither signature nor payload
/// goes there.
[[nodiscard]] Result<Redirect> follow_redirect(const Endpoint& configured, const Endpoint& from,
                                               std::string_view from_path, std::string_view location);

/// 3 to 63 small letters, digits, dots and hyphens (S3 User Guide, "Bucket naming rules", as far as servers
/// agree on them).
[[nodiscard]] Result<void> check_bucket_name(std::string_view name);
/// 1 to 1,024 bytes.
[[nodiscard]] Result<void> check_key(std::string_view key);

}  // namespace netstor::object
