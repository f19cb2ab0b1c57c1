// SPDX-License-Identifier: Apache-2.0
#include "transports/sim/stream.h"

#include "lib/base/assert.h"

namespace netstor::sim {

void Stream::push(Piece piece) noexcept {
  last_arrival_ = piece.arrives = std::max(piece.arrives, last_arrival_);
  queue_[(first_ + pieces_) % kPiecesMax] = piece;
  ++pieces_;
}

std::size_t Stream::take(PieceCursor& from) {
  NETSTOR_ASSERT(has_room());
  FaultPlan& faults = world_.faults();
  Random& random = world_.random();
  std::size_t bytes =
      std::min({from.remaining(), std::uint64_t{kPieceBytesMax}, std::uint64_t{kBytesMax - held_}});
  if (bytes > 1 && world_.strikes(Fault::split, faults.split)) bytes = random.between(1, bytes - 1);
  Piece piece{.arrives = world_.now() + faults.latency};
  if (world_.strikes(Fault::delay, faults.delay)) {
    piece.arrives += Duration(
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(faults.delay_max.count()))));
  }
  Duration pause = faults.retransmit;
  for (unsigned losses = 0; world_.strikes(Fault::loss, faults.loss); pause *= 2) {
    piece.arrives += pause;
    if (++losses < faults.losses_to_reset) continue;
    piece.mark = Mark::reset;
    break;
  }
  if (random.chance(faults.reset)) {
    piece.mark = Mark::reset;
    bytes = random.between(1, bytes);
  }
  if (random.chance(faults.mute)) piece.mark = Mark::mute;
  if (piece.mark != Mark::none) world_.met(piece.mark == Mark::mute ? Fault::mute : Fault::reset);
  if (piece.mark != Mark::none) world_.trace(piece.mark == Mark::mute ? "link-mute" : "link-reset", bytes);
  piece.bytes = static_cast<std::uint32_t>(bytes);

  const std::size_t at = (begin_ + held_) % kBytesMax;
  const std::size_t straight = std::min(bytes, kBytesMax - at);
  from.take(&ring_[at], straight);
  from.take(ring_.data(), bytes - straight);
  held_ += bytes;
  push(piece);
  return bytes;
}

void Stream::end() {
  if (pieces_ == kPiecesMax) return;  // cannot be: has_room() keeps one place for it
  push({.arrives = world_.now() + world_.faults().latency, .mark = Mark::end});
}

void Stream::arrive() noexcept {
  readable_ += queue_[first_].bytes;
  ended_ |= queue_[first_].mark == Mark::end;
  first_ = (first_ + 1) % kPiecesMax;
  --pieces_;
}

std::size_t Stream::read(PieceCursor& into, bool peek) {
  std::size_t bytes = std::min<std::uint64_t>(into.remaining(), readable_);
  if (bytes > 1 && world_.strikes(Fault::split, world_.faults().split))
    bytes = world_.random().between(1, bytes - 1);
  const std::size_t straight = std::min(bytes, kBytesMax - begin_);
  into.give(&ring_[begin_], straight);
  into.give(ring_.data(), bytes - straight);
  if (peek) return bytes;
  begin_ = (begin_ + bytes) % kBytesMax;
  held_ -= bytes;
  readable_ -= bytes;
  return bytes;
}

void Stream::drop() noexcept {
  held_ = 0;
  readable_ = 0;
  pieces_ = 0;
}

}  // namespace netstor::sim
