// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/fabrics/secret_text.h"

#include "lib/base/bytes.h"
#include "lib/base/crc.h"
#include "lib/base/encoding.h"
#include "lib/base/hash.h"

#include <algorithm>

namespace netstor::nvme {

namespace {

constexpr std::size_t kCrcBytes = 4;

}  // namespace

SecretText::~SecretText() { wipe(bytes); }

Result<SecretText> parse_secret_text(std::string_view text, const SecretForm& form) {
  const auto wrong = [&form](std::string_view why) {
    return Error(ErrorKind::invalid_argument, std::string(form.what) + ": " + std::string(why));
  };
  const std::size_t head = form.prefix.size();
  if (!text.starts_with(form.prefix) || text.size() < head + 4 || text.back() != ':' || text[head + 2] != ':')
    return wrong("expected " + std::string(form.expected));
  std::byte hash{};
  if (!decode_hex(text.substr(head, 2), {&hash, 1}) || std::to_integer<unsigned>(hash) > form.hash_max)
    return wrong("the hash has to be " + std::string(form.hashes));
  text.remove_prefix(head + 3);
  text.remove_suffix(1);
  SecretText secret;
  secret.hash = std::to_integer<unsigned>(hash);
  std::array<std::byte, 64 + kCrcBytes> bytes{};
  for (const std::size_t size : {32U, 48U, 64U}) {
    if (text.size() == base64_size(size + kCrcBytes) &&
        decode_base64(text, std::span(bytes).first(size + kCrcBytes)))
      secret.size = size;
  }
  const auto crc = secret.size == 0 ? 0 : load_le<std::uint32_t>(bytes.data() + secret.size);
  const bool whole = Crc32().update(std::span(bytes).first(secret.size)).value() == crc;
  std::copy_n(bytes.begin(), secret.size, secret.bytes.begin());
  wipe(bytes);
  if (secret.size == 0) return wrong("expected 32, 48 or 64 bytes and their CRC, in base64");
  if (!whole) return wrong("its CRC is wrong: a character was lost or changed");
  return secret;
}

std::string format_secret_text(const SecretForm& form, unsigned hash, std::span<const std::byte> secret) {
  std::array<std::byte, 64 + kCrcBytes> bytes = {};
  std::copy(secret.begin(), secret.end(), bytes.begin());
  store_le<std::uint32_t>(bytes.data() + secret.size(), Crc32().update(secret).value());
  std::string text(form.prefix);
  const std::byte number{static_cast<std::uint8_t>(hash)};
  append_hex(text, {&number, 1});
  text += ':';
  append_base64(text, std::span(bytes).first(secret.size() + kCrcBytes));
  wipe(bytes);
  return text + ':';
}

}  // namespace netstor::nvme
