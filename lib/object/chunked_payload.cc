// SPDX-License-Identifier: Apache-2.0
#include "lib/object/chunked_payload.h"

#include "lib/base/assert.h"
#include "lib/base/hash.h"

#include <algorithm>

namespace netstor::object {

ChunkedPayload::ChunkedPayload(const PieceList& payload, s3::PayloadForm form, s3::ChecksumKind kind)
    : payload_(payload), decoded_bytes_(bytes_in(payload)), form_(form), summer_(kind) {
  NETSTOR_ASSERT(s3::has_trailer(form) == (kind != s3::ChecksumKind::none) && decoded_bytes_ != 0);
}

std::uint64_t ChunkedPayload::encoded_bytes() const {
  if (kind() == s3::ChecksumKind::none)
    return s3::AwsChunkedEncoder::encoded_bytes(form_, decoded_bytes_, kChunkBytes);
  const std::string as_long = s3::Checksum{.kind = kind()}.text();
  const s3::NameValue trailer{s3::checksum_header(kind()), as_long};
  return s3::AwsChunkedEncoder::encoded_bytes(form_, decoded_bytes_, kChunkBytes, {&trailer, 1});
}

void ChunkedPayload::restart(std::optional<s3::ChunkSigner> signer) {
  encoder_.emplace(form_, std::move(signer));
  summer_ = s3::Checksummer(kind());
  left_ = http::Pieces(payload_.data(), static_cast<unsigned>(payload_.size()));
}

Exchange::BodyPart ChunkedPayload::next() {
  const std::uint64_t bytes = std::min<std::uint64_t>(left_.left(), kChunkBytes);
  part_.assign(1, iovec{});
  Sha256 hash;
  for (std::uint64_t taken = 0; taken < bytes;) {
    iovec piece{};
    std::uint64_t some = 0;
    left_.next(&piece, 1, bytes - taken, some);
    left_.skip(some);
    part_.push_back(piece);
    if (form_ != s3::PayloadForm::streaming_unsigned_trailer) hash.update(as_bytes(piece));
    summer_.update(as_bytes(piece));
    taken += some;
  }
  before_ = encoder_->before(bytes, hash.finish());
  part_.front() = {before_.data(), before_.size()};
  const bool last = left_.left() == 0;
  if (last) {
    std::string_view end;
    checksum_ = summer_.finish();
    if (kind() == s3::ChecksumKind::none) {
      end = encoder_->end();
    } else {
      const std::string text = checksum_.text();
      const s3::NameValue trailer{s3::checksum_header(kind()), text};
      end = encoder_->end({&trailer, 1});
    }
    part_.push_back({const_cast<char*>(end.data()), end.size()});
  }
  return {.pieces = part_.data(), .count = static_cast<unsigned>(part_.size()), .last = last};
}

}  // namespace netstor::object
