// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/fabrics/tls_key.h"

#include "lib/base/hash.h"
#include "lib/wire/fabrics/nqn.h"
#include "lib/wire/fabrics/secret_text.h"

#include <algorithm>

namespace netstor::nvme {

namespace {

constexpr SecretForm kForm{.prefix = "NVMeTLSkey-1:",
                           .what = "a TLS key",
                           .expected = "NVMeTLSkey-1:HH:BASE64:, which `nvme gen-tls-key` makes",
                           .hashes = "00, 01 or 02",
                           .hash_max = 2};

// "NVMe1R01 ": V is a digit, HH the hash.
constexpr std::size_t kHeadBytes = 9;

// Two NQNs, a digest of SHA-384 and what is between them, generously.
constexpr std::size_t kIdentityBytesMax = kHeadBytes + 2 * 256 + 128;

std::optional<std::string_view> next_word(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

}  // namespace

TlsKey::~TlsKey() { wipe(bytes); }

Result<TlsKey> parse_tls_key(std::string_view text) {
  auto read = parse_secret_text(text, kForm);
  if (!read) return std::move(read).error();
  TlsKey key;
  key.transform = static_cast<AuthHash>(read->hash);
  const bool fits = key.transform == AuthHash::none ? read->size <= key.bytes.size()
                                                    : read->size == auth_hash_bytes(key.transform);
  if (!fits) return Error(ErrorKind::invalid_argument, "a TLS key: expected 32 bytes with 01, 48 with 02");
  key.size = read->size;
  std::copy_n(read->bytes.begin(), key.size, key.bytes.begin());
  return key;
}

std::string format_tls_key(const TlsKey& key) {
  return format_secret_text(kForm, static_cast<unsigned>(key.transform), key.view());
}

std::optional<TlsIdentity> parse_tls_identity(std::string_view text) {
  if (text.size() < kHeadBytes || text.size() > kIdentityBytesMax) return std::nullopt;
  const std::string_view head = text.substr(0, kHeadBytes);
  const std::string_view whole = text;
  TlsIdentity identity;
  if (head == "NVMe0R01 " || head == "NVMe1R01 ") {
    identity.hash = AuthHash::sha256;
  } else if (head == "NVMe0R02 " || head == "NVMe1R02 ") {
    identity.hash = AuthHash::sha384;
  } else {
    return std::nullopt;
  }
  identity.version = head[4] == '1' ? 1 : 0;
  text.remove_prefix(kHeadBytes);
  const auto host = next_word(text);
  const auto subsystem = next_word(text);
  const auto digest = identity.version == 1 ? next_word(text) : std::optional(std::string_view());
  if (!host || !subsystem || !digest || !text.empty()) return std::nullopt;
  if (!bearable_nqn(*host) || !bearable_nqn(*subsystem)) return std::nullopt;
  identity.host_nqn = *host;
  identity.subsystem_nqn = *subsystem;
  identity.digest = *digest;
  // One text for each identity: no blank too many.
  if (format_tls_identity(identity) != whole) return std::nullopt;
  return identity;
}

std::string format_tls_identity(const TlsIdentity& identity) {
  std::string text = identity.version == 1 ? "NVMe1R0" : "NVMe0R0";
  text += identity.hash == AuthHash::sha384 ? '2' : '1';
  text += ' ' + identity.host_nqn + ' ' + identity.subsystem_nqn;
  if (identity.version == 1) text += ' ' + identity.digest;
  return text;
}

}  // namespace netstor::nvme
