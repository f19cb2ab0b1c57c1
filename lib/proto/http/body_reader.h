// SPDX-License-Identifier: Apache-2.0
#pragma once
// A body on its way in: from the connection's buffer (copied) or straight from the link into memory that its
// owner gives, piece of memory by piece of memory, whatever its framing. Both ends use it.

#include <cstdint>
#include <string_view>

#include "lib/proto/http/pieces.h"
#include "lib/wire/http/chunked.h"
#include "lib/wire/http/head.h"

namespace netstor::http {

class BodyReader {
 public:
  enum class State : std::uint8_t {
    more,    ///< bytes have to come
    full,    ///< there is more of the body than memory for it: give()
    done,    ///< all of it is here
    failed,  ///< bad chunk framing
  };

  explicit BodyReader(const ChunkedLimits& limits) : chunks_(limits) {}

  /// `length` matters to Framing::length.
  void start(Framing framing, std::uint64_t length);
  /// Where the next bytes go; only when the memory given before is full.
  void give(const iovec* pieces, unsigned count);
  /// What comes is read and forgotten.
  void discard() { discard_ = true; }
  [[nodiscard]] bool discarding() const { return discard_; }

  /// Takes what it can off the front of `buffer`.
  [[nodiscard]] State step(std::string_view& buffer);
  /// The peer ended the stream: that is the end of a body until_close.
  void closed() { closed_ = true; }

  /// Pieces of the given memory that the link may write to: only bytes of the body can come there.
  unsigned direct(iovec* out, unsigned max, std::uint64_t& bytes) const;
  /// How many bytes behind those may go to the connection's buffer; as few as need be when the memory is
  /// large, and never any that are behind the body where that is known.
  [[nodiscard]] std::uint64_t buffer_room(std::uint64_t direct_bytes) const;
  void arrived(std::uint64_t bytes);

  [[nodiscard]] Framing framing() const { return framing_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  ///< of the body, so far
  /// Of Framing::length: what has not come yet.
  [[nodiscard]] std::uint64_t length_left() const { return left_; }
  [[nodiscard]] std::uint64_t copied_bytes() const { return copied_bytes_; }  ///< since the construction
  [[nodiscard]] std::string_view trailers() const { return chunks_.trailers(); }

 private:
  [[nodiscard]] std::uint64_t room() const { return discard_ ? UINT64_MAX : memory_.left(); }
  [[nodiscard]] std::uint64_t data_limit() const;
  void moved(std::uint64_t bytes);

  Framing framing_ = Framing::none;
  bool discard_ = false;
  bool closed_ = false;
  std::uint64_t left_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t copied_bytes_ = 0;
  Pieces memory_;
  ChunkedDecoder chunks_;
};

}  // namespace netstor::http
