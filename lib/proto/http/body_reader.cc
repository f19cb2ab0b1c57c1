// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/http/body_reader.h"

#include <algorithm>

#include "lib/base/assert.h"

namespace netstor::http {

namespace {
// The end of a chunk and the size of the next: what is read beside a chunk that goes to large memory.
constexpr std::uint64_t kChunkFraming = 16;
constexpr std::uint64_t kLargeMemory = 16 * 1024;
}  // namespace

void BodyReader::start(Framing framing, std::uint64_t length) {
  framing_ = framing;
  discard_ = closed_ = false;
  left_ = framing == Framing::length ? length : 0;
  bytes_ = 0;
  memory_ = {};
  if (framing == Framing::chunked) chunks_.reset();
}

void BodyReader::give(const iovec* pieces, unsigned count) {
  NETSTOR_ASSERT(memory_.left() == 0);
  memory_ = Pieces(pieces, count);
}

// How many bytes of body come next, for sure.
std::uint64_t BodyReader::data_limit() const {
  switch (framing_) {
    case Framing::length:
      return left_;
    case Framing::chunked:
      return chunks_.data_left();
    case Framing::until_close:
      return UINT64_MAX;
    case Framing::none:
      break;
  }
  return 0;
}

void BodyReader::moved(std::uint64_t bytes) {
  bytes_ += bytes;
  if (framing_ == Framing::length) left_ -= bytes;
  if (framing_ == Framing::chunked) chunks_.taken(bytes);
}

BodyReader::State BodyReader::step(std::string_view& buffer) {
  for (;;) {
    if (framing_ == Framing::none || (framing_ == Framing::length && left_ == 0)) return State::done;
    if (framing_ == Framing::chunked) {
      buffer.remove_prefix(chunks_.framing(buffer));
      if (chunks_.failed()) return State::failed;
      if (chunks_.done()) return State::done;
      if (chunks_.data_left() == 0) return State::more;
    }
    // Whether a body until_close goes on is known only when its next byte is here.
    const bool unknown = framing_ == Framing::until_close && buffer.empty();
    if (unknown && closed_) return State::done;
    if (room() == 0 && !unknown) return State::full;
    if (buffer.empty()) return State::more;
    const auto take =
        static_cast<std::size_t>(std::min({std::uint64_t{buffer.size()}, data_limit(), room()}));
    if (!discard_) {
      memory_.fill(buffer.substr(0, take));
      copied_bytes_ += take;
    }
    moved(take);
    buffer.remove_prefix(take);
  }
}

unsigned BodyReader::direct(iovec* out, unsigned max, std::uint64_t& bytes) const {
  return discard_ ? 0 : memory_.next(out, max, data_limit(), bytes);
}

std::uint64_t BodyReader::buffer_room(std::uint64_t direct_bytes) const {
  switch (framing_) {
    case Framing::length:
      // What is not wanted passes through the buffer.
      return discard_ ? left_ : 0;
    case Framing::chunked:
      if (direct_bytes < chunks_.data_left() && !discard_) return 0;
      return memory_.left() >= kLargeMemory ? kChunkFraming : UINT64_MAX;
    case Framing::until_close:
      return direct_bytes != 0 ? 0 : UINT64_MAX;
    case Framing::none:
      break;
  }
  return 0;
}

void BodyReader::arrived(std::uint64_t bytes) {
  memory_.skip(bytes);
  moved(bytes);
}

}  // namespace netstor::http
