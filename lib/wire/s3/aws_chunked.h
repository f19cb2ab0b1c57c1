// SPDX-License-Identifier: Apache-2.0
//
// The content encoding aws-chunked, which S3 has for bodies whose signature or checksum is known only when
// they were read ("Transferring Payload in Multiple Chunks" and "… Trailing headers" in the S3 API
// Reference):
//
//   10000;chunk-signature=HEX\r\n …payload… \r\n        signed: the chain of ChunkSigner
//   10000\r\n …payload… \r\n                            unsigned
//   0[;chunk-signature=HEX]\r\n [name:value\r\n]… [x-amz-trailer-signature:HEX\r\n] \r\n
//
// Inside of HTTP's own framing, not instead of it. Neither side copies payload: the encoder makes what stands
// between pieces of it, the decoder answers spans of what it was given.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/hash.h"
#include "lib/wire/s3/sigv4_verify.h"

namespace netstor::s3 {

// S3 refuses smaller signed chunks, but for the last one with payload.
inline constexpr std::size_t kAwsChunkMin = 8192;
inline constexpr std::size_t kTrailersMax = 8;
// Of a line, its end not counted.
inline constexpr std::size_t kChunkLineMax = 128;
inline constexpr std::size_t kTrailerLineMax = 1024;

// What goes before each piece of payload and after the last: before(a) a before(b) b end().
class AwsChunkedEncoder {
 public:
  // A streaming form; the signed ones need the signer, Signer::chunks() of the request.
  AwsChunkedEncoder(PayloadForm form, std::optional<ChunkSigner> signer);

  // The views are good until the next call. A chunk is not empty. Hashes it if the form is signed.
  [[nodiscard]] std::string_view before(std::span<const std::byte> chunk);
  // The same for a chunk in pieces, by its SHA-256 (ignored in unsigned forms).
  [[nodiscard]] std::string_view before(std::uint64_t chunk_bytes, const Sha256::Digest& digest);
  // Trailers have names in lower case, as x-amz-trailer announces them; only in forms that have trailers.
  [[nodiscard]] std::string_view end(std::span<const NameValue> trailers = {});

  // Content-Length of a body with such chunks. Of the trailers only sizes count, so that values may be
  // placeholders. `chunk_bytes` is that of all chunks but the last.
  [[nodiscard]] static std::uint64_t encoded_bytes(PayloadForm form, std::uint64_t payload_bytes,
                                                   std::uint64_t chunk_bytes,
                                                   std::span<const NameValue> trailers = {});

 private:
  void append_head(std::uint64_t chunk_bytes, const Sha256::Digest& digest);

  std::optional<ChunkSigner> signer_;
  std::string text_;
  PayloadForm form_;
  bool first_ = true;
};

// Takes a body apart, in pieces of any size, and checks the signatures on the way.
//
//   while (true) {
//     const auto step = decoder.next(in);
//     in = in.subspan(step.consumed);
//     if (step.event == Event::payload) …step.payload, a span of `in`…; else break;
//   }
//   Event::more: ask again with more bytes; Event::end; Event::fault: decoder.fault()
//
// Payload is handed out before the signature of its chunk was looked at: nothing of it may become visible
// before Event::end. Allocates for trailers only.
class AwsChunkedDecoder {
 public:
  enum class Event : std::uint8_t { more, payload, end, fault };
  struct Step {
    Event event;
    std::size_t consumed;  // of the bytes given, payload included
    std::span<const std::byte> payload;
  };

  // `decoded_bytes`: x-amz-decoded-content-length. The signed forms need the signer, Verifier::chunks().
  AwsChunkedDecoder(PayloadForm form, std::uint64_t decoded_bytes, std::optional<ChunkSigner> signer);

  [[nodiscard]] Step next(std::span<const std::byte> in);

  // After Event::fault; or when the body ended before Event::end.
  [[nodiscard]] const Fault& fault() const { return fault_; }
  // After Event::end. Names in lower case, values trimmed; x-amz-trailer-signature is not among them.
  [[nodiscard]] std::vector<NameValue> trailers() const;

 private:
  enum class State : std::uint8_t { size_line, payload, payload_end, trailer_line, end, fault };

  Step failed(std::size_t consumed, ErrorCode code, std::string_view text);
  // Feeds the line; true when it is complete, in line(). Faults when it is too long or ends without CR.
  bool take_line(std::span<const std::byte> in, std::size_t& at);
  [[nodiscard]] std::string_view line() const { return {line_.data(), line_size_}; }
  std::optional<Fault> take_size_line();
  std::optional<Fault> take_trailer_line(bool& last);
  std::optional<Fault> check_chunk();

  std::optional<ChunkSigner> signer_;
  Sha256 sha256_;
  std::uint64_t left_;  // of the payload
  std::uint64_t chunk_left_ = 0;
  SignatureText signature_{};
  std::string trailers_;  // "name:value\n" each, as they are signed
  std::size_t trailer_count_ = 0;
  bool trailer_signed_ = false;
  std::array<char, kTrailerLineMax> line_;
  std::size_t line_size_ = 0;
  bool carriage_return_ = false;
  PayloadForm form_;
  State state_ = State::size_line;
  Fault fault_{ErrorCode::incomplete_body, "The body ended before its last chunk."};
};

}  // namespace netstor::s3
