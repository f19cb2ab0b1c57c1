// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/http/pieces.h"

#include <algorithm>
#include <cstring>

#include "lib/base/assert.h"

namespace netstor::http {

Pieces::Pieces(const iovec* list, unsigned count) : piece_(list) {
  for (unsigned i = 0; i < count; ++i) left_ += list[i].iov_len;
}

unsigned Pieces::next(iovec* out, unsigned max, std::uint64_t limit, std::uint64_t& bytes) const {
  std::uint64_t left = std::min(left_, limit);
  unsigned count = 0;
  std::size_t used = used_;
  for (const iovec* piece = piece_; left != 0 && count < max; ++piece, used = 0) {
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(piece->iov_len - used, left));
    if (take == 0) continue;
    out[count++] = {.iov_base = static_cast<std::byte*>(piece->iov_base) + used, .iov_len = take};
    left -= take;
    bytes += take;
  }
  return count;
}

void Pieces::skip(std::uint64_t bytes) {
  NETSTOR_ASSERT(bytes <= left_);
  left_ -= bytes;
  while (bytes != 0) {
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(piece_->iov_len - used_, bytes));
    bytes -= take;
    used_ += take;
    if (used_ == piece_->iov_len && left_ + bytes != 0) {
      ++piece_;
      used_ = 0;
    }
  }
}

void Pieces::fill(std::string_view bytes) {
  while (!bytes.empty()) {
    iovec piece{};
    std::uint64_t size = 0;
    const unsigned count = next(&piece, 1, bytes.size(), size);
    NETSTOR_ASSERT(count == 1);
    std::memcpy(piece.iov_base, bytes.data(), static_cast<std::size_t>(size));
    bytes.remove_prefix(static_cast<std::size_t>(size));
    skip(size);
  }
}

}  // namespace netstor::http
