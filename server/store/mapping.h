// SPDX-License-Identifier: Apache-2.0
#pragma once
// Anonymous memory by the page: mapped whole, backed only where it is written.

#include <netstor/result.h>

#include <cstddef>
#include <utility>

namespace netstor::store {

class Mapping {
 public:
  /// Zeroes. Takes no memory until it is written; read-only ones never do. Errors: exhausted.
  static Result<Mapping> make(std::size_t size_bytes, bool writable);
  Mapping(Mapping&& other) noexcept
      : begin_(std::exchange(other.begin_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mapping();

  std::byte* data() const noexcept { return begin_; }
  std::size_t size() const noexcept { return size_; }
  /// Makes [offset, offset + length) zeroes; whole pages are given back to the system.
  void clear(std::size_t offset, std::size_t length) noexcept;

 private:
  Mapping(std::byte* begin, std::size_t size) noexcept : begin_(begin), size_(size) {}
  std::byte* begin_;
  std::size_t size_;
};

}  // namespace netstor::store
