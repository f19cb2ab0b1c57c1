// SPDX-License-Identifier: Apache-2.0
//
// Hex dumps for the tests of lib/wire: text to bytes, bytes to text, and a structure's layout told as
// widths in order, so that offsets are added up here and not copied from the code under test.

#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace netstor::test {

// Pairs of digits; everything else is layout. "..N" is N zero bytes.
inline std::vector<std::byte> hex(std::string_view text) {
  std::vector<std::byte> bytes;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::size_t i = 0;
  while (i < text.size()) {
    if (text.substr(i, 2) == "..") {
      std::size_t count = 0;
      for (i += 2; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
        count = count * 10 + static_cast<std::size_t>(text[i] - '0');
      }
      bytes.insert(bytes.end(), count, std::byte{0});
    } else if (digit(text[i]) >= 0) {
      bytes.push_back(static_cast<std::byte>(digit(text[i]) * 16 + digit(text[i + 1])));
      i += 2;
    } else {
      ++i;
    }
  }
  return bytes;
}

inline std::string dump(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto value = std::to_integer<unsigned>(bytes[i]);
    text += kDigits[value >> 4];
    text += kDigits[value & 15u];
    text += i % 16 == 15 ? '\n' : ' ';
  }
  return text;
}

template <std::size_t N>
std::array<std::byte, N> block(std::span<const std::byte> bytes) {
  EXPECT_EQ(bytes.size(), N);
  std::array<std::byte, N> out{};
  std::memcpy(out.data(), bytes.data(), std::min(N, bytes.size()));
  return out;
}

template <std::size_t N>
std::span<const std::byte, N> view(const std::array<std::byte, N>& bytes) {
  return std::span<const std::byte, N>(bytes);
}

template <typename T>
std::array<std::byte, T::kWireBytes> encoded(const T& value) {
  std::array<std::byte, T::kWireBytes> out;
  out.fill(std::byte{0xEE});  // an encoder owns every byte, the reserved ones too
  encode(value, std::span<std::byte, T::kWireBytes>(out));
  return out;
}

// The first eight bytes of a field as they would lie in memory.
template <typename Field>
std::uint64_t leading(const Field& field) {
  std::uint64_t raw = 0;
  if constexpr (std::is_enum_v<Field> || std::is_integral_v<Field>) {
    raw = static_cast<std::uint64_t>(field);
  } else if constexpr (requires { field.chars(); }) {
    std::memcpy(&raw, field.chars().data(), std::min<std::size_t>(8, field.chars().size()));
  } else if constexpr (requires { field.low; }) {
    raw = field.low;
  } else if constexpr (requires { field.size(); } && sizeof(typename Field::value_type) <= 8) {
    std::memcpy(&raw, field.data(), std::min<std::size_t>(8, sizeof(field)));
  }
  return raw;
}

template <typename T>
struct Row {
  const char* name;
  std::size_t width;
  std::uint64_t (*get)(const T&);  // null for reserved bytes
};

#define NETSTOR_ROW(Type, field, width)                                   \
  Row<Type> {                                                             \
#field, width, [](const Type& value) { return leading(value.field); } \
  }

// Walks the rows: each alone is filled with a pattern, and must turn up in its field, in no other, and in
// the same bytes when it is encoded again.
template <typename T, std::size_t N, typename Decode>
void expect_layout(const std::vector<Row<T>>& rows, Decode decode) {
  std::size_t offset = 0;
  for (const Row<T>& row : rows) {
    if (row.get != nullptr) {
      std::array<std::byte, N> bytes{};
      for (std::size_t i = 0; i < row.width; ++i) {
        bytes[offset + i] = static_cast<std::byte>(i + 1);
      }
      const T value = decode(std::span<const std::byte, N>(bytes));
      std::uint64_t expected = 0;
      std::memcpy(&expected, bytes.data() + offset, std::min<std::size_t>(8, row.width));
      for (const Row<T>& other : rows) {
        if (other.get != nullptr) {
          EXPECT_EQ(other.get(value), &other == &row ? expected : 0u)
              << row.name << " seen in " << other.name;
        }
      }
      EXPECT_EQ(encoded(value), bytes) << row.name;
    }
    offset += row.width;
  }
  EXPECT_EQ(offset, N);
}

}  // namespace netstor::test
