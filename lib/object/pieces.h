// SPDX-License-Identifier: Apache-2.0
#pragma once
// Lists of pieces of the caller's memory, and what is done with a stretch of one.

#include <netstor/buffer.h>

#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace netstor::object {

using PieceList = std::vector<iovec>;

template <class Piece>
PieceList pieces_of(std::span<const Piece> list) {
  PieceList pieces;
  for (const Piece& piece : list) {
    if (!piece.empty()) pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  }
  return pieces;
}
inline PieceList pieces_of(Bytes bytes) { return pieces_of(std::span<const Bytes>(&bytes, 1)); }
inline PieceList pieces_of(MutableBytes bytes) { return pieces_of(Bytes(bytes)); }

inline std::uint64_t bytes_in(const PieceList& pieces) {
  std::uint64_t sum = 0;
  for (const iovec& piece : pieces) sum += piece.iov_len;
  return sum;
}

/// The pieces of `length` bytes from `offset` on; as many as there are.
inline PieceList slice(const PieceList& pieces, std::uint64_t offset, std::uint64_t length) {
  PieceList out;
  for (const iovec& piece : pieces) {
    if (length == 0) break;
    if (offset >= piece.iov_len) {
      offset -= piece.iov_len;
      continue;
    }
    const std::uint64_t taken = std::min<std::uint64_t>(piece.iov_len - offset, length);
    out.push_back({static_cast<std::byte*>(piece.iov_base) + offset, taken});
    length -= taken;
    offset = 0;
  }
  return out;
}

inline Bytes as_bytes(const iovec& piece) {
  return {static_cast<const std::byte*>(piece.iov_base), piece.iov_len};
}

}  // namespace netstor::object
