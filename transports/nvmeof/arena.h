// SPDX-License-Identifier: Apache-2.0
#pragma once
// Registered memory that payload passes through when a card cannot reach where it lies: runs of pages, first
// fit. Whoever finds no room waits for somebody else's end.

#include <netstor/buffer.h>

#include <cstdint>
#include <vector>

namespace netstor::nvmeof {

class Arena {
 public:
  static constexpr std::size_t kPage = 4096;

  explicit Arena(MutableBytes memory) : memory_(memory), taken_(memory.size() / kPage, false) {}

  /// Empty when there is no such run now.
  MutableBytes take(std::size_t bytes) {
    const std::size_t pages = (bytes + kPage - 1) / kPage;
    for (std::size_t from = 0; from + pages <= taken_.size();) {
      std::size_t free = 0;
      while (free < pages && !taken_[from + free]) ++free;
      if (free == pages) {
        for (std::size_t i = 0; i < pages; ++i) taken_[from + i] = true;
        return memory_.subspan(from * kPage, bytes);
      }
      from += free + 1;
    }
    return {};
  }

  void give_back(MutableBytes run) {
    const auto from = static_cast<std::size_t>(run.data() - memory_.data()) / kPage;
    for (std::size_t i = 0; i < (run.size() + kPage - 1) / kPage; ++i) taken_[from + i] = false;
  }

 private:
  MutableBytes memory_;
  std::vector<bool> taken_;
};

}  // namespace netstor::nvmeof
