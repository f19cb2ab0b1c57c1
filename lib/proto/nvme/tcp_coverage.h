// SPDX-License-Identifier: Apache-2.0
//
// Which bytes of one command's data have been asked for or delivered, so that none is twice and none is
// missing, whatever the order. In order (what every controller does in practice) it is one comparison.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace netstor::nvme::tcp {

class Coverage {
 public:
  enum class Added : std::uint8_t { fine, overlap, scattered };

  void clear() {
    front_ = 0;
    count_ = 0;
    total_ = 0;
  }
  [[nodiscard]] std::uint32_t bytes() const { return total_; }

  // [begin, begin + length), which does not wrap. `scattered`: more islands than fit.
  Added add(std::uint32_t begin, std::uint32_t length) {
    if (begin == front_ && count_ == 0) {
      front_ += length;
      total_ += length;
      return Added::fine;
    }
    return add_out_of_order(begin, length);
  }

 private:
  struct Island {
    std::uint32_t begin;
    std::uint32_t end;
  };

  Added add_out_of_order(std::uint32_t begin, std::uint32_t length) {
    const std::uint32_t end = begin + length;
    if (begin < front_) return Added::overlap;
    Island* const first = islands_.data();
    Island* const last = first + count_;
    Island* const after = std::find_if(first, last, [begin](const Island& i) { return i.end > begin; });
    if (after != last && after->begin < end) return Added::overlap;
    const bool joins_left = after != first && (after - 1)->end == begin;
    const bool joins_right = after != last && after->begin == end;
    if (joins_left && joins_right) {
      (after - 1)->end = after->end;
      std::copy(after + 1, last, after);
      --count_;
    } else if (joins_left) {
      (after - 1)->end = end;
    } else if (joins_right) {
      after->begin = begin;
    } else {
      if (count_ == islands_.size()) return Added::scattered;
      std::copy_backward(after, last, last + 1);
      *after = {.begin = begin, .end = end};
      ++count_;
    }
    if (islands_[0].begin == front_) {
      front_ = islands_[0].end;
      std::copy(first + 1, first + count_, first);
      --count_;
    }
    total_ += length;
    return Added::fine;
  }

  std::uint32_t front_ = 0;  // everything before it is covered
  std::uint32_t count_ = 0;
  std::uint32_t total_ = 0;
  std::array<Island, 8> islands_{};  // sorted, apart from each other and from front_
};

}  // namespace netstor::nvme::tcp
