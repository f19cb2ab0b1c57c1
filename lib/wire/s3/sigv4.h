// SPDX-License-Identifier: Apache-2.0
//
// Signature Version 4 as S3 wants it ("Authenticating Requests (AWS Signature Version 4)" in the S3 API
// Reference), the making side: the Authorization header, the presigned query, the signatures of chunks and
// trailers. What the endpoint does with them is in sigv4_verify.h.
//
//   Signer signer("us-east-1");                                  // one a shard and bucket
//   signer.set_identity({key_id, secret, token});
//   const auto date = http::encode_basic_date(now);              // also sent as x-amz-date
//   head.add("authorization", signer.authorization(request, kUnsignedPayload, date));
//
// Nothing here reads a clock. Views are borrowed for the call; what is answered as a view lies in the object
// and is good until its next call. After the first few requests of a day no call allocates.

#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/hash.h"

namespace netstor::s3 {

struct NameValue {
  std::string_view name;
  std::string_view value;
};

struct RequestView {
  std::string_view method;  // "GET"
  // As it is sent: percent-encoded once (http::percent_encode with Slash::keep), with the bucket in path
  // style, never normalised. Empty is "/".
  std::string_view path;
  // Decoded, in any order. A name without a value ("?acl") has an empty one.
  std::span<const NameValue> query;
  // To sign: exactly those that the signature is to cover, in any case and order; S3 asks for host and every
  // x-amz-*. To verify: all of the request.
  std::span<const NameValue> headers;
};

// Values of x-amz-content-sha256 in place of a hash.
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kStreamingSigned = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
inline constexpr std::string_view kStreamingSignedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
inline constexpr std::string_view kStreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
// The SHA-256 of no bytes.
inline constexpr std::string_view kEmptyPayload =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

enum class PayloadForm : std::uint8_t {
  hashed,                     // the value is the SHA-256 of the body
  unsigned_payload,           //
  streaming_signed,           // aws-chunked, each chunk with a signature
  streaming_signed_trailer,   // the same, and a signed trailer
  streaming_unsigned_trailer  // aws-chunked without signatures, with a trailer
};
// Nothing for another value (ECDSA, capital digits, not 64 of them).
[[nodiscard]] std::optional<PayloadForm> payload_form(std::string_view content_sha256);
[[nodiscard]] constexpr bool is_streaming(PayloadForm form) { return form >= PayloadForm::streaming_signed; }
[[nodiscard]] constexpr bool has_trailer(PayloadForm form) {
  return form >= PayloadForm::streaming_signed_trailer;
}

// What stands in x-amz-content-sha256 for a streaming form.
[[nodiscard]] constexpr std::string_view streaming_name(PayloadForm form) {
  if (form == PayloadForm::streaming_signed) return kStreamingSigned;
  return form == PayloadForm::streaming_signed_trailer ? kStreamingSignedTrailer : kStreamingUnsignedTrailer;
}

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::size_t kAmzDateSize = 16;    // "20130524T000000Z"
inline constexpr std::size_t kSignatureSize = 64;  // hexadecimal digits, lower case
inline constexpr std::chrono::seconds kPresignMax = std::chrono::hours(24 * 7);

using SignatureText = std::array<char, kSignatureSize>;
[[nodiscard]] inline std::string_view view(const SignatureText& text) { return {text.data(), text.size()}; }

struct Identity {
  std::string_view access_key_id;
  std::string_view secret_access_key;
  std::string_view session_token;  // of temporary credentials; else empty
};

// The key of one day, region and service. `hmac` is scratch.
using SigningKey = std::array<std::byte, 32>;
[[nodiscard]] SigningKey signing_key(HmacSha256& hmac, std::string_view secret_access_key,
                                     std::string_view date8, std::string_view region,
                                     std::string_view service);

// The chain of signatures over the chunks of one body, for both sides: each covers the one before, the first
// that of the request (the seed).
class ChunkSigner {
 public:
  // `scope`: "20130524/us-east-1/s3/aws4_request".
  ChunkSigner(const SigningKey& key, std::string_view amz_date, std::string_view scope,
              const SignatureText& seed);

  // Of the next chunk by the SHA-256 of its bytes; the last chunk has none. A view of 64 characters.
  [[nodiscard]] std::string_view chunk(const Sha256::Digest& payload);
  // x-amz-trailer-signature, after the last chunk; of the SHA-256 of each trailer as "name:value\n".
  [[nodiscard]] std::string_view trailer(const Sha256::Digest& trailers);

 private:
  std::string_view sign(std::string_view algorithm, std::string_view empty_line,
                        const Sha256::Digest& digest);

  HmacSha256 hmac_;
  std::string head_;  // date and scope, a line each
  std::string text_;
  SignatureText previous_;
};

// What is signed and what is said of it; the common half of both sides. Reuses its memory.
class Canonical {
 public:
  // By the sorted names of request.headers.
  void build(const RequestView& request, std::string_view payload_hash);
  // By `signed_headers` ("host;x-amz-date"), without X-Amz-Signature in the query, the path as `path`. False
  // when a signed header is not there.
  [[nodiscard]] bool build_as_told(const RequestView& request, std::string_view path,
                                   std::string_view signed_headers, std::string_view payload_hash);
  // The signature of what was built last.
  void sign(HmacSha256& keyed, std::string_view amz_date, std::string_view scope, SignatureText& out);

  [[nodiscard]] std::string_view request() const { return request_; }
  [[nodiscard]] std::string_view string_to_sign() const { return to_sign_; }
  [[nodiscard]] std::string_view signed_headers() const {
    return std::string_view(request_).substr(signed_at_, signed_size_);
  }
  // Percent-encoded and sorted, as it may be sent.
  [[nodiscard]] std::string_view query() const {
    return std::string_view(request_).substr(query_at_, query_size_);
  }

 private:
  void append_query(std::span<const NameValue> query);
  void append_values(const RequestView& request, std::span<const std::uint16_t> indices);

  Sha256 sha256_;
  std::string request_;
  std::string to_sign_;
  std::string scratch_;
  struct Piece {
    std::uint32_t at, name_size, size;
  };
  std::vector<Piece> pieces_;
  std::vector<std::uint16_t> order_;
  std::size_t signed_at_ = 0, signed_size_ = 0, query_at_ = 0, query_size_ = 0;
};

class Signer {
 public:
  explicit Signer(std::string_view region, std::string_view service = "s3");
  ~Signer();
  Signer(Signer&&) noexcept = default;
  Signer& operator=(Signer&&) noexcept = default;

  // Copied; wiped when replaced and at the end. Asked for before the first signature.
  void set_identity(const Identity& identity);
  // The service said where the bucket lives.
  void set_region(std::string_view region);
  [[nodiscard]] const std::string& region() const { return region_; }
  [[nodiscard]] const std::string& access_key_id() const { return access_key_id_; }
  [[nodiscard]] const std::string& session_token() const { return session_token_; }

  // The value of the Authorization header. `payload_hash` and `amz_date` are the values of the headers
  // x-amz-content-sha256 and x-amz-date, which the caller puts into request.headers, as it does with host
  // and, for temporary credentials, x-amz-security-token.
  [[nodiscard]] std::string_view authorization(const RequestView& request, std::string_view payload_hash,
                                               std::string_view amz_date);
  // For the chunks of the request that authorization() was called for last.
  [[nodiscard]] ChunkSigner chunks() const;

  // The query of a presigned URL, without "?": request.query, the X-Amz-* parameters and the signature.
  // request.headers are those that the user of the URL has to send: host, as a rule. 1 s … kPresignMax.
  [[nodiscard]] std::string_view presigned_query(const RequestView& request, std::string_view amz_date,
                                                 std::chrono::seconds valid_for);

  // For those who ask why a service says SignatureDoesNotMatch.
  [[nodiscard]] const Canonical& canonical() const { return canonical_; }

 private:
  void use_date(std::string_view amz_date);

  Canonical canonical_;
  HmacSha256 hmac_;  // keyed with key_
  std::string region_, service_;
  std::string access_key_id_, secret_access_key_, session_token_;
  std::string date8_, scope_, amz_date_;
  SigningKey key_{};
  SignatureText signature_{};
  std::string text_;
};

}  // namespace netstor::s3
