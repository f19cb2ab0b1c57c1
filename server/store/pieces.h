// SPDX-License-Identifier: Apache-2.0
#pragma once
// Walking through scatter lists, and the checks that every store makes before it begins.

#include "server/store/block_store.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

namespace netstor::store {

inline std::uint64_t total_bytes(const iovec* pieces, unsigned count) noexcept {
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < count; ++i) sum += pieces[i].iov_len;
  return sum;
}

/// Goes through the bytes of a list in order, at most so many at a time.
class PieceCursor {
 public:
  PieceCursor(const iovec* pieces, unsigned count) noexcept : piece_(pieces), end_(pieces + count) {}

  /// At least one byte and at most `max`; empty at the end of the list.
  std::span<std::byte> next(std::size_t max) noexcept {
    while (piece_ != end_ && used_ == piece_->iov_len) {
      ++piece_;
      used_ = 0;
    }
    if (piece_ == end_) return {};
    const std::size_t length = std::min(max, piece_->iov_len - used_);
    const std::span<std::byte> bytes(static_cast<std::byte*>(piece_->iov_base) + used_, length);
    used_ += length;
    return bytes;
  }

  /// Compares the next bytes of the list; false too when the list is too short.
  bool equals(const std::byte* other, std::size_t length) noexcept;
  void copy_from(const std::byte* from, std::size_t length) noexcept;
  void copy_to(std::byte* to, std::size_t length) noexcept;

 private:
  const iovec* piece_;
  const iovec* end_;
  std::size_t used_ = 0;
};

/// What is wrong with the operation itself; nothing when it may begin.
std::optional<OpResult> refusal(const StoreOp& op, const StoreLimits& limits) noexcept;

}  // namespace netstor::store
