// SPDX-License-Identifier: Apache-2.0
#include "lib/base/encoding.h"

#include <array>
#include <cstdint>

#include "lib/base/assert.h"

namespace netstor {

namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The value of each character; what is no digit has a bit that no digit has.
constexpr std::uint32_t kNoDigit = 0x100;

constexpr std::array<std::uint16_t, 256> hex_values() {
  std::array<std::uint16_t, 256> values{};
  values.fill(kNoDigit);
  for (std::uint16_t i = 0; i < 16; ++i) {
    values[static_cast<unsigned char>(kHexDigits[i])] = i;
    if (i >= 10) values[static_cast<unsigned char>(kHexDigits[i] - 'a' + 'A')] = i;
  }
  return values;
}

constexpr std::array<std::uint16_t, 256> base64_values() {
  std::array<std::uint16_t, 256> values{};
  values.fill(kNoDigit);
  for (std::uint16_t i = 0; i < 64; ++i) {
    values[static_cast<unsigned char>(kBase64Digits[i])] = i;
  }
  return values;
}

constexpr auto kHexValues = hex_values();
constexpr auto kBase64Values = base64_values();

std::uint32_t hex_value(char digit) { return kHexValues[static_cast<unsigned char>(digit)]; }
std::uint32_t base64_value(char digit) { return kBase64Values[static_cast<unsigned char>(digit)]; }
char base64_digit(std::uint32_t value) { return kBase64Digits[value & 63u]; }

}  // namespace

void write_hex(std::span<char> out, std::span<const std::byte> bytes) {
  NETSTOR_ASSERT(out.size() == 2 * bytes.size());
  char* at = out.data();
  for (const std::byte byte : bytes) {
    *at++ = kHexDigits[std::to_integer<unsigned>(byte) >> 4];
    *at++ = kHexDigits[std::to_integer<unsigned>(byte) & 15u];
  }
}

void append_hex(std::string& out, std::span<const std::byte> bytes) {
  const std::size_t start = out.size();
  out.resize(start + 2 * bytes.size());
  write_hex(std::span(out).subspan(start), bytes);
}

std::string to_hex(std::span<const std::byte> bytes) {
  std::string text;
  append_hex(text, bytes);
  return text;
}

bool decode_hex(std::string_view text, std::span<std::byte> out) {
  if (text.size() != 2 * out.size()) return false;
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint32_t high = hex_value(text[2 * i]);
    const std::uint32_t low = hex_value(text[2 * i + 1]);
    seen |= high | low;
    out[i] = static_cast<std::byte>((high << 4 | low) & 0xFFu);
  }
  return (seen & kNoDigit) == 0;
}

void append_base64(std::string& out, std::span<const std::byte> bytes) {
  const auto byte = [&](std::size_t at) { return std::to_integer<std::uint32_t>(bytes[at]); };
  const std::size_t start = out.size();
  out.resize(start + base64_size(bytes.size()));
  char* to = out.data() + start;
  std::size_t at = 0;
  for (; bytes.size() - at >= 3; at += 3) {
    const std::uint32_t group = byte(at) << 16 | byte(at + 1) << 8 | byte(at + 2);
    *to++ = base64_digit(group >> 18);
    *to++ = base64_digit(group >> 12);
    *to++ = base64_digit(group >> 6);
    *to++ = base64_digit(group);
  }
  if (bytes.size() - at == 2) {
    const std::uint32_t group = byte(at) << 16 | byte(at + 1) << 8;
    *to++ = base64_digit(group >> 18);
    *to++ = base64_digit(group >> 12);
    *to++ = base64_digit(group >> 6);
    *to = '=';
  } else if (bytes.size() - at == 1) {
    const std::uint32_t group = byte(at) << 16;
    *to++ = base64_digit(group >> 18);
    *to++ = base64_digit(group >> 12);
    *to++ = '=';
    *to = '=';
  }
}

std::string to_base64(std::span<const std::byte> bytes) {
  std::string text;
  append_base64(text, bytes);
  return text;
}

bool decode_base64(std::string_view text, std::span<std::byte> out) {
  if (text.size() != base64_size(out.size())) return false;
  const std::size_t whole = out.size() / 3;
  const std::size_t rest = out.size() % 3;
  std::uint32_t seen = 0;
  const auto group_at = [&](std::size_t at, std::size_t digits) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const std::uint32_t value = base64_value(text[at + i]);
      seen |= value;
      group |= (value & 63u) << (18 - 6 * i);
    }
    return group;
  };
  for (std::size_t i = 0; i < whole; ++i) {
    const std::uint32_t group = group_at(4 * i, 4);
    out[3 * i] = static_cast<std::byte>(group >> 16);
    out[3 * i + 1] = static_cast<std::byte>(group >> 8 & 0xFFu);
    out[3 * i + 2] = static_cast<std::byte>(group & 0xFFu);
  }
  if (rest != 0) {
    const std::uint32_t group = group_at(4 * whole, rest + 1);
    out[3 * whole] = static_cast<std::byte>(group >> 16);
    if (rest == 2) out[3 * whole + 1] = static_cast<std::byte>(group >> 8 & 0xFFu);
    const std::uint32_t behind = rest == 2 ? 0xFFu : 0xFFFFu;
    if ((group & behind) != 0 || !text.ends_with(rest == 2 ? "=" : "==")) return false;
  }
  return (seen & kNoDigit) == 0;
}

}  // namespace netstor
