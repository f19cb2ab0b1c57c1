// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/http/chunked.h"

#include <charconv>

#include "lib/base/assert.h"
#include "lib/wire/http/text.h"

namespace netstor::http {

void ChunkedDecoder::reset() {
  stage_ = Stage::size;
  blank_ = false;
  digits_ = 0;
  extension_bytes_ = 0;
  extensions_bytes_ = 0;
  left_ = 0;
  trailers_.clear();
}

std::size_t ChunkedDecoder::framing(std::string_view bytes) {
  std::size_t eaten = 0;
  while (eaten < bytes.size() && stage_ < Stage::done && stage_ != Stage::data) eat(bytes[eaten++]);
  return eaten;
}

void ChunkedDecoder::taken(std::uint64_t count) {
  NETSTOR_ASSERT(count <= data_left());
  left_ -= count;
  if (stage_ == Stage::data && left_ == 0) stage_ = Stage::data_cr;
}

void ChunkedDecoder::eat(char c) {
  switch (stage_) {
    case Stage::size:
      return eat_size(c);
    case Stage::extension:
      return eat_extension(c);
    case Stage::size_lf:
      return eat_size_lf(c);
    case Stage::data_cr:
      stage_ = c == '\r' ? Stage::data_lf : Stage::failed;
      return;
    case Stage::data_lf:
      stage_ = c == '\n' ? Stage::size : Stage::failed;
      digits_ = extension_bytes_ = 0;
      blank_ = false;
      return;
    case Stage::trailers:
      return eat_trailer(c);
    case Stage::data:
    case Stage::done:
    case Stage::failed:
      break;
  }
}

void ChunkedDecoder::eat_size(char c) {
  if (const int value = hex_value(c); value >= 0 && !blank_) {
    // Sixteen digits fit; more could only be zeros in front, which nobody sends.
    if (++digits_ > 16) stage_ = Stage::failed;
    left_ = left_ << 4 | static_cast<std::uint64_t>(value);
    return;
  }
  if (digits_ == 0 || left_ > limits_.chunk_bytes_max)
    stage_ = Stage::failed;
  else if (c == '\r')
    stage_ = blank_ ? Stage::failed : Stage::size_lf;
  else if (c == ';')
    stage_ = Stage::extension;
  // White space may stand before an extension only ("bad" white space, 7.1.1).
  else if (is_blank(c) && ++extension_bytes_ <= limits_.extension_bytes_max)
    blank_ = true;
  else
    stage_ = Stage::failed;
}

void ChunkedDecoder::eat_extension(char c) {
  if (c == '\r') {
    stage_ = Stage::size_lf;
    return;
  }
  const auto byte = static_cast<unsigned char>(c);
  const bool control = (byte < 0x20 && c != '\t') || byte == 0x7F;
  if (control || ++extension_bytes_ > limits_.extension_bytes_max ||
      ++extensions_bytes_ > limits_.extensions_bytes_max)
    stage_ = Stage::failed;
}

void ChunkedDecoder::eat_size_lf(char c) {
  if (c != '\n')
    stage_ = Stage::failed;
  else
    stage_ = left_ != 0 ? Stage::data : Stage::trailers;
}

void ChunkedDecoder::eat_trailer(char c) {
  if (trailers_.size() == limits_.trailer_bytes_max) {
    stage_ = Stage::failed;
    return;
  }
  const bool after_cr = !trailers_.empty() && trailers_.back() == '\r';
  if (after_cr != (c == '\n')) {
    stage_ = Stage::failed;
    return;
  }
  trailers_.push_back(c);
  if (c != '\n') return;
  const std::string_view all = trailers_;
  if (all.size() == 2 || all.ends_with("\n\r\n")) stage_ = Stage::done;
}

std::size_t encode_chunk_size(std::uint64_t bytes, std::span<char, kChunkSizeMax> out) {
  char* at = std::to_chars(out.data(), out.data() + 16, bytes, 16).ptr;
  *at++ = '\r';
  *at++ = '\n';
  return static_cast<std::size_t>(at - out.data());
}

}  // namespace netstor::http
