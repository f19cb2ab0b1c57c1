// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/sigv4.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/base/bytes.h"
#include "lib/base/encoding.h"

namespace netstor::s3 {

namespace {

constexpr std::string_view kTerminator = "aws4_request";
constexpr std::size_t kDateSize = 8;

std::span<std::byte> writable(std::string& text) { return std::as_writable_bytes(std::span(text)); }

void replace_secret(std::string& secret, std::string_view with) {
  wipe(writable(secret));
  secret.assign(with);
}

}  // namespace

std::optional<PayloadForm> payload_form(std::string_view content_sha256) {
  if (content_sha256 == kUnsignedPayload) return PayloadForm::unsigned_payload;
  if (content_sha256 == kStreamingSigned) return PayloadForm::streaming_signed;
  if (content_sha256 == kStreamingSignedTrailer) return PayloadForm::streaming_signed_trailer;
  if (content_sha256 == kStreamingUnsignedTrailer) return PayloadForm::streaming_unsigned_trailer;
  const bool digits = std::ranges::all_of(
      content_sha256, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (content_sha256.size() == kSignatureSize && digits) return PayloadForm::hashed;
  return std::nullopt;
}

SigningKey signing_key(HmacSha256& hmac, std::string_view secret_access_key, std::string_view date8,
                       std::string_view region, std::string_view service) {
  std::string secret = "AWS4";
  secret.reserve(secret.size() + secret_access_key.size());
  secret.append(secret_access_key);
  hmac.set_key(as_bytes(secret));
  wipe(writable(secret));
  SigningKey key{};
  for (const std::string_view each : {date8, region, service, kTerminator}) {
    key = hmac.update(as_bytes(each)).finish();
    hmac.set_key(key);
  }
  return key;
}

ChunkSigner::ChunkSigner(const SigningKey& key, std::string_view amz_date, std::string_view scope,
                         const SignatureText& seed)
    : hmac_(key), previous_(seed) {
  head_.append("\n").append(amz_date).append("\n").append(scope).append("\n");
}

std::string_view ChunkSigner::sign(std::string_view algorithm, std::string_view empty_line,
                                   const Sha256::Digest& digest) {
  text_.assign(algorithm).append(head_).append(view(previous_)).append("\n").append(empty_line);
  append_hex(text_, digest);
  write_hex(previous_, hmac_.update(as_bytes(text_)).finish());
  return view(previous_);
}

std::string_view ChunkSigner::chunk(const Sha256::Digest& payload) {
  // The hash of no headers has a line of its own.
  static constexpr std::string_view kEmptyLine =
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";
  return sign("AWS4-HMAC-SHA256-PAYLOAD", kEmptyLine, payload);
}

std::string_view ChunkSigner::trailer(const Sha256::Digest& trailers) {
  return sign("AWS4-HMAC-SHA256-TRAILER", {}, trailers);
}

Signer::Signer(std::string_view region, std::string_view service) : region_(region), service_(service) {}

Signer::~Signer() {
  wipe(writable(secret_access_key_));
  wipe(key_);
}

void Signer::set_identity(const Identity& identity) {
  access_key_id_.assign(identity.access_key_id);
  replace_secret(secret_access_key_, identity.secret_access_key);
  session_token_.assign(identity.session_token);
  date8_.clear();
}

void Signer::set_region(std::string_view region) {
  region_.assign(region);
  date8_.clear();
}

void Signer::use_date(std::string_view amz_date) {
  NETSTOR_ASSERT(amz_date.size() == kAmzDateSize);
  NETSTOR_ASSERT(!access_key_id_.empty());
  amz_date_.assign(amz_date);
  if (amz_date.starts_with(date8_) && !date8_.empty()) return;
  date8_.assign(amz_date.substr(0, kDateSize));
  scope_.assign(date8_).append("/").append(region_).append("/").append(service_).append("/");
  scope_.append(kTerminator);
  key_ = signing_key(hmac_, secret_access_key_, date8_, region_, service_);
}

std::string_view Signer::authorization(const RequestView& request, std::string_view payload_hash,
                                       std::string_view amz_date) {
  use_date(amz_date);
  canonical_.build(request, payload_hash);
  canonical_.sign(hmac_, amz_date_, scope_, signature_);
  text_.assign(kAlgorithm).append(" Credential=").append(access_key_id_).append("/").append(scope_);
  text_.append(",SignedHeaders=").append(canonical_.signed_headers());
  return text_.append(",Signature=").append(view(signature_));
}

ChunkSigner Signer::chunks() const { return {key_, amz_date_, scope_, signature_}; }

std::string_view Signer::presigned_query(const RequestView& request, std::string_view amz_date,
                                         std::chrono::seconds valid_for) {
  NETSTOR_ASSERT(valid_for.count() >= 1 && valid_for <= kPresignMax);
  use_date(amz_date);
  // Which headers are signed is itself a parameter: built twice, the first time for their names. Rare enough.
  canonical_.build(request, kUnsignedPayload);
  const std::string names(canonical_.signed_headers());
  const std::string credential = access_key_id_ + "/" + scope_;
  const std::string seconds = std::to_string(valid_for.count());
  std::vector<NameValue> query(request.query.begin(), request.query.end());
  query.push_back({"X-Amz-Algorithm", kAlgorithm});
  query.push_back({"X-Amz-Credential", credential});
  query.push_back({"X-Amz-Date", amz_date_});
  query.push_back({"X-Amz-Expires", seconds});
  query.push_back({"X-Amz-SignedHeaders", names});
  if (!session_token_.empty()) query.push_back({"X-Amz-Security-Token", session_token_});
  RequestView whole = request;
  whole.query = query;
  canonical_.build(whole, kUnsignedPayload);
  canonical_.sign(hmac_, amz_date_, scope_, signature_);
  return text_.assign(canonical_.query()).append("&X-Amz-Signature=").append(view(signature_));
}

}  // namespace netstor::s3
