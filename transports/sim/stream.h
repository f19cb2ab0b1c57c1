// SPDX-License-Identifier: Apache-2.0
#pragma once
// One direction of a connection: the bytes that the sending kernel has taken and the receiving one has not
// handed out yet, cut into pieces that arrive one after another. Reordering, loss and duplication show only
// as time: it is a stream. When things happen is the connection's to say (connection.h).

#include "transports/sim/pieces.h"
#include "transports/sim/world.h"

#include <array>
#include <vector>

namespace netstor::sim {

class Stream {
 public:
  static constexpr std::size_t kBytesMax = 64 << 10;  // what both kernels together hold
  static constexpr std::size_t kPiecesMax = 64;
  static constexpr std::size_t kPieceBytesMax = 16 << 10;

  enum class Mark : std::uint8_t {
    none,
    end,    ///< no bytes: the sender has closed
    reset,  ///< after its bytes the connection breaks
    mute,   ///< neither it nor anything after it ever arrives
  };
  struct Piece {
    Time arrives{};
    std::uint32_t bytes = 0;
    Mark mark = Mark::none;
  };

  explicit Stream(World& world) : world_(world), ring_(kBytesMax) {}

  bool has_room() const noexcept { return held_ < kBytesMax && pieces_ < kPiecesMax - 1; }
  /// Takes one piece of `from`; answers how many bytes. Draws what happens to it on its way.
  std::size_t take(PieceCursor& from);
  /// The last piece: no bytes.
  void end();

  /// The piece that arrives next; null for none.
  Piece* head() noexcept { return pieces_ == 0 ? nullptr : &queue_[first_]; }
  /// It has arrived: its bytes can be read.
  void arrive() noexcept;

  std::size_t readable() const noexcept { return readable_; }
  bool ended() const noexcept { return ended_; }
  /// `peek`: what is read stays readable.
  std::size_t read(PieceCursor& into, bool peek);
  /// A break throws away what was not read.
  void drop() noexcept;

 private:
  void push(Piece piece) noexcept;

  World& world_;
  std::vector<std::byte> ring_;
  std::size_t begin_ = 0;  // of the bytes held
  std::size_t held_ = 0;
  std::size_t readable_ = 0;  // of those, arrived
  std::array<Piece, kPiecesMax> queue_{};
  std::size_t first_ = 0;
  std::size_t pieces_ = 0;
  Time last_arrival_{};
  bool ended_ = false;
};

}  // namespace netstor::sim
