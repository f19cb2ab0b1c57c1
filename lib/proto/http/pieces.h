// SPDX-License-Identifier: Apache-2.0
#pragma once
// A place in somebody's scatter list: what of it has been filled or sent, and what comes next. The list and
// its bytes are borrowed; an empty piece is passed over.

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace netstor::http {

class Pieces {
 public:
  Pieces() = default;
  Pieces(const iovec* list, unsigned count);

  [[nodiscard]] std::uint64_t left() const { return left_; }
  /// Writes the next bytes, at most `limit` of them, as at most `max` pieces to `out`; answers how many
  /// pieces, and adds to `bytes` how many bytes.
  unsigned next(iovec* out, unsigned max, std::uint64_t limit, std::uint64_t& bytes) const;
  void skip(std::uint64_t bytes);
  /// Copies to the next places, which have the room.
  void fill(std::string_view bytes);

 private:
  const iovec* piece_ = nullptr;
  std::size_t used_ = 0;  // of that piece
  std::uint64_t left_ = 0;
};

}  // namespace netstor::http
