// SPDX-License-Identifier: Apache-2.0
//
// The grammar of NVMe Qualified Names, read left to right without keeping anything.

#include "lib/wire/fabrics/nqn.h"

#include <cstdint>

namespace netstor::nvme {

namespace {

constexpr std::size_t kLabelMax = 63;  // RFC 1034, section 3.1

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The length of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none (RFC 3629,
// section 4: no overlong forms, no surrogates, nothing above 10FFFFh).
std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    low = first == 0xE0 ? 0xA0 : low;
    high = first == 0xED ? 0x9F : high;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    low = first == 0xF0 ? 0x90 : low;
    high = first == 0xF4 ? 0x8F : high;
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) {
    return 0;
  }
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) {
      return 0;
    }
  }
  return length;
}

bool printable_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<std::uint8_t>(text[0]);
    if (first < 0x20 || first == 0x7F) {
      return false;
    }
    const std::size_t length = utf8_sequence(text);
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

// "yyyy-mm." with a month that exists.
bool has_date(std::string_view text) {
  if (text.size() < 8 || text[4] != '-' || text[7] != '.') {
    return false;
  }
  for (const std::size_t i : {0u, 1u, 2u, 3u, 5u, 6u}) {
    if (!is_digit(text[i])) {
      return false;
    }
  }
  const int month = (text[5] - '0') * 10 + (text[6] - '0');
  return month >= 1 && month <= 12;
}

bool valid_label(std::string_view label) {
  if (label.empty() || label.size() > kLabelMax || label.front() == '-' || label.back() == '-') {
    return false;
  }
  for (const char c : label) {
    if (!is_letter(c) && !is_digit(c) && c != '-') {
      return false;
    }
  }
  return true;
}

bool valid_domain(std::string_view domain) {
  while (true) {
    const std::size_t dot = domain.find('.');
    if (!valid_label(domain.substr(0, dot))) {
      return false;
    }
    if (dot == std::string_view::npos) {
      return true;
    }
    domain.remove_prefix(dot + 1);
  }
}

int hex_value(char c) {
  if (is_digit(c)) {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

constexpr bool dash_at(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

bool bearable_nqn(std::string_view name) {
  return !name.empty() && name.size() <= kNqnMax && printable_utf8(name);
}

bool valid_nqn(std::string_view name) {
  if (!bearable_nqn(name)) {
    return false;
  }
  if (name == kDiscoveryNqn) {
    return true;
  }
  if (name.starts_with(kUuidNqnPrefix)) {
    return parse_uuid(name.substr(kUuidNqnPrefix.size())).has_value();
  }
  if (!name.starts_with("nqn.") || !has_date(name.substr(4))) {
    return false;
  }
  const std::string_view rest = name.substr(12);
  const std::size_t colon = rest.find(':');
  return colon != std::string_view::npos && colon + 1 < rest.size() && valid_domain(rest.substr(0, colon));
}

std::optional<std::string_view> nqn_of(const NqnField& field) {
  const std::string_view name = field.view();
  return bearable_nqn(name) ? std::optional(name) : std::nullopt;
}

NqnField uuid_nqn(std::span<const std::byte, 16> uuid) {
  static constexpr char kHex[] = "0123456789abcdef";
  NqnField field(kUuidNqnPrefix);
  std::size_t at = kUuidNqnPrefix.size();
  std::size_t printed = 0;
  for (const std::byte each : uuid) {
    if (dash_at(printed)) {
      field.chars()[at + printed++] = '-';
    }
    field.chars()[at + printed++] = kHex[std::to_integer<unsigned>(each) >> 4];
    field.chars()[at + printed++] = kHex[std::to_integer<unsigned>(each) & 0xFu];
  }
  return field;
}

std::optional<std::array<std::byte, 16>> parse_uuid(std::string_view text) {
  if (text.size() != kUuidTextBytes) {
    return std::nullopt;
  }
  std::array<std::byte, 16> uuid{};
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (dash_at(i)) {
      if (text[i] != '-') {
        return std::nullopt;
      }
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) {
      return std::nullopt;
    }
    uuid[digits / 2] |= static_cast<std::byte>(digits % 2 == 0 ? value << 4 : value);
    ++digits;
  }
  return uuid;
}

}  // namespace netstor::nvme
