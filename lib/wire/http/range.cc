// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/http/range.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "lib/base/assert.h"
#include "lib/wire/http/text.h"

namespace netstor::http {

namespace {

// So that no end of a range overflows.
constexpr std::uint64_t kOffsetMax = INT64_MAX;

void put(RangeText& out, std::string_view text) {
  std::memcpy(out.bytes.data() + out.size, text.data(), text.size());
  out.size += static_cast<unsigned>(text.size());
}

void put(RangeText& out, std::uint64_t number) {
  char* const at = out.bytes.data() + out.size;
  out.size += static_cast<unsigned>(std::to_chars(at, out.bytes.data() + out.bytes.size(), number).ptr - at);
}

bool take_unit(std::string_view& value, char behind) {
  if (value.size() < 6 || !equal_without_case(value.substr(0, 5), "bytes") || value[5] != behind)
    return false;
  value.remove_prefix(6);
  return true;
}

}  // namespace

std::optional<RangeSpec> decode_range(std::string_view value) {
  value = trimmed(value);
  if (!take_unit(value, '=')) return std::nullopt;
  value = trimmed(value);
  const std::size_t dash = value.find('-');
  if (dash == std::string_view::npos || value.find(',') != std::string_view::npos) return std::nullopt;
  const std::string_view first = value.substr(0, dash);
  const std::string_view last = value.substr(dash + 1);
  RangeSpec out;
  if (!first.empty() && !(out.first = decode_number(first, kOffsetMax))) return std::nullopt;
  if (!last.empty() && !(out.last = decode_number(last, kOffsetMax))) return std::nullopt;
  if (!out.first && !out.last) return std::nullopt;
  if (out.first && out.last && *out.first > *out.last) return std::nullopt;
  return out;
}

std::optional<ByteRange> resolve(const RangeSpec& spec, std::uint64_t size) {
  if (!spec.first) {
    const std::uint64_t length = std::min(spec.last.value_or(0), size);
    if (length == 0) return std::nullopt;
    return ByteRange{size - length, length};
  }
  if (*spec.first >= size) return std::nullopt;
  const std::uint64_t last = std::min(spec.last.value_or(size - 1), size - 1);
  return ByteRange{*spec.first, last - *spec.first + 1};
}

RangeText encode_range(const ByteRange& range) {
  NETSTOR_ASSERT(range.length != 0);
  RangeText out;
  put(out, "bytes=");
  put(out, range.offset);
  put(out, "-");
  put(out, range.offset + range.length - 1);
  return out;
}

RangeText encode_content_range(const std::optional<ByteRange>& range, std::uint64_t size) {
  RangeText out;
  put(out, "bytes ");
  if (range) {
    NETSTOR_ASSERT(range->length != 0);
    put(out, range->offset);
    put(out, "-");
    put(out, range->offset + range->length - 1);
  } else {
    put(out, "*");
  }
  put(out, "/");
  put(out, size);
  return out;
}

std::optional<ContentRange> decode_content_range(std::string_view value) {
  value = trimmed(value);
  if (!take_unit(value, ' ')) return std::nullopt;
  const std::size_t slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view size = value.substr(slash + 1);
  const std::string_view range = value.substr(0, slash);
  ContentRange out;
  if (size != "*" && !(out.size = decode_number(size, kOffsetMax))) return std::nullopt;
  if (range == "*") {
    if (!out.size) return std::nullopt;
    return out;
  }
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = decode_number(range.substr(0, dash), kOffsetMax);
  const auto last = decode_number(range.substr(dash + 1), kOffsetMax - 1);
  if (!first || !last || *first > *last || (out.size && *last >= *out.size)) return std::nullopt;
  out.range = ByteRange{*first, *last - *first + 1};
  return out;
}

}  // namespace netstor::http
