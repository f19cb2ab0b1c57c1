// SPDX-License-Identifier: Apache-2.0
#pragma once
// Links: ordered byte streams between two ends (TCP; later TLS and others).
//
// At most one SendOp and one RecvOp of a link are in flight at a time; a further one is answered `full`.
// Contract rules: ext/driver.h.

#include <netstor/ext/driver.h>

#include <sys/uio.h>

namespace netstor {

inline constexpr unsigned kLinkPiecesMax = 128;  ///< iovecs in one operation

/// Sends all the pieces, in order. Completes when the kernel has taken every byte (bytes = their sum), or
/// with an error: then the stream is broken and an unknown part of them was sent.
struct SendOp : Op {
  const iovec* pieces = nullptr;  ///< the caller's until complete; the driver may change them meanwhile
  unsigned piece_count = 0;
};

/// Receives at least one byte into the pieces, in order; bytes = how many. 0 bytes, ok: the peer ended.
struct RecvOp : Op {
  const iovec* pieces = nullptr;
  unsigned piece_count = 0;
  /// The bytes stay in the stream and are received again: to learn where they belong before they are placed.
  bool peek = false;
};

class Link {
 public:
  virtual ~Link() = default;  ///< closed links only

  virtual Submit submit(SendOp& op) = 0;
  virtual Submit submit(RecvOp& op) = 0;

  /// Ends the link: both operations in flight complete from poll(), as cancelled or as what they became;
  /// then `closed` (may be null) completes. Called once; nothing is submitted afterwards.
  virtual void close(Op* closed) = 0;

  /// How many bytes the peer has acknowledged since the link was made, where the transport can tell: whether
  /// a long send goes on. A system call; for timeouts, not for the data path.
  virtual std::optional<std::uint64_t> acknowledged_bytes() const noexcept { return std::nullopt; }

  /// For messages: "10.0.0.1:4420".
  virtual std::string_view peer() const noexcept = 0;
};

}  // namespace netstor
