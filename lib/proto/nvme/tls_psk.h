// SPDX-License-Identifier: Apache-2.0
#pragma once
// From a configured key to what TLS is given (NVMe TCP Transport 1.1, sections 3.6.1.2 and 3.6.1.3):
//
//   retained PSK = HKDF-Expand-Label(HKDF-Extract(0, configured PSK), "HostNQN", HOST-NQN, its length)
//   digest       = base64(HMAC(retained PSK, "HOST-NQN SUBSYSTEM-NQN NVMe-over-Fabrics"))
//   TLS PSK      = HKDF-Expand-Label(HKDF-Extract(0, retained PSK), "nvme-tls-psk", context, hash's length)
//
// where the context is the whole identity in version 0, and "HH DIGEST" in version 1.

#include <cstdint>
#include <optional>

#include "lib/wire/fabrics/tls_key.h"

namespace netstor::nvme {

/// How HKDF's label is written. libnvme up to 1.15, and so `nvme` up to 2.15, left out lengths, and the keys
/// that it puts into Linux's keyring are others than the specification's.
enum class TlsDerivation : std::uint8_t { standard, old_libnvme };

struct TlsPsk {
  std::string identity;
  AuthHash hash = AuthHash::sha256;
  AuthDigest key;

  TlsPsk() = default;
  TlsPsk(TlsPsk&&) = default;
  TlsPsk& operator=(TlsPsk&&) = default;
  ~TlsPsk();  // wipes
};

/// What `key` is between the two of `names`, whose version and hash are followed and whose digest is not
/// looked at. Nothing when the names are too long for version 0: its context has at most 255 bytes.
[[nodiscard]] std::optional<TlsPsk> derive_tls_psk(const TlsKey& key, const TlsIdentity& names,
                                                   TlsDerivation derivation = TlsDerivation::standard);

}  // namespace netstor::nvme
