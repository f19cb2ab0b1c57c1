// SPDX-License-Identifier: Apache-2.0
//
// Bytes as the wire has them: little-endian loads and stores that compile to plain moves, and two
// bounded cursors for code that is not on the hot path. A cursor that runs past its end does not
// touch memory: it turns itself off, reads zero from then on, and says so in ok(). Nothing here
// knows a format; formats live in lib/wire.

#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace netstor {

namespace detail {

template <std::unsigned_integral T>
constexpr T reversed_bytes(T value) {
  if constexpr (sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(value));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(value));
  } else {
    static_assert(sizeof(T) == 8);
    return static_cast<T>(__builtin_bswap64(value));
  }
}

}  // namespace detail

// The caller vouches for sizeof(T) readable bytes at `at`; no alignment is asked for.
template <std::unsigned_integral T>
[[nodiscard]] inline T load_le(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  if constexpr (std::endian::native == std::endian::big) {
    value = detail::reversed_bytes(value);
  }
  return value;
}

// The type is named at the call (`store_le<std::uint16_t>(at, v)`) so that a width is never deduced.
template <std::unsigned_integral T>
inline void store_le(std::byte* at, std::type_identity_t<T> value) {
  if constexpr (std::endian::native == std::endian::big) {
    value = detail::reversed_bytes(value);
  }
  std::memcpy(at, &value, sizeof(T));
}

template <std::unsigned_integral T>
[[nodiscard]] inline T load_be(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  if constexpr (std::endian::native == std::endian::little) {
    value = detail::reversed_bytes(value);
  }
  return value;
}

template <std::unsigned_integral T>
inline void store_be(std::byte* at, std::type_identity_t<T> value) {
  if constexpr (std::endian::native == std::endian::little) {
    value = detail::reversed_bytes(value);
  }
  std::memcpy(at, &value, sizeof(T));
}

[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

// Reads forward through bytes that somebody else owns and keeps alive.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return ok_ ? bytes_.size() - position_ : 0; }

  template <std::unsigned_integral T>
  [[nodiscard]] T le() {
    const std::byte* at = advance(sizeof(T));
    return at != nullptr ? load_le<T>(at) : T{0};
  }

  template <std::unsigned_integral T>
  [[nodiscard]] T be() {
    const std::byte* at = advance(sizeof(T));
    return at != nullptr ? load_be<T>(at) : T{0};
  }

  // Empty when fewer than `count` bytes remain (ok() tells that from an asked-for zero).
  [[nodiscard]] std::span<const std::byte> take(std::size_t count) {
    const std::size_t start = position_;
    if (advance(count) == nullptr) {
      return {};
    }
    return bytes_.subspan(start, count);
  }

  bool copy_to(std::span<std::byte> out) {
    const std::byte* at = advance(out.size());
    if (at == nullptr) {
      return false;
    }
    if (!out.empty()) {
      std::memcpy(out.data(), at, out.size());
    }
    return true;
  }

  bool skip(std::size_t count) { return advance(count) != nullptr; }

 private:
  const std::byte* advance(std::size_t count) {
    static constexpr std::byte kNowhere{};
    if (!ok_ || count > bytes_.size() - position_) {
      ok_ = false;
      return nullptr;
    }
    const std::byte* at = bytes_.empty() ? &kNowhere : bytes_.data() + position_;
    position_ += count;
    return at;
  }

  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

// Writes forward into memory that somebody else owns. What did not fit was not written at all.
class ByteWriter {
 public:
  explicit ByteWriter(std::span<std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return ok_ ? bytes_.size() - position_ : 0; }
  [[nodiscard]] std::span<const std::byte> written() const { return bytes_.first(position_); }

  template <std::unsigned_integral T>
  void le(std::type_identity_t<T> value) {
    if (std::byte* at = advance(sizeof(T)); at != nullptr) {
      store_le<T>(at, value);
    }
  }

  template <std::unsigned_integral T>
  void be(std::type_identity_t<T> value) {
    if (std::byte* at = advance(sizeof(T)); at != nullptr) {
      store_be<T>(at, value);
    }
  }

  void put(std::span<const std::byte> data) {
    if (std::byte* at = advance(data.size()); at != nullptr && !data.empty()) {
      std::memcpy(at, data.data(), data.size());
    }
  }

  void put(std::string_view text) { put(as_bytes(text)); }

  void zeros(std::size_t count) {
    if (std::byte* at = advance(count); at != nullptr && count != 0) {
      std::memset(at, 0, count);
    }
  }

 private:
  std::byte* advance(std::size_t count) {
    if (!ok_ || count > bytes_.size() - position_) {
      ok_ = false;
      return nullptr;
    }
    std::byte* at = bytes_.data() + position_;
    position_ += count;
    return at;
  }

  std::span<std::byte> bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace netstor
