// SPDX-License-Identifier: Apache-2.0

#include "server/s3/intake.h"

#include "lib/base/encoding.h"
#include "lib/wire/http/text.h"
#include "server/s3/route.h"

namespace netstor::s3server {

using s3::ErrorCode;

Result<Intake> Intake::of(const http::RequestHead& head, std::string_view sha256,
                          std::optional<s3::ChunkSigner> signer) {
  Intake intake;
  intake.size_ = head.framing == http::Framing::none ? 0 : head.content_length;
  const auto form = sha256.empty() ? s3::PayloadForm::unsigned_payload : s3::payload_form(sha256);
  if (!form) return refusal(ErrorCode::not_implemented, "This x-amz-content-sha256 is not known here.");
  if (s3::is_streaming(*form)) {
    const auto size = http::decode_number(head.fields.value("x-amz-decoded-content-length"));
    if (!size) return refusal(ErrorCode::missing_content_length, "x-amz-decoded-content-length is missing.");
    const bool chunks_signed = *form != s3::PayloadForm::streaming_unsigned_trailer;
    if (chunks_signed && !signer) return refusal(ErrorCode::access_denied);
    intake.size_ = size;
    intake.chunks_.emplace(*form, *size, chunks_signed ? std::move(signer) : std::nullopt);
  } else if (*form == s3::PayloadForm::hashed) {
    intake.sha256_wanted_ = true;
    intake.sha256_expected_ = sha256;
  }
  if (const auto md5 = head.fields.find("content-md5")) {
    intake.md5_expected_ = s3::decode_content_md5(*md5);
    if (!intake.md5_expected_) return refusal(ErrorCode::invalid_digest);
    intake.wants_md5_ = true;
  }
  NETSTOR_CHECK_RETURN(intake.expect_checksums(head));
  return intake;
}

Result<void> Intake::expect_checksums(const http::RequestHead& head) {
  auto kind = s3::ChecksumKind::none;
  for (const http::Field& field : head.fields) {
    const auto named = s3::checksum_of_header(field.name);
    if (!named || *named == s3::ChecksumKind::none) continue;
    if (kind != s3::ChecksumKind::none)
      return refusal(ErrorCode::invalid_request, "Expecting a single x-amz-checksum- header.");
    kind = *named;
    checksum_expected_ = s3::decode_checksum(kind, field.value);
    if (!checksum_expected_)
      return refusal(ErrorCode::invalid_request,
                     "Value for " + std::string(field.name) + " header is invalid.");
  }
  std::string_view trailers = head.fields.value("x-amz-trailer");
  for (std::string_view name; http::next_element(trailers, name);) {
    const auto named = s3::checksum_of_header(name);
    if (!named || *named == s3::ChecksumKind::none || kind != s3::ChecksumKind::none || plain())
      return refusal(ErrorCode::invalid_request,
                     "The value specified in the x-amz-trailer header is not "
                     "supported.");
    kind = *named;
    checksum_in_trailer_ = true;
  }
  if (const auto name = head.fields.find("x-amz-sdk-checksum-algorithm")) {
    const auto named = s3::checksum_of_name(*name);
    if (!named || (kind != s3::ChecksumKind::none && kind != *named))
      return refusal(ErrorCode::invalid_request, "Value for x-amz-sdk-checksum-algorithm header is invalid.");
    kind = *named;
  }
  summer_ = s3::Checksummer(kind);
  return ok();
}

void Intake::sum(std::span<const std::byte> payload) {
  bytes_ += payload.size();
  if (wants_md5_) md5_.update(payload);
  if (sha256_wanted_) sha256_.update(payload);
  summer_.update(payload);
}

Result<void> Intake::take(const iovec* pieces, unsigned count, std::uint64_t bytes,
                          std::vector<iovec>& payload) {
  for (unsigned i = 0; i < count && bytes != 0; ++i) {
    std::span<const std::byte> in(
        static_cast<const std::byte*>(pieces[i].iov_base),
        static_cast<std::size_t>(std::min<std::uint64_t>(pieces[i].iov_len, bytes)));
    bytes -= in.size();
    if (plain()) {
      sum(in);
      payload.push_back({.iov_base = pieces[i].iov_base, .iov_len = in.size()});
      continue;
    }
    while (!chunks_ended_) {
      const auto step = chunks_->next(in);
      in = in.subspan(step.consumed);
      using Event = s3::AwsChunkedDecoder::Event;
      if (step.event == Event::fault)
        return refusal(chunks_->fault().code, std::string(chunks_->fault().text));
      if (step.event == Event::more) break;
      if (step.event == Event::end) {
        chunks_ended_ = true;
        break;
      }
      sum(step.payload);
      payload.push_back(
          {.iov_base = const_cast<std::byte*>(step.payload.data()), .iov_len = step.payload.size()});
    }
    if (chunks_ended_ && !in.empty())
      return refusal(ErrorCode::invalid_request, "There are bytes behind the last chunk.");
  }
  return ok();
}

Result<void> Intake::check_trailers() {
  for (const s3::NameValue& trailer : chunks_->trailers()) {
    const auto kind = s3::checksum_of_header(trailer.name);
    if (!kind || *kind == s3::ChecksumKind::none) continue;
    if (!checksum_in_trailer_ || *kind != summer_.kind()) return refusal(ErrorCode::malformed_trailer);
    checksum_expected_ = s3::decode_checksum(*kind, trailer.value);
    if (!checksum_expected_)
      return refusal(ErrorCode::invalid_request, "Value for trailing checksum header is invalid.");
  }
  if (checksum_in_trailer_ && !checksum_expected_) return refusal(ErrorCode::malformed_trailer);
  return ok();
}

Result<void> Intake::finish() {
  if (!plain()) {
    if (!chunks_ended_) return refusal(ErrorCode::incomplete_body);
    NETSTOR_CHECK_RETURN(check_trailers());
  }
  if (sha256_wanted_ && to_hex(sha256_.finish()) != sha256_expected_)
    return refusal(ErrorCode::x_amz_content_sha256_mismatch);
  if (wants_md5_) md5_digest_ = md5_.finish();
  if (md5_expected_ && *md5_expected_ != md5_digest_) return refusal(ErrorCode::bad_digest);
  checksum_ = summer_.finish();
  if (checksum_expected_ && *checksum_expected_ != checksum_)
    return refusal(ErrorCode::bad_digest, "The " + std::string(s3::checksum_name(checksum_.kind)) +
                                              " you specified did not match the calculated checksum.");
  return ok();
}

std::string Intake::md5_text() const { return to_hex(md5_digest_); }

}  // namespace netstor::s3server
