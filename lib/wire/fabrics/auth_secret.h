// SPDX-License-Identifier: Apache-2.0
//
// Secrets for in-band authentication as people hold them: `DHHC-1:HH:BASE64:` (NVMe Base 2.0, "DH-HMAC-CHAP
// Secret Representation"), what `nvme gen-dhchap-key` prints. HH names the hash by which the secret is bound
// to an NQN before it is used (00: used as it is); behind the secret stands its CRC-32.

#pragma once

#include <netstor/result.h>

#include <array>
#include <string>
#include <string_view>

#include "lib/wire/fabrics/auth.h"

namespace netstor::nvme {

struct AuthSecret {
  AuthHash transform = AuthHash::none;
  std::array<std::byte, 64> bytes{};
  std::size_t size = 0;  // 32, 48 or 64; 0: no secret

  AuthSecret() = default;
  AuthSecret(const AuthSecret&) = default;
  AuthSecret& operator=(const AuthSecret&) = default;
  ~AuthSecret();  // wipes

  bool empty() const { return size == 0; }
  std::span<const std::byte> view() const { return std::span(bytes).first(size); }
};

// invalid_argument for a text that is no secret. The error never repeats any of it.
[[nodiscard]] Result<AuthSecret> parse_auth_secret(std::string_view text);
[[nodiscard]] std::string format_auth_secret(const AuthSecret& secret);

}  // namespace netstor::nvme
