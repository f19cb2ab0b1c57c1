// SPDX-License-Identifier: Apache-2.0
#pragma once
// The characters of HTTP's grammar (RFC 9110, 5.6): tokens, white space, numbers, letters without case.
// Locales have no say here.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace netstor::http {

namespace detail {

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (unsigned char each = 'a'; each <= 'z'; ++each) table[each] = table[each - 'a' + 'A'] = true;
  for (unsigned char each = '0'; each <= '9'; ++each) table[each] = true;
  for (const char each : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(each)] = true;
  return table;
}
inline constexpr std::array<bool, 256> kTokenTable = make_token_table();

}  // namespace detail

constexpr bool is_token_char(char c) { return detail::kTokenTable[static_cast<unsigned char>(c)]; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// -1 for what is no hexadecimal digit.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

constexpr bool is_token(std::string_view text) {
  for (const char each : text) {
    if (!is_token_char(each)) return false;
  }
  return !text.empty();
}

/// Field names, schemes and most keywords have no case.
constexpr bool equal_without_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/// Without the spaces and tabs around it.
constexpr std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// All of `text` as a decimal number: digits only, no sign, at most `max`.
constexpr std::optional<std::uint64_t> decode_number(std::string_view text, std::uint64_t max = UINT64_MAX) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char each : text) {
    if (!is_digit(each)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(each - '0');
    if (value > (max - digit) / 10 || digit > max) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

/// Cuts the next element off a comma-separated list, trimmed; false at its end. Empty elements are passed
/// over (RFC 9110, 5.6.1.2). For lists without quoted strings.
constexpr bool next_element(std::string_view& list, std::string_view& element) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    element = trimmed(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    if (!element.empty()) return true;
  }
  return false;
}

}  // namespace netstor::http
