// SPDX-License-Identifier: Apache-2.0
#pragma once
// A stream of bytes in memory between a machine of lib/proto/http and a test: it brings at most `step` bytes
// at once, leaves peeked ones where they are, and notes how receives were made.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "lib/proto/http/send_batch.h"

namespace netstor::http {

struct Stream {
  std::string bytes;
  std::size_t step = SIZE_MAX;
  unsigned receives = 0;
  unsigned peeks = 0;

  /// How many bytes came into the pieces.
  std::size_t receive(const iovec* pieces, unsigned count, bool peek) {
    std::size_t at = 0;
    for (unsigned i = 0; i < count; ++i) {
      const std::size_t take = std::min({pieces[i].iov_len, bytes.size() - at, step - at});
      std::memcpy(pieces[i].iov_base, bytes.data() + at, take);
      at += take;
    }
    if (!peek) bytes.erase(0, at);
    ++(peek ? peeks : receives);
    return at;
  }
};

/// Memory in pieces of `each` bytes for a body.
struct Memory {
  explicit Memory(std::size_t size, std::size_t each = SIZE_MAX) : bytes(size, '?') {
    for (std::size_t at = 0; at < size; at += std::min(each, size - at))
      list.push_back({bytes.data() + at, std::min(each, size - at)});
  }
  explicit Memory(const std::string& text, std::size_t each = SIZE_MAX) : Memory(text.size(), each) {
    bytes.assign(text);
  }
  [[nodiscard]] unsigned count() const { return static_cast<unsigned>(list.size()); }
  std::string bytes;
  std::vector<iovec> list;
};

inline std::string text_of(const SendBatch& batch) {
  std::string out;
  for (unsigned i = 0; i < batch.piece_count(); ++i)
    out.append(static_cast<const char*>(batch.pieces()[i].iov_base), batch.pieces()[i].iov_len);
  return out;
}

inline std::string numbered(std::size_t size) {
  std::string out(size, ' ');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 31 + i / 251);
  return out;
}

}  // namespace netstor::http
