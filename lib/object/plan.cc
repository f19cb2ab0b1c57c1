// SPDX-License-Identifier: Apache-2.0
#include "lib/object/plan.h"

#include <algorithm>

namespace netstor::object {

namespace {
constexpr std::size_t kMembersMost = 32;  // with the gaps between them, half of a link's pieces
}

std::vector<RangeGroup> join_ranges(std::span<const RangeRead> ranges, std::uint64_t gap,
                                    std::uint64_t most) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < ranges.size(); ++i) {
    if (!ranges[i].into.empty()) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return ranges[a].offset < ranges[b].offset; });
  std::vector<RangeGroup> groups;
  for (const std::uint32_t index : order) {
    const RangeRead& range = ranges[index];
    const std::uint64_t end = range.offset + range.into.size();
    if (!groups.empty()) {
      RangeGroup& last = groups.back();
      const std::uint64_t last_end = last.offset + last.length;
      if (range.offset >= last_end && range.offset - last_end <= gap && end - last.offset <= most &&
          last.members.size() < kMembersMost) {
        last.length = end - last.offset;
        last.members.push_back(index);
        continue;
      }
    }
    groups.push_back({.offset = range.offset, .length = range.into.size(), .members = {index}});
  }
  return groups;
}

}  // namespace netstor::object
