// SPDX-License-Identifier: Apache-2.0
#pragma once
// A place in a list of iovecs, and copying from and to it.

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace netstor::sim {

class PieceCursor {
 public:
  PieceCursor() = default;
  PieceCursor(const iovec* pieces, unsigned count) noexcept : piece_(pieces), end_(pieces + count) {}

  std::uint64_t remaining() const noexcept {
    std::uint64_t bytes = 0;
    for (const iovec* piece = piece_; piece != end_; ++piece) bytes += piece->iov_len;
    return bytes - offset_;
  }
  /// Moves `count` bytes, of which remaining() has at least so many, out of the pieces.
  void take(std::byte* to, std::size_t count) noexcept {
    walk(count, [&](std::byte* at, std::size_t length) {
      std::memcpy(to, at, length);
      to += length;
    });
  }
  /// And into them.
  void give(const std::byte* from, std::size_t count) noexcept {
    walk(count, [&](std::byte* at, std::size_t length) {
      std::memcpy(at, from, length);
      from += length;
    });
  }

 private:
  template <class F>
  void walk(std::size_t count, F move) noexcept {
    while (count > 0) {
      const std::size_t length = std::min(count, piece_->iov_len - offset_);
      if (length > 0) move(static_cast<std::byte*>(piece_->iov_base) + offset_, length);
      count -= length;
      offset_ += length;
      if (offset_ == piece_->iov_len) {
        ++piece_;
        offset_ = 0;
      }
    }
  }
  const iovec* piece_ = nullptr;
  const iovec* end_ = nullptr;
  std::size_t offset_ = 0;
};

}  // namespace netstor::sim
