// SPDX-License-Identifier: Apache-2.0
//
// The range list of Dataset Management: up to 256 entries of 16 bytes (NVM Command Set 1.0, "Dataset
// Management command"). Whether a range lies inside the namespace is the controller's question.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/bytes.h"

namespace netstor::nvme {

inline constexpr std::size_t kDsmRangeBytes = 16;
inline constexpr std::size_t kDsmRangesMax = 256;

struct DsmRange {
  std::uint32_t context_attributes = 0;
  std::uint32_t blocks = 0;  // not zero's based
  std::uint64_t slba = 0;

  friend constexpr bool operator==(const DsmRange&, const DsmRange&) = default;
};

inline void encode(const DsmRange& range, std::span<std::byte, kDsmRangeBytes> out) {
  store_le<std::uint32_t>(out.data(), range.context_attributes);
  store_le<std::uint32_t>(out.data() + 4, range.blocks);
  store_le<std::uint64_t>(out.data() + 8, range.slba);
}

[[nodiscard]] inline DsmRange decode_dsm_range(std::span<const std::byte, kDsmRangeBytes> in) {
  return {.context_attributes = load_le<std::uint32_t>(in.data()),
          .blocks = load_le<std::uint32_t>(in.data() + 4),
          .slba = load_le<std::uint64_t>(in.data() + 8)};
}

// The range at `index`; false when the list, as long as it really is, does not hold it.
[[nodiscard]] inline bool read_dsm_range(std::span<const std::byte> list, std::size_t index, DsmRange& out) {
  if (index >= kDsmRangesMax || index >= list.size() / kDsmRangeBytes) {
    return false;
  }
  out = decode_dsm_range(list.subspan(index * kDsmRangeBytes).first<kDsmRangeBytes>());
  return true;
}

}  // namespace netstor::nvme
