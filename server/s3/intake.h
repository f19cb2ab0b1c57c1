// SPDX-License-Identifier: Apache-2.0
#pragma once
// The body of an upload on its way from the connection to the store: aws-chunked framing taken off,
// signatures of chunks, the signed SHA-256, Content-MD5 and S3's checksums taken along. Pure. Nothing that
// passed is to become visible before finish() has found it right.

#include <netstor/result.h>

#include <sys/uio.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/wire/http/head.h"
#include "lib/wire/s3/aws_chunked.h"
#include "lib/wire/s3/checksum.h"

namespace netstor::s3server {

class Intake {
 public:
  /// What the head says of its body. `sha256`: what was signed as x-amz-content-sha256; empty: nothing was.
  /// `signer`: of the streaming forms that are signed. Errors: refusal().
  static Result<Intake> of(const http::RequestHead& head, std::string_view sha256,
                           std::optional<s3::ChunkSigner> signer);

  /// For an ETag. Costs more than all else here.
  void want_md5() { wants_md5_ = true; }
  /// The payload is no body, and has this size.
  void comes_apart(std::uint64_t size) { size_ = size; }
  /// The decoded size, where it is known.
  [[nodiscard]] std::optional<std::uint64_t> size() const { return size_; }
  /// Payload is what is received.
  [[nodiscard]] bool plain() const { return !chunks_.has_value(); }
  [[nodiscard]] bool takes_sums() const {
    return wants_md5_ || sha256_wanted_ || checksum_kind() != s3::ChecksumKind::none || !plain();
  }

  /// What was received, in order: the payload in it is appended to `payload`. Errors: refusal(); then for
  /// ever. One thread at a time.
  Result<void> take(const iovec* pieces, unsigned count, std::uint64_t bytes, std::vector<iovec>& payload);
  /// The body is over. Errors: refusal().
  Result<void> finish();

  // After finish().
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::string md5_text() const;
  [[nodiscard]] s3::ChecksumKind checksum_kind() const { return summer_.kind(); }
  [[nodiscard]] const s3::Checksum& checksum() const { return checksum_; }

 private:
  Result<void> expect_checksums(const http::RequestHead& head);
  Result<void> check_trailers();
  void sum(std::span<const std::byte> payload);

  std::optional<s3::AwsChunkedDecoder> chunks_;
  bool chunks_ended_ = false;
  std::optional<std::uint64_t> size_;
  std::uint64_t bytes_ = 0;
  bool wants_md5_ = false;
  bool sha256_wanted_ = false;
  std::string sha256_expected_;
  Sha256 sha256_;
  Md5 md5_;
  Md5::Digest md5_digest_{};
  std::optional<Md5::Digest> md5_expected_;
  s3::Checksummer summer_;
  s3::Checksum checksum_;
  std::optional<s3::Checksum> checksum_expected_;
  bool checksum_in_trailer_ = false;
};

}  // namespace netstor::s3server
