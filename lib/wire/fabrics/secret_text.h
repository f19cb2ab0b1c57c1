// SPDX-License-Identifier: Apache-2.0
//
// The form that both kinds of secrets have on paper, `PREFIX:HH:BASE64:`: a number that names a hash, and the
// secret with its CRC-32 behind it. auth_secret.h and tls_key.h say what they mean.

#pragma once

#include <netstor/result.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace netstor::nvme {

struct SecretForm {
  std::string_view prefix;    // "DHHC-1:"
  std::string_view what;      // "an authentication secret", for errors
  std::string_view expected;  // how it looks and what makes one
  std::string_view hashes;    // "00, 01 or 02"
  unsigned hash_max = 0;
};

struct SecretText {
  unsigned hash = 0;
  std::array<std::byte, 64> bytes{};
  std::size_t size = 0;  // 32, 48 or 64

  SecretText() = default;
  SecretText(const SecretText&) = default;
  SecretText& operator=(const SecretText&) = default;
  ~SecretText();  // wipes
};

// invalid_argument for a text of another form. The error never repeats any of it.
[[nodiscard]] Result<SecretText> parse_secret_text(std::string_view text, const SecretForm& form);
[[nodiscard]] std::string format_secret_text(const SecretForm& form, unsigned hash,
                                             std::span<const std::byte> secret);

}  // namespace netstor::nvme
