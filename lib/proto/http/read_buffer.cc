// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/http/read_buffer.h"

#include <algorithm>
#include <cstring>

#include "lib/base/assert.h"

namespace netstor::http {

namespace {
constexpr std::size_t kRoomBehindHead = 1024;  // for framing and for a body that nobody wants
}

void ReadBuffer::grow(std::size_t size) {
  auto more = std::make_unique_for_overwrite<char[]>(size);
  if (end_ != 0) std::memcpy(more.get(), data_.get(), end_);
  data_ = std::move(more);
  size_ = size;
}

void ReadBuffer::consume(std::size_t bytes) {
  begin_ += bytes;
  NETSTOR_ASSERT(begin_ <= end_);
  if (begin_ == end_) begin_ = end_ = floor_;
}

iovec ReadBuffer::tail() {
  if (size_ == 0) grow(first_);
  if (end_ == size_ && begin_ > floor_) {
    std::memmove(data_.get() + floor_, data_.get() + begin_, end_ - begin_);
    end_ -= begin_ - floor_;
    begin_ = floor_;
  }
  // A pinned head is looked at where it is.
  if (end_ == size_ && floor_ == 0 && size_ < max_) grow(std::min(size_ * 2, max_));
  return {.iov_base = data_.get() + end_, .iov_len = size_ - end_};
}

std::string_view ReadBuffer::pin(std::size_t bytes) {
  NETSTOR_ASSERT(floor_ == 0 && bytes <= end_ - begin_);
  if (begin_ != 0) restart();
  if (size_ - bytes < kRoomBehindHead) grow(std::max(size_, bytes + kRoomBehindHead));
  floor_ = begin_ = bytes;
  return {data_.get(), bytes};
}

void ReadBuffer::restart() {
  if (begin_ != 0 && begin_ != end_) std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = floor_ = 0;
}

void ReadBuffer::shrink() {
  if (begin_ != end_ || floor_ != 0) return;
  data_.reset();
  size_ = begin_ = end_ = 0;
}

}  // namespace netstor::http
