// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/nvme/tls_psk.h"

#include "lib/base/encoding.h"
#include "lib/base/hash.h"
#include "lib/proto/nvme/dhchap_crypto.h"

namespace netstor::nvme {

namespace {

constexpr std::size_t kContextBytesMax = 255;

void append(std::vector<std::byte>& out, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// HkdfLabel of RFC 8446 section 7.1, as which of them writes it.
std::vector<std::byte> label_of(std::size_t length, std::string_view label, std::string_view context,
                                TlsDerivation derivation) {
  const auto byte = [](std::size_t value) { return static_cast<std::byte>(value); };
  const std::string whole = "tls13 " + std::string(label);
  std::vector<std::byte> info;
  if (derivation == TlsDerivation::standard) {
    info = {byte(length >> 8), byte(length), byte(whole.size())};
    append(info, whole);
    info.push_back(byte(context.size()));
  } else {
    info = {byte(length), byte(length >> 8)};
    append(info, whole);
  }
  append(info, context);
  return info;
}

// RFC 5869, extract and expand. One block of the hash is all that is ever asked for.
AuthDigest expand_label(AuthHash hash, std::span<const std::byte> secret, std::string_view label,
                        std::string_view context, TlsDerivation derivation) {
  const AuthDigest salt(auth_hash_bytes(hash));
  AuthDigest extracted = crypto::hmac(hash, salt, secret);
  std::vector<std::byte> info = label_of(auth_hash_bytes(hash), label, context, derivation);
  info.push_back(std::byte{1});  // the number of the block
  AuthDigest out = crypto::hmac(hash, extracted, info);
  wipe(extracted);
  return out;
}

AuthDigest retained(const TlsKey& key, const std::string& host_nqn, TlsDerivation derivation) {
  if (key.transform == AuthHash::none) return {key.view().begin(), key.view().end()};
  return expand_label(key.transform, key.view(), "HostNQN", host_nqn, derivation);
}

std::string digest_of(AuthHash hash, std::span<const std::byte> secret, const TlsIdentity& names) {
  std::vector<std::byte> text;
  append(text, names.host_nqn + " " + names.subsystem_nqn + " NVMe-over-Fabrics");
  return to_base64(crypto::hmac(hash, secret, text));
}

}  // namespace

TlsPsk::~TlsPsk() { wipe(key); }

std::optional<TlsPsk> derive_tls_psk(const TlsKey& key, const TlsIdentity& names, TlsDerivation derivation) {
  TlsIdentity identity = names;
  AuthDigest secret = retained(key, names.host_nqn, derivation);
  TlsPsk psk;
  psk.hash = names.hash;
  std::string context;
  if (names.version == 1) {
    identity.digest = digest_of(names.hash, secret, names);
    context = (names.hash == AuthHash::sha384 ? "02 " : "01 ") + identity.digest;
  }
  psk.identity = format_tls_identity(identity);
  if (names.version == 0) context = psk.identity;
  const bool fits = context.size() <= kContextBytesMax;
  if (fits) psk.key = expand_label(names.hash, secret, "nvme-tls-psk", context, derivation);
  wipe(secret);
  if (!fits) return std::nullopt;
  return psk;
}

}  // namespace netstor::nvme
