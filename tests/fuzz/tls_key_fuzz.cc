// SPDX-License-Identifier: Apache-2.0
//
// What people and hosts say of keys, of any bytes: the identity in a ClientHello, keys of TLS and secrets of
// DH-HMAC-CHAP as text. The first byte chooses. What is accepted is written as it was read, and an identity
// can be derived for.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/proto/nvme/tls_psk.h"
#include "lib/wire/fabrics/auth_secret.h"
#include "lib/wire/fabrics/nqn.h"

using namespace netstor;
using namespace netstor::nvme;

namespace {

/// It says what is expected, in words shorter than a key, and repeats nothing of what was given.
void check_silence(const Error& error, std::string_view text) {
  constexpr std::size_t kKeyBytesMin = 40;
  NETSTOR_ASSERT(error.kind() == ErrorKind::invalid_argument);
  if (text.size() < kKeyBytesMin || text.find(' ') != std::string_view::npos) return;
  NETSTOR_ASSERT(error.text().find(text) == std::string::npos);
}

void read_identity(std::string_view text) {
  const auto identity = parse_tls_identity(text);
  if (!identity) return;
  NETSTOR_ASSERT(format_tls_identity(*identity) == text);
  NETSTOR_ASSERT(bearable_nqn(identity->host_nqn) && bearable_nqn(identity->subsystem_nqn));
  NETSTOR_ASSERT(identity->hash == AuthHash::sha256 || identity->hash == AuthHash::sha384);
  TlsKey key;
  key.transform = identity->hash;
  key.size = auth_hash_bytes(identity->hash);
  for (const TlsDerivation derivation : {TlsDerivation::standard, TlsDerivation::old_libnvme}) {
    const auto psk = derive_tls_psk(key, *identity, derivation);
    if (!psk) continue;
    const auto names = parse_tls_identity(psk->identity);
    NETSTOR_ASSERT(names && names->host_nqn == identity->host_nqn);
    NETSTOR_ASSERT(names->subsystem_nqn == identity->subsystem_nqn && names->version == identity->version);
  }
}

void read_key(std::string_view text) {
  const auto key = parse_tls_key(text);
  if (!key) return check_silence(key.error(), text);
  NETSTOR_ASSERT(format_tls_key(*key) == text);
  NETSTOR_ASSERT(key->size == 32 || key->size == 48);
}

void read_secret(std::string_view text) {
  const auto secret = parse_auth_secret(text);
  if (!secret) return check_silence(secret.error(), text);
  NETSTOR_ASSERT(format_auth_secret(*secret) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      read_identity(text);
      break;
    case 1:
      read_key(text);
      break;
    default:
      read_secret(text);
      break;
  }
  return 0;
}
