// SPDX-License-Identifier: Apache-2.0
#pragma once
// What one send operation of an HTTP connection carries: head, framing and payload as one list of pieces, all
// borrowed. The list itself is the batch's, so that a driver may change it (SendOp).

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "lib/proto/http/pieces.h"

namespace netstor::http {

class SendBatch {
 public:
  static constexpr unsigned kPiecesMax = 128;
  /// A batch takes no more payload than this, so that an early answer does not wait behind gigabytes.
  static constexpr std::uint64_t kPayloadMax = 4u << 20;

  void clear() {
    count_ = 0;
    bytes_ = 0;
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] const iovec* pieces() const { return pieces_.data(); }
  [[nodiscard]] unsigned piece_count() const { return count_; }
  /// For a head, an end of a chunk, and one piece of payload between them.
  [[nodiscard]] bool room() const { return count_ + 4 <= kPiecesMax && bytes_ < kPayloadMax; }

  void add(std::string_view bytes) {
    if (bytes.empty()) return;
    pieces_[count_++] = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    bytes_ += bytes.size();
  }
  /// As much of the payload as fits; one place is left for what ends it.
  void add(Pieces& payload) {
    std::uint64_t taken = 0;
    count_ += payload.next(pieces_.data() + count_, kPiecesMax - 1 - count_, kPayloadMax, taken);
    payload.skip(taken);
    bytes_ += taken;
  }

 private:
  unsigned count_ = 0;
  std::uint64_t bytes_ = 0;
  std::array<iovec, kPiecesMax> pieces_{};
};

}  // namespace netstor::http
