// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the blocks of a simulated volume hold: every write has a version of its own, and a block's bytes say
// of which version and of which block they are, all of them, so that nothing wrong passes for right.

#include <netstor/buffer.h>

#include "lib/base/random.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace netstor::sim {

using Version = std::uint64_t;
inline constexpr Version kZeroes = 0;             ///< never written, or written as zeroes
inline constexpr Version kGarbage = ~Version{0};  ///< no version of this block
inline constexpr std::size_t kPatternBytes = 512;

inline void fill_block(MutableBytes block, std::uint64_t index, Version version) noexcept {
  for (std::size_t at = 0; at < block.size(); at += 8) {
    const std::uint64_t word = version == kZeroes ? 0
                               : at == 0          ? version
                                         : scatter_bits(version * 0x9e3779b97f4a7c15U + index * 64 + at);
    std::memcpy(&block[at], &word, 8);
  }
}

/// The version that `block` holds whole; kGarbage when it is torn, misplaced or something else.
inline Version identify_block(Bytes block, std::uint64_t index) noexcept {
  Version version = 0;
  std::memcpy(&version, block.data(), 8);
  if (version == kGarbage) return kGarbage;
  std::byte expected[kPatternBytes];
  fill_block(expected, index, version);
  return std::equal(block.begin(), block.end(), expected) ? version : kGarbage;
}

}  // namespace netstor::sim
