// SPDX-License-Identifier: Apache-2.0
//
// How a large structure is turned into bytes and back from one table. A structure names each field
// once, with its byte offset, in a template `fields(self, visit)`; FieldWriter and FieldReader are the
// two visitors, so that an encoder and its decoder cannot disagree. Also the fixed text fields of NVMe.
// For the structures of the admin queue; what is on the path of an I/O is written out by hand.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "lib/base/bytes.h"

namespace netstor::nvme {

// Text of at most N bytes, filled up with Pad: spaces for serial and model numbers, zeros for names.
template <std::size_t N, char Pad>
class TextField {
 public:
  static constexpr std::size_t kSize = N;

  constexpr TextField() { chars_.fill(Pad); }
  // What does not fit is cut off; ask fits() before, where that matters.
  constexpr explicit TextField(std::string_view text) : TextField() {
    std::copy_n(text.begin(), std::min(text.size(), N), chars_.begin());
  }

  [[nodiscard]] static constexpr bool fits(std::string_view text) { return text.size() <= N; }

  // Without the padding: up to the first zero, and without trailing spaces where those pad.
  [[nodiscard]] constexpr std::string_view view() const {
    std::string_view text(chars_.data(), N);
    text = text.substr(0, text.find('\0'));
    if constexpr (Pad == ' ') {
      const std::size_t last = text.find_last_not_of(' ');
      text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
    }
    return text;
  }

  // A name that fills its field to the brim lacks the zero that the specifications ask for.
  [[nodiscard]] constexpr bool terminated() const { return view().size() < N; }

  [[nodiscard]] constexpr std::array<char, N>& chars() { return chars_; }
  [[nodiscard]] constexpr const std::array<char, N>& chars() const { return chars_; }

  friend constexpr bool operator==(const TextField&, const TextField&) = default;

 private:
  std::array<char, N> chars_;
};

template <std::size_t N>
using SpacePadded = TextField<N, ' '>;
template <std::size_t N>
using ZeroPadded = TextField<N, '\0'>;

using NqnField = ZeroPadded<256>;

namespace detail {

template <typename T>
concept HasFields = requires {
  T::kWireBytes;
};

class FieldWriter {
 public:
  explicit FieldWriter(std::byte* at) : at_(at) {}

  template <typename T>
  void operator()(std::size_t offset, const T& value) const {
    if constexpr (std::is_enum_v<T>) {
      using Raw = std::underlying_type_t<T>;
      store_le<Raw>(at_ + offset, static_cast<Raw>(value));
    } else if constexpr (std::is_integral_v<T>) {
      store_le<T>(at_ + offset, value);
    } else if constexpr (HasFields<T>) {
      fields(value, FieldWriter(at_ + offset));
    } else if constexpr (requires { value.chars(); }) {
      std::memcpy(at_ + offset, value.chars().data(), value.chars().size());
    } else if constexpr (std::is_same_v<typename T::value_type, std::byte>) {
      std::memcpy(at_ + offset, value.data(), value.size());
    } else {
      for (const auto& each : value) {
        (*this)(offset, each);
        offset += wire_size<typename T::value_type>();
      }
    }
  }

  template <typename T>
  static constexpr std::size_t wire_size() {
    if constexpr (HasFields<T>) {
      return T::kWireBytes;
    } else {
      return sizeof(T);
    }
  }

 private:
  std::byte* at_;
};

class FieldReader {
 public:
  explicit FieldReader(const std::byte* at) : at_(at) {}

  template <typename T>
  void operator()(std::size_t offset, T& value) const {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(load_le<std::underlying_type_t<T>>(at_ + offset));
    } else if constexpr (std::is_integral_v<T>) {
      value = load_le<T>(at_ + offset);
    } else if constexpr (HasFields<T>) {
      fields(value, FieldReader(at_ + offset));
    } else if constexpr (requires { value.chars(); }) {
      std::memcpy(value.chars().data(), at_ + offset, value.chars().size());
    } else if constexpr (std::is_same_v<typename T::value_type, std::byte>) {
      std::memcpy(value.data(), at_ + offset, value.size());
    } else {
      for (auto& each : value) {
        (*this)(offset, each);
        offset += FieldWriter::wire_size<typename T::value_type>();
      }
    }
  }

 private:
  const std::byte* at_;
};

template <typename T, std::size_t N>
void encode_fields(const T& value, std::span<std::byte, N> out) {
  std::memset(out.data(), 0, N);
  fields(value, FieldWriter(out.data()));
}

template <typename T, std::size_t N>
[[nodiscard]] T decode_fields(std::span<const std::byte, N> in) {
  T value{};
  fields(value, FieldReader(in.data()));
  return value;
}

}  // namespace detail

}  // namespace netstor::nvme
