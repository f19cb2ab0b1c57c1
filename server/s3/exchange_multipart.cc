// SPDX-License-Identifier: Apache-2.0
// Multipart uploads. The checksum that an upload is to have is kept with it as one without a value.

#include "server/s3/exchange.h"

#include <algorithm>

#include "lib/base/encoding.h"
#include "lib/wire/http/text.h"

namespace netstor::s3server {

using s3::ErrorCode;

namespace {

constexpr std::uint64_t kPartMax = std::uint64_t{5} << 30;
constexpr std::size_t kCompleteBytesMax = 4 << 20;
constexpr unsigned kPageMax = 1000;

/// The checksum that an upload asks for; nothing for none.
Result<std::optional<store::ObjectChecksum>> wanted_checksum(const http::Fields& fields) {
  const auto name = fields.find("x-amz-checksum-algorithm");
  if (!name) return std::optional<store::ObjectChecksum>();
  const auto kind = s3::checksum_of_name(*name);
  if (!kind || *kind == s3::ChecksumKind::none)
    return refusal(ErrorCode::invalid_request, "Checksum algorithm provided is unsupported.");
  auto type = s3::default_type(*kind);
  if (const auto said = fields.find("x-amz-checksum-type")) {
    const auto known = s3::checksum_type_of(*said);
    if (!known || !s3::allowed(*kind, *known))
      return refusal(ErrorCode::invalid_request, "This checksum type is not supported for this algorithm.");
    type = *known;
  }
  return std::optional(store::ObjectChecksum{.algorithm = static_cast<std::uint8_t>(*kind),
                                             .composite = type == s3::ChecksumType::composite,
                                             .value = {}});
}

/// Of a part by its etag: parts that were copied have one that looks the same.
Md5::Digest digest_of(std::string_view etag) {
  Md5::Digest digest{};
  if (etag.size() != 2 * digest.size() || !decode_hex(etag, digest))
    digest = md5(std::as_bytes(std::span(etag)));
  return digest;
}

}  // namespace

Result<std::uint32_t> Exchange::part_number() const {
  const auto number = http::decode_number(route_.query.value("partNumber"), s3::kPartsMax);
  if (!number || *number == 0)
    return refusal(ErrorCode::invalid_argument,
                   "Part number must be an integer between 1 and 10000, inclusive");
  return static_cast<std::uint32_t>(*number);
}

Task<void> Exchange::create_upload() {
  NETSTOR_TRY(store::ObjectFacts facts, facts_of(fields()));
  NETSTOR_TRY(const auto checksum, wanted_checksum(fields()));
  if (checksum) {
    facts.checksums.push_back(*checksum);
    const auto kind = static_cast<s3::ChecksumKind>(checksum->algorithm);
    answer_.add("x-amz-checksum-algorithm", s3::checksum_name(kind));
    answer_.add("x-amz-checksum-type", s3::to_string(checksum->composite ? s3::ChecksumType::composite
                                                                         : s3::ChecksumType::full_object));
  }
  auto creating = store().create_upload(route_.bucket, route_.key, std::move(facts));
  NETSTOR_TRY(const store::Upload upload, co_await std::move(creating));
  std::string text;
  s3::encode(
      s3::InitiateMultipartUploadResult{.bucket = route_.bucket, .key = route_.key, .upload_id = upload.id},
      text);
  answer_.set_xml(std::move(text));
  co_return ok();
}

Task<void> Exchange::upload_part() {
  NETSTOR_CHECK(check_supported(fields()));
  NETSTOR_TRY(const std::uint32_t number, part_number());
  NETSTOR_TRY(Intake body, intake());
  body.want_md5();
  store::ObjectPut put = store().begin_put(route_.bucket, body.size());
  auto receiving = receive(body, &put, nullptr, kPartMax);
  NETSTOR_CHECK(co_await std::move(receiving));
  if (connection_.gone()) co_return ok();
  store::ObjectFacts facts;
  facts.etag = body.md5_text();
  if (body.checksum_kind() != s3::ChecksumKind::none)
    facts.checksums.push_back(stored_checksum({.checksum = body.checksum()}));
  answer_.add_quoted("ETag", facts.etag);
  for (const store::ObjectChecksum& each : facts.checksums)
    answer_.add(s3::checksum_header(static_cast<s3::ChecksumKind>(each.algorithm)), each.value);
  auto committing = put.commit_part(route_.key, route_.query.value("uploadId"), number, std::move(facts));
  NETSTOR_TRY(const store::ObjectPart stored, co_await std::move(committing));
  static_cast<void>(stored);
  co_return ok();
}

Task<void> Exchange::upload_part_copy() {
  NETSTOR_CHECK(check_supported(fields()));
  NETSTOR_TRY(const std::uint32_t number, part_number());
  NETSTOR_TRY(store::CopySource source, copy_source());
  const auto range_text = fields().find("x-amz-copy-source-range");
  std::optional<http::RangeSpec> range;
  if (range_text) {
    range = http::decode_range(*range_text);
    if (!range || !range->first || !range->last)
      co_return refusal(ErrorCode::invalid_argument, "x-amz-copy-source-range: expected bytes=FIRST-LAST.");
  }
  auto finding = find_source(source);
  NETSTOR_TRY(const store::ObjectVersion version, co_await std::move(finding));
  if (range) {
    if (*range->last >= version.size || *range->first > *range->last)
      co_return refusal(ErrorCode::invalid_range);
    source.offset = *range->first;
    source.length = *range->last - *range->first + 1;
  }
  // Nobody reads the bytes, so that nobody has their MD5; an ETag only has to differ where they differ.
  store::ObjectFacts facts;
  facts.etag = version.etag;
  if (range || version.etag.size() != 32) {
    const std::string of = version.etag + " " + std::to_string(source.offset) + " " +
                           std::to_string(source.length.value_or(version.size));
    facts.etag = to_hex(md5(std::as_bytes(std::span(of))));
  }
  s3::CopyResult result;
  result.etag = facts.etag;
  auto copying = store().copy_part(std::move(source), route_.bucket, route_.key,
                                   route_.query.value("uploadId"), number, std::move(facts));
  NETSTOR_TRY(const store::ObjectPart part, co_await std::move(copying));
  result.modified = wall_time(part.modified_ms);
  std::string text;
  s3::encode_copy_part(result, text);
  answer_.set_xml(std::move(text));
  co_return ok();
}

// The checksum that the upload was created to have, of those of its parts.
Task<void> Exchange::sum_parts(const std::vector<s3::CompletedPart>& parts, store::ObjectFacts& facts) {
  std::optional<s3::MultipartChecksum> sum;
  store::ObjectChecksum wanted;
  std::uint32_t after = 0;
  std::size_t at = 0;
  for (bool more = true; more;) {
    auto listing =
        store().list_parts(route_.bucket, route_.key, route_.query.value("uploadId"), after, kPageMax);
    NETSTOR_TRY(const store::PartPage page, co_await std::move(listing));
    if (!sum) {
      if (page.upload.facts.checksums.empty()) co_return ok();
      wanted = page.upload.facts.checksums.front();
      sum.emplace(static_cast<s3::ChecksumKind>(wanted.algorithm),
                  wanted.composite ? s3::ChecksumType::composite : s3::ChecksumType::full_object);
    }
    for (const store::ObjectPart& part : page.parts) {
      if (at == parts.size() || part.number != parts[at].number) continue;
      const auto stored =
          std::ranges::find(part.checksums, wanted.algorithm, &store::ObjectChecksum::algorithm);
      // A part without one: the object has none, either. The client asked for what it did not send.
      if (stored == part.checksums.end())
        co_return refusal(ErrorCode::invalid_request,
                          "The upload was created using a checksum; each part has to have one.");
      const auto value = s3::decode_checksum(static_cast<s3::ChecksumKind>(wanted.algorithm), stored->value);
      if (!value || (parts[at].checksum && parts[at].checksum != value))
        co_return refusal(ErrorCode::invalid_part);
      sum->add(*value, part.size);
      ++at;
    }
    more = page.truncated;
    after = page.next;
  }
  // What is missing is for the store to say.
  if (at == parts.size()) {
    wanted.value = sum->finish().text();
    facts.checksums.push_back(wanted);
  }
  co_return ok();
}

Task<void> Exchange::complete_upload() {
  NETSTOR_TRY(store::ObjectConditions conditions, write_conditions(fields()));
  auto receiving = receive_text(kCompleteBytesMax);
  NETSTOR_TRY(const std::string text, co_await std::move(receiving));
  const auto asked = s3::decode_complete_request(text);
  if (!asked) co_return refusal(ErrorCode::malformed_xml);
  std::vector<store::WantedPart> parts;
  s3::MultipartEtag etag;
  for (const s3::CompletedPart& part : asked->parts) {
    if (!parts.empty() && part.number <= parts.back().number)
      co_return refusal(ErrorCode::invalid_part_order);
    parts.push_back({.number = part.number, .etag = part.etag});
    etag.add(digest_of(part.etag));
  }
  store::ObjectFacts facts;
  facts.etag = etag.finish();
  auto summing = sum_parts(asked->parts, facts);
  NETSTOR_CHECK(co_await std::move(summing));
  s3::CompleteMultipartUploadResult result;
  result.location = "/" + route_.bucket + "/" + route_.key;
  result.bucket = route_.bucket;
  result.key = route_.key;
  result.etag = facts.etag;
  for (const store::ObjectChecksum& each : facts.checksums) {
    result.checksum = checksum_of(each);
    result.checksum_type = each.composite ? s3::ChecksumType::composite : s3::ChecksumType::full_object;
  }
  auto completing = store().complete_upload(route_.bucket, route_.key, route_.query.value("uploadId"),
                                            std::move(parts), std::move(facts), std::move(conditions));
  NETSTOR_TRY(const store::ObjectVersion stored, co_await std::move(completing));
  if (stored.versioned) answer_.add("x-amz-version-id", stored.version_id);
  std::string body;
  s3::encode(result, body);
  answer_.set_xml(std::move(body));
  co_return ok();
}

Task<void> Exchange::abort_upload() {
  auto aborting = store().abort_upload(route_.bucket, route_.key, route_.query.value("uploadId"));
  NETSTOR_CHECK(co_await std::move(aborting));
  answer_.status = 204;
  co_return ok();
}

Task<void> Exchange::list_parts() {
  const auto max = http::decode_number(route_.query.find("max-parts").value_or("1000"), INT32_MAX);
  const auto after = http::decode_number(route_.query.find("part-number-marker").value_or("0"), INT32_MAX);
  if (!max || !after) co_return refusal(ErrorCode::invalid_argument);
  const unsigned size = static_cast<unsigned>(std::clamp<std::uint64_t>(*max, 1, kPageMax));
  auto listing = store().list_parts(route_.bucket, route_.key, route_.query.value("uploadId"),
                                    static_cast<std::uint32_t>(*after), size);
  NETSTOR_TRY(const store::PartPage page, co_await std::move(listing));
  s3::ListPartsResult result;
  result.bucket = route_.bucket;
  result.key = route_.key;
  result.upload_id = route_.query.value("uploadId");
  result.part_number_marker = static_cast<std::uint32_t>(*after);
  result.next_part_number_marker = page.next;
  result.max_parts = size;
  result.truncated = page.truncated;
  result.storage_class = "STANDARD";
  result.url_encoded = route_.query.value("encoding-type") == "url";
  for (const store::ObjectChecksum& each : page.upload.facts.checksums) {
    result.checksum_kind = static_cast<s3::ChecksumKind>(each.algorithm);
    result.checksum_type = each.composite ? s3::ChecksumType::composite : s3::ChecksumType::full_object;
  }
  for (const store::ObjectPart& part : page.parts) {
    s3::ListedPart& each = result.parts.emplace_back();
    each.number = part.number;
    each.modified = wall_time(part.modified_ms);
    each.etag = part.etag;
    each.size_bytes = part.size;
    for (const store::ObjectChecksum& checksum : part.checksums)
      each.checksum = s3::decode_checksum(static_cast<s3::ChecksumKind>(checksum.algorithm), checksum.value);
  }
  std::string text;
  s3::encode(result, text);
  answer_.set_xml(std::move(text));
  co_return ok();
}

}  // namespace netstor::s3server
