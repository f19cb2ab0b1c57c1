// SPDX-License-Identifier: Apache-2.0
#pragma once
// How large objects are cut and scattered reads are joined. Pure arithmetic.

#include <netstor/bucket.h>

#include <cstdint>
#include <span>
#include <vector>

namespace netstor::object {

inline constexpr std::uint64_t kPartBytesLeast = std::uint64_t{5} << 20;
inline constexpr std::uint64_t kPartBytesMost = std::uint64_t{5} << 30;
inline constexpr std::uint64_t kPartsMost = 10'000;

/// The size of the parts of an upload of `size` bytes: `wished`, or more where that made too many parts.
constexpr std::uint64_t part_bytes_for(std::uint64_t size, std::uint64_t wished) noexcept {
  const std::uint64_t least = (size + kPartsMost - 1) / kPartsMost;
  constexpr std::uint64_t kGrain = std::uint64_t{1} << 20;
  return least <= wished ? wished : (least + kGrain - 1) / kGrain * kGrain;
}

/// Ranges that are asked for in one request.
struct RangeGroup {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::vector<std::uint32_t> members;  ///< indices into the ranges, by offset
};

/// Joins ranges that lie at most `gap` apart, as long as a group stays within `most` bytes and its pieces
/// within what one receive takes. Ranges that overlap go into different groups, so that every byte has one
/// place. Ranges of no length are left out.
[[nodiscard]] std::vector<RangeGroup> join_ranges(std::span<const RangeRead> ranges, std::uint64_t gap,
                                                  std::uint64_t most);

}  // namespace netstor::object
