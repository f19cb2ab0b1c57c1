// SPDX-License-Identifier: Apache-2.0
#pragma once
// The chunked transfer coding (RFC 9112, 7.1), piece by piece. The decoder eats framing and never sees data,
// so that data can go straight from the socket to where it belongs:
//
//   bytes.remove_prefix(decoder.framing(bytes));         // sizes, line ends, extensions, trailers
//   if (decoder.data_left() != 0) …take that many bytes of data at most, decoder.taken(count)…
//   if (decoder.done()) …; if (decoder.failed()) …
//
// Chunk extensions are passed over, trailers are kept as they came (head.h decodes them); both are bounded.
// As strict as heads are: CR LF and nothing else ends a line.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace netstor::http {

struct ChunkedLimits {
  std::uint64_t chunk_bytes_max = std::uint64_t{1} << 40;
  std::uint32_t extension_bytes_max = 4096;        ///< of one chunk
  std::uint32_t extensions_bytes_max = 64 * 1024;  ///< of all chunks together
  std::uint32_t trailer_bytes_max = 8192;
};

class ChunkedDecoder {
 public:
  explicit ChunkedDecoder(const ChunkedLimits& limits = {}) : limits_(limits) {}
  void reset();

  /// Eats framing from the front of `bytes`; answers how many bytes. It stops at data, at the end of the
  /// body, at an error, or when all is eaten.
  [[nodiscard]] std::size_t framing(std::string_view bytes);
  /// So many bytes of data come next; 0: framing does.
  [[nodiscard]] std::uint64_t data_left() const { return stage_ == Stage::data ? left_ : 0; }
  void taken(std::uint64_t count);

  [[nodiscard]] bool done() const { return stage_ == Stage::done; }
  [[nodiscard]] bool failed() const { return stage_ == Stage::failed; }
  /// Complete when done(): the trailer section, with its empty line.
  [[nodiscard]] std::string_view trailers() const { return trailers_; }
  [[nodiscard]] bool has_trailers() const { return trailers_.size() > 2; }

 private:
  enum class Stage : std::uint8_t {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailers,
    done,
    failed
  };
  void eat(char c);
  void eat_size(char c);
  void eat_extension(char c);
  void eat_size_lf(char c);
  void eat_trailer(char c);

  ChunkedLimits limits_;
  Stage stage_ = Stage::size;
  bool blank_ = false;  // white space between the size and what follows
  unsigned digits_ = 0;
  std::uint32_t extension_bytes_ = 0;
  std::uint64_t extensions_bytes_ = 0;
  std::uint64_t left_ = 0;
  std::string trailers_;
};

/// "1000\r\n", into `out`; answers its size. A chunk is this, so many bytes, and kChunkEnd.
inline constexpr std::size_t kChunkSizeMax = 18;
std::size_t encode_chunk_size(std::uint64_t bytes, std::span<char, kChunkSizeMax> out);
inline constexpr std::string_view kChunkEnd = "\r\n";
/// Ends a body that has no trailers.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace netstor::http
