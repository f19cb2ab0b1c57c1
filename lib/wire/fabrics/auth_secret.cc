// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/fabrics/auth_secret.h"

#include "lib/base/bytes.h"
#include "lib/base/crc.h"
#include "lib/base/encoding.h"
#include "lib/base/hash.h"

#include <algorithm>

namespace netstor::nvme {

namespace {

constexpr std::string_view kPrefix = "DHHC-1:";
constexpr std::size_t kCrcBytes = 4;

Error no_secret(std::string_view why) {
  return {ErrorKind::invalid_argument, "an authentication secret: " + std::string(why)};
}

}  // namespace

AuthSecret::~AuthSecret() { wipe(bytes); }

Result<AuthSecret> parse_auth_secret(std::string_view text) {
  if (!text.starts_with(kPrefix) || text.size() < kPrefix.size() + 4 || text.back() != ':' ||
      text[kPrefix.size() + 2] != ':') {
    return no_secret("expected DHHC-1:HH:BASE64:, which `nvme gen-dhchap-key` makes");
  }
  std::byte transform{};
  if (!decode_hex(text.substr(kPrefix.size(), 2), {&transform, 1}) || transform > std::byte{3})
    return no_secret("the hash has to be 00, 01, 02 or 03");
  text.remove_prefix(kPrefix.size() + 3);
  text.remove_suffix(1);
  AuthSecret secret;
  secret.transform = static_cast<AuthHash>(transform);
  std::array<std::byte, 64 + kCrcBytes> bytes{};
  for (const std::size_t size : {32U, 48U, 64U}) {
    if (text.size() == base64_size(size + kCrcBytes) &&
        decode_base64(text, std::span(bytes).first(size + kCrcBytes)))
      secret.size = size;
  }
  const auto crc = secret.empty() ? 0 : load_le<std::uint32_t>(bytes.data() + secret.size);
  const bool whole = Crc32().update(std::span(bytes).first(secret.size)).value() == crc;
  std::copy_n(bytes.begin(), secret.size, secret.bytes.begin());
  wipe(bytes);
  if (secret.empty()) return no_secret("expected 32, 48 or 64 bytes and their CRC, in base64");
  if (!whole) return no_secret("its CRC is wrong: a character was lost or changed");
  return secret;
}

std::string format_auth_secret(const AuthSecret& secret) {
  std::array<std::byte, 64 + kCrcBytes> bytes = {};
  std::copy_n(secret.bytes.begin(), secret.size, bytes.begin());
  store_le<std::uint32_t>(bytes.data() + secret.size, Crc32().update(secret.view()).value());
  std::string text(kPrefix);
  const std::byte transform{static_cast<std::uint8_t>(secret.transform)};
  append_hex(text, {&transform, 1});
  text += ':';
  append_base64(text, std::span(bytes).first(secret.size + kCrcBytes));
  wipe(bytes);
  return text + ':';
}

}  // namespace netstor::nvme
