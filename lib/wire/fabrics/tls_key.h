// SPDX-License-Identifier: Apache-2.0
//
// Keys of NVMe/TCP over TLS on paper and on the wire (NVMe TCP Transport 1.1, section 3.6.1): the configured
// key as people hold it, `NVMeTLSkey-1:HH:BASE64:`, which `nvme gen-tls-key` makes, and the identity by which
// a host names one in its ClientHello:
//
//   NVMe0R01 HOST-NQN SUBSYSTEM-NQN             the older form
//   NVMe1R01 HOST-NQN SUBSYSTEM-NQN DIGEST      with base64 of what the key makes of both names
//
// R: the key was configured (G, of one that an authentication made, is not known here). 01: SHA-256 and
// TLS_AES_128_GCM_SHA256; 02: SHA-384 and TLS_AES_256_GCM_SHA384. lib/proto/nvme/tls_psk.h derives.

#pragma once

#include <netstor/result.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "lib/wire/fabrics/auth.h"

namespace netstor::nvme {

struct TlsKey {
  // By which the key is bound to a host before it is used; none: used as it is. Never SHA-512.
  AuthHash transform = AuthHash::none;
  std::array<std::byte, 48> bytes{};
  std::size_t size = 0;  // 32 or 48; 0: no key

  TlsKey() = default;
  TlsKey(const TlsKey&) = default;
  TlsKey& operator=(const TlsKey&) = default;
  ~TlsKey();  // wipes

  bool empty() const { return size == 0; }
  std::span<const std::byte> view() const { return std::span(bytes).first(size); }
  // Of TLS, where the key's owner has the choice.
  AuthHash usual_hash() const { return size == 48 ? AuthHash::sha384 : AuthHash::sha256; }
};

// invalid_argument for a text that is no key. The error never repeats any of it.
[[nodiscard]] Result<TlsKey> parse_tls_key(std::string_view text);
[[nodiscard]] std::string format_tls_key(const TlsKey& key);

struct TlsIdentity {
  unsigned version = 1;  // 0 or 1
  AuthHash hash = AuthHash::sha256;
  std::string host_nqn;
  std::string subsystem_nqn;
  std::string digest = {};  // version 1

  friend bool operator==(const TlsIdentity&, const TlsIdentity&) = default;
};

// Nothing for what is none; names are judged where they are used.
[[nodiscard]] std::optional<TlsIdentity> parse_tls_identity(std::string_view text);
[[nodiscard]] std::string format_tls_identity(const TlsIdentity& identity);

}  // namespace netstor::nvme
