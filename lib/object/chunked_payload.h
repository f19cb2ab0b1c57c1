// SPDX-License-Identifier: Apache-2.0
#pragma once
// A payload in the content encoding aws-chunked (lib/wire/s3/aws_chunked.h): what signs it and sums it up is
// computed right before each chunk is sent, so that the bytes are read once and nothing waits for a hash of
// all of them.

#include "lib/object/exchange.h"
#include "lib/object/pieces.h"
#include "lib/proto/http/pieces.h"
#include "lib/wire/s3/aws_chunked.h"
#include "lib/wire/s3/checksum.h"

#include <optional>
#include <string>

namespace netstor::object {

class ChunkedPayload {
 public:
  /// What a shard hashes at once, which stays in its cache until it is sent.
  static constexpr std::size_t kChunkBytes = 256 << 10;

  /// A streaming form. `payload` is borrowed, and not empty; `kind` is one that may stand in a trailer, or
  /// none where the form has no trailer.
  ChunkedPayload(const PieceList& payload, s3::PayloadForm form, s3::ChecksumKind kind);

  [[nodiscard]] s3::PayloadForm form() const { return form_; }
  [[nodiscard]] s3::ChecksumKind kind() const { return summer_.kind(); }
  [[nodiscard]] std::uint64_t decoded_bytes() const { return decoded_bytes_; }
  [[nodiscard]] std::uint64_t encoded_bytes() const;

  /// From its first byte, behind a head that was just signed; the signer for the signed forms.
  void restart(std::optional<s3::ChunkSigner> signer);
  /// The next chunk with what stands around it; good until the next call.
  Exchange::BodyPart next();
  /// Once the last part was taken.
  [[nodiscard]] const s3::Checksum& checksum() const { return checksum_; }

 private:
  const PieceList& payload_;
  std::uint64_t decoded_bytes_;
  s3::PayloadForm form_;
  s3::Checksummer summer_;
  s3::Checksum checksum_;
  std::optional<s3::AwsChunkedEncoder> encoder_;
  http::Pieces left_;
  PieceList part_;
  std::string before_;
};

}  // namespace netstor::object
