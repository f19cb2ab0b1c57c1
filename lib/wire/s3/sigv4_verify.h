// SPDX-License-Identifier: Apache-2.0
//
// Signature Version 4, the endpoint's side, in the order in which an endpoint asks:
//
//   if (!has_authorization(request)) …anonymous…
//   Authorization said;
//   if (auto fault = parse_authorization(request, said)) …
//   if (auto fault = check_time(said, now)) …
//   if (auto fault = check_scope(said, "us-east-1")) …
//   …the secret of said.access_key_id, or ErrorCode::invalid_access_key_id…
//   if (auto fault = verifier.verify(request, said, secret)) …
//   …the body, by payload_form(said.payload_hash): its SHA-256, or chunks with verifier.chunks(said)…
//
// Nothing is believed before verify() has answered that there is no fault. The clock is passed in.

#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/wire/http/date.h"
#include "lib/wire/s3/error_code.h"
#include "lib/wire/s3/sigv4.h"

namespace netstor::s3 {

// What to answer. The text is constant and says what is wrong with this request; it has no secret.
struct Fault {
  ErrorCode code;
  std::string_view text;
};

// What a request says of itself. The views are into the request.
struct Authorization {
  enum class Form : std::uint8_t { header, query };
  Form form = Form::header;
  std::string_view access_key_id;
  std::string_view scope;  // "20130524/us-east-1/s3/aws4_request"
  std::string_view date8;
  std::string_view region;
  std::string_view service;
  std::string_view signed_headers;  // "host;x-amz-date": lower case, sorted, each once
  std::string_view signature;       // 64 hexadecimal digits in lower case
  std::string_view session_token;
  std::string_view payload_hash;  // a value that payload_form() knows
  http::DateText amz_date;        // of x-amz-date, or made of Date
  http::WallTime time;
  std::chrono::seconds valid_for{0};  // of a presigned URL
};

inline constexpr std::chrono::minutes kClockSkewMax{15};
inline constexpr std::size_t kSignedHeadersMax = 100;

// Does the request claim to be from somebody? If not it is anonymous.
[[nodiscard]] bool has_authorization(const RequestView& request);

// Header or query form; both at once, and Signature Version 2, are faults.
[[nodiscard]] std::optional<Fault> parse_authorization(const RequestView& request, Authorization& out);

// kClockSkewMax to both sides; a presigned URL: from kClockSkewMax before its date until it expires.
[[nodiscard]] std::optional<Fault> check_time(const Authorization& said, http::WallTime now);
[[nodiscard]] std::optional<Fault> check_scope(const Authorization& said, std::string_view region,
                                               std::string_view service = "s3");

// Keeps signing keys and memory from one request to the next: one a shard.
class Verifier {
 public:
  Verifier() = default;
  ~Verifier();
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  // Host and every x-amz-* header have to be signed. The path counts in its one canonical spelling, or as it
  // was sent, whichever the client signed.
  [[nodiscard]] std::optional<Fault> verify(const RequestView& request, const Authorization& said,
                                            std::string_view secret_access_key);
  // For the chunks of a request, right after verify() passed it.
  [[nodiscard]] ChunkSigner chunks(const Authorization& said) const;

  // Signatures computed so far: what requests cost, whatever they were answered.
  [[nodiscard]] std::uint64_t computed() const { return computed_; }

  // What was signed, for <CanonicalRequest> and <StringToSign> of SignatureDoesNotMatch.
  [[nodiscard]] const Canonical& canonical() const { return canonical_; }

 private:
  struct Kept {
    std::string access_key_id, secret_access_key, scope;
    SigningKey key{};
  };
  const SigningKey& key_for(const Authorization& said, std::string_view secret_access_key);
  bool matches(const RequestView& request, std::string_view path, const Authorization& said);

  Canonical canonical_;
  HmacSha256 hmac_;
  std::string path_, decoded_;
  SigningKey key_{};
  std::array<Kept, 64> kept_;
  std::uint64_t computed_ = 0;
};

}  // namespace netstor::s3
