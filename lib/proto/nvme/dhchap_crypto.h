// SPDX-License-Identifier: Apache-2.0
#pragma once
// What DH-HMAC-CHAP needs of OpenSSL. Failures of OpenSSL itself (out of memory) end the process.

#include <span>

#include "lib/wire/fabrics/auth.h"

namespace netstor::nvme::crypto {

[[nodiscard]] AuthDigest digest(AuthHash hash, std::span<const std::byte> bytes);
[[nodiscard]] AuthDigest hmac(AuthHash hash, std::span<const std::byte> key,
                              std::span<const std::byte> bytes);
void random(std::span<std::byte> out);
// In a time that depends on the sizes alone.
[[nodiscard]] bool same(std::span<const std::byte> a, std::span<const std::byte> b);

}  // namespace netstor::nvme::crypto
