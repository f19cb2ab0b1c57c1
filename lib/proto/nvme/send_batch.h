// SPDX-License-Identifier: Apache-2.0
//
// What one send operation of an NVMe/TCP connection carries: many PDUs as one list of pieces. Headers are
// written into a scratch of the batch, one behind the other, so that any number of PDUs without data is a
// single piece; payload is borrowed from whoever owns it and is never copied. A batch knows nothing of
// PDUs: whoever has something to send encodes it here, at the last moment, and while the batch is in
// flight new work gathers for the next one.

#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace netstor::nvme::tcp {

class SendBatch {
 public:
  static constexpr unsigned kPiecesMax = 128;
  static constexpr std::size_t kHeaderBytes = 32 * 1024;
  static constexpr std::uint32_t kPrefixMax = 160;  // the longest header() of one PDU, with its padding
  static constexpr std::uint32_t kTrailerMax = 4;   // and its data digest
  // A batch is not filled further past this: what is asked for meanwhile should not wait behind megabytes.
  static constexpr std::uint64_t kFullBytes = 512 * 1024;

  // The scratch needs no values.
  SendBatch() {}  // NOLINT(modernize-use-equals-default): would be zeroed by SendBatch{}
  SendBatch(const SendBatch&) = delete;
  SendBatch& operator=(const SendBatch&) = delete;

  void clear() {
    piece_count_ = 0;
    header_used_ = 0;
    bytes_ = 0;
  }

  [[nodiscard]] bool empty() const { return piece_count_ == 0; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] const iovec* pieces() const { return pieces_.data(); }
  [[nodiscard]] unsigned piece_count() const { return piece_count_; }

  // True while one more PDU may begin: its header, at least one piece of payload, its digest.
  [[nodiscard]] bool room() const {
    return header_used_ + kPrefixMax + kTrailerMax <= kHeaderBytes && piece_count_ + 3 <= kPiecesMax &&
           bytes_ < kFullBytes;
  }

  // Room for a header of unknown length up to kPrefixMax; appended is what is then given to commit().
  // Only while room().
  [[nodiscard]] std::byte* header() { return headers_.data() + header_used_; }
  void commit(std::size_t size) {
    std::byte* const at = headers_.data() + header_used_;
    header_used_ += size;
    bytes_ += size;
    if (piece_count_ != 0) {
      iovec& last = pieces_[piece_count_ - 1];
      if (static_cast<std::byte*>(last.iov_base) + last.iov_len == at) {
        last.iov_len += size;
        return;
      }
    }
    pieces_[piece_count_++] = {.iov_base = at, .iov_len = size};
  }
  // The same for a size that is known before: where to write it.
  [[nodiscard]] std::byte* header(std::size_t size) {
    std::byte* const at = header();
    commit(size);
    return at;
  }

  // Appends `length` bytes of a scatter list from `offset` on; answers how many of them found a place
  // (fewer when the pieces run out: go on with the rest in the next batch). Keeps one piece for a digest.
  std::uint64_t payload(const iovec* pieces, unsigned count, std::uint64_t offset, std::uint64_t length) {
    std::uint64_t left = length;
    for (; count != 0 && left != 0 && piece_count_ + 1 < kPiecesMax; ++pieces, --count) {
      if (offset >= pieces->iov_len) {
        offset -= pieces->iov_len;
        continue;
      }
      const std::uint64_t take = std::min<std::uint64_t>(pieces->iov_len - offset, left);
      pieces_[piece_count_++] = {.iov_base = static_cast<std::byte*>(pieces->iov_base) + offset,
                                 .iov_len = static_cast<std::size_t>(take)};
      left -= take;
      offset = 0;
    }
    bytes_ += length - left;
    return length - left;
  }

 private:
  unsigned piece_count_ = 0;
  std::size_t header_used_ = 0;
  std::uint64_t bytes_ = 0;
  std::array<iovec, kPiecesMax> pieces_{};
  alignas(64) std::array<std::byte, kHeaderBytes> headers_;
};

}  // namespace netstor::nvme::tcp
