// SPDX-License-Identifier: Apache-2.0
#pragma once
// Byte ranges (RFC 9110, 14): the Range of a request, the Content-Range of a 206 or 416. Other units are not
// known, and by the RFC a server ignores what it does not know.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace netstor::http {

/// One range as asked for: "a-b", "a-" or "-n".
struct RangeSpec {
  std::optional<std::uint64_t> first;  ///< none: the last `last` bytes
  std::optional<std::uint64_t> last;   ///< included; none: to the end
};

/// Bytes of an object: never empty.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

/// "bytes=0-99", "bytes=-5"; nothing when it is malformed, of another unit, or has more than one range (S3
/// knows one only): the field is to be ignored then, and the whole object is the answer.
[[nodiscard]] std::optional<RangeSpec> decode_range(std::string_view value);
/// What of an object of this size is meant; nothing when the range begins behind its end: 416.
[[nodiscard]] std::optional<ByteRange> resolve(const RangeSpec& spec, std::uint64_t size);

/// A short text that owns its characters.
struct RangeText {
  std::array<char, 72> bytes{};
  unsigned size = 0;
  [[nodiscard]] std::string_view view() const { return {bytes.data(), size}; }
  operator std::string_view() const { return view(); }  // NOLINT: a text by any name
};
[[nodiscard]] RangeText encode_range(const ByteRange& range);  ///< "bytes=0-99"
/// "bytes 0-99/1000"; without a range "bytes */1000", the field of a 416.
[[nodiscard]] RangeText encode_content_range(const std::optional<ByteRange>& range, std::uint64_t size);

struct ContentRange {
  std::optional<ByteRange> range;     ///< none: "*", nothing was satisfied
  std::optional<std::uint64_t> size;  ///< of the whole; none: "*", unknown
};
/// Nothing when it is malformed or lies outside of the size that it tells.
[[nodiscard]] std::optional<ContentRange> decode_content_range(std::string_view value);

}  // namespace netstor::http
