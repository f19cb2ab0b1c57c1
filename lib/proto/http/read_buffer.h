// SPDX-License-Identifier: Apache-2.0
#pragma once
// The memory of a connection that heads and small bodies are received into: a pinned head in front, whose
// fields are looked at, and behind it what was received and not consumed yet. It grows for long heads, up to
// a limit, and gives that back with shrink().

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <string_view>

namespace netstor::http {

class ReadBuffer {
 public:
  ReadBuffer(std::size_t first, std::size_t max) : first_(first), max_(max) {}

  /// What is there and not consumed.
  [[nodiscard]] std::string_view text() const { return {data_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes);

  /// Room behind the text, made if there is none; no bytes when the buffer is as large as it may be and full.
  [[nodiscard]] iovec tail();
  /// So many bytes were received into tail().
  void added(std::size_t bytes) { end_ += bytes; }
  /// The last bytes of the text are forgotten.
  void drop_last(std::size_t bytes) { end_ -= bytes; }

  /// The first bytes of the text are a head: consumed, but they stay where they are until restart(), with
  /// some room left behind them. Answers them.
  [[nodiscard]] std::string_view pin(std::size_t bytes);
  /// Nothing is pinned any more.
  void restart();
  /// Empty and idle: back to the size it began with, or to nothing.
  void shrink();

 private:
  void grow(std::size_t size);
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t floor_ = 0;  // the pinned head ends here
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t first_;
  std::size_t max_;
};

}  // namespace netstor::http
