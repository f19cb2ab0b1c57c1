// SPDX-License-Identifier: Apache-2.0
//
// Bytes as text: hexadecimal (RFC 4648 §8, written in lower case) and base64 (RFC 4648 §4, with padding). The
// encoders append to a string that is reused; the decoders write exactly as many bytes as the caller has
// room for and answer false for everything else: another length, a foreign character, white space, missing
// padding, bits set behind the last byte. So each value has one text, and texts may be compared.

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace netstor {

void append_hex(std::string& out, std::span<const std::byte> bytes);
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);
// `out` takes exactly 2 * bytes.size() characters.
void write_hex(std::span<char> out, std::span<const std::byte> bytes);
// Digits of either case.
[[nodiscard]] bool decode_hex(std::string_view text, std::span<std::byte> out);

[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) { return (bytes + 2) / 3 * 4; }
void append_base64(std::string& out, std::span<const std::byte> bytes);
[[nodiscard]] std::string to_base64(std::span<const std::byte> bytes);
[[nodiscard]] bool decode_base64(std::string_view text, std::span<std::byte> out);

}  // namespace netstor
