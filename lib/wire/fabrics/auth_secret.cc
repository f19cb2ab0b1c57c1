// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/fabrics/auth_secret.h"

#include "lib/base/hash.h"
#include "lib/wire/fabrics/secret_text.h"

namespace netstor::nvme {

namespace {

constexpr SecretForm kForm{.prefix = "DHHC-1:",
                           .what = "an authentication secret",
                           .expected = "DHHC-1:HH:BASE64:, which `nvme gen-dhchap-key` makes",
                           .hashes = "00, 01, 02 or 03",
                           .hash_max = 3};

}  // namespace

AuthSecret::~AuthSecret() { wipe(bytes); }

Result<AuthSecret> parse_auth_secret(std::string_view text) {
  auto read = parse_secret_text(text, kForm);
  if (!read) return std::move(read).error();
  AuthSecret secret;
  secret.transform = static_cast<AuthHash>(read->hash);
  secret.bytes = read->bytes;
  secret.size = read->size;
  return secret;
}

std::string format_auth_secret(const AuthSecret& secret) {
  return format_secret_text(kForm, static_cast<unsigned>(secret.transform), secret.view());
}

}  // namespace netstor::nvme
