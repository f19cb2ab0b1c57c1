// SPDX-License-Identifier: Apache-2.0
// PutObject, CopyObject, DeleteObject, and the tags of an object.

#include "server/s3/exchange.h"

#include "lib/wire/http/text.h"

namespace netstor::s3server {

using s3::ErrorCode;

namespace {

constexpr std::uint64_t kPutMax = std::uint64_t{5} << 30;
constexpr std::size_t kTaggingBytesMax = 64 << 10;

}  // namespace

Task<void> Exchange::put_object() {
  if (route_.key.empty()) co_return refusal(ErrorCode::invalid_request);
  NETSTOR_TRY(store::ObjectFacts facts, facts_of(fields()));
  NETSTOR_TRY(store::ObjectConditions conditions, write_conditions(fields()));
  NETSTOR_TRY(Intake body, intake());
  body.want_md5();
  store::ObjectPut put = store().begin_put(route_.bucket, body.size());
  auto receiving = receive(body, &put, nullptr, kPutMax);
  NETSTOR_CHECK(co_await std::move(receiving));
  if (connection_.gone()) co_return ok();
  facts.etag = body.md5_text();
  if (body.checksum_kind() != s3::ChecksumKind::none)
    facts.checksums.push_back(stored_checksum({.checksum = body.checksum()}));
  answer_.add_quoted("ETag", facts.etag);
  describe_checksums(facts.checksums, answer_);
  auto committing = put.commit(route_.key, std::move(facts), std::move(conditions));
  NETSTOR_TRY(const store::ObjectVersion stored, co_await std::move(committing));
  if (stored.versioned) answer_.add("x-amz-version-id", stored.version_id);
  co_return ok();
}

// ---- Copies.

Result<store::CopySource> Exchange::copy_source() {
  const auto name = decode_copy_source(fields().value("x-amz-copy-source"));
  if (!name) return refusal(ErrorCode::invalid_argument, "x-amz-copy-source: expected BUCKET/KEY.");
  if (!may(Right::read, name->bucket, name->key)) return refusal(ErrorCode::access_denied);
  return store::CopySource{.bucket = name->bucket, .key = name->key, .version_id = name->version_id};
}

// Judges the conditions on the source, and ties the copy to what was judged.
Task<store::ObjectVersion> Exchange::find_source(store::CopySource& source) {
  auto asking = store().stat(source.bucket, source.key, source.version_id);
  NETSTOR_TRY(store::ObjectVersion version, co_await std::move(asking));
  if (connection_.gone()) co_return Error(ErrorKind::cancelled, "the client is gone");
  if (version.delete_marker)
    co_return refusal(ErrorCode::invalid_request, "The source of a copy cannot be a delete marker.");
  if (judge(fields(), "x-amz-copy-source-", version) != Verdict::go_on)
    co_return refusal(ErrorCode::precondition_failed);
  source.conditions.if_match = version.etag;
  co_return std::move(version);
}

Task<void> Exchange::copy_object() {
  NETSTOR_TRY(store::CopySource source, copy_source());
  NETSTOR_TRY(store::ObjectFacts said, facts_of(fields()));
  NETSTOR_TRY(store::ObjectConditions conditions, write_conditions(fields()));
  const bool replace_facts = fields().value("x-amz-metadata-directive") == "REPLACE";
  const bool replace_tags = fields().value("x-amz-tagging-directive") == "REPLACE";
  if (source.bucket == route_.bucket && source.key == route_.key && source.version_id.empty() &&
      !replace_facts && !replace_tags)
    co_return refusal(ErrorCode::invalid_request,
                      "This copy request is illegal because it is trying to copy an object to itself "
                      "without changing its metadata.");
  auto finding = find_source(source);
  NETSTOR_TRY(store::ObjectVersion version, co_await std::move(finding));
  std::optional<store::ObjectFacts> facts;
  if (replace_facts || replace_tags) {
    facts.emplace(static_cast<const store::ObjectFacts&>(version));
    if (replace_facts) {
      facts->headers = std::move(said.headers);
      facts->user = std::move(said.user);
    }
    if (replace_tags) facts->tags = std::move(said.tags);
  }
  const bool from_versioned = version.versioned;
  const std::string from_version = version.version_id;
  auto copying =
      store().copy(std::move(source), route_.bucket, route_.key, std::move(facts), std::move(conditions));
  NETSTOR_TRY(const store::ObjectVersion copied, co_await std::move(copying));
  if (copied.versioned) answer_.add("x-amz-version-id", copied.version_id);
  if (from_versioned) answer_.add("x-amz-copy-source-version-id", from_version);
  s3::CopyResult result;
  result.etag = version.etag;
  result.modified = wall_time(copied.modified_ms);
  for (const store::ObjectChecksum& each : version.checksums) result.checksum = checksum_of(each);
  std::string text;
  s3::encode_copy_object(result, text);
  answer_.set_xml(std::move(text));
  co_return ok();
}

// ---- Delete.

Task<void> Exchange::delete_object() {
  NETSTOR_TRY(store::ObjectConditions conditions, write_conditions(fields()));
  auto removing = store().remove(route_.bucket, route_.key, version_id(), std::move(conditions));
  NETSTOR_TRY(const store::RemovedObject removed, co_await std::move(removing));
  answer_.status = 204;
  if (removed.delete_marker) answer_.add("x-amz-delete-marker", "true");
  if (removed.versioned) answer_.add("x-amz-version-id", removed.version_id);
  co_return ok();
}

// ---- Tags.

Task<void> Exchange::get_object_tagging() {
  auto asking = store().stat(route_.bucket, route_.key, version_id());
  NETSTOR_TRY(const store::ObjectVersion version, co_await std::move(asking));
  if (version.delete_marker) co_return refusal(ErrorCode::method_not_allowed);
  if (version.versioned) answer_.add("x-amz-version-id", version.version_id);
  std::string text;
  s3::encode_tagging(version.tags, text);
  answer_.set_xml(std::move(text));
  co_return ok();
}

Task<void> Exchange::put_object_tagging() {
  auto receiving = receive_text(kTaggingBytesMax);
  NETSTOR_TRY(const std::string text, co_await std::move(receiving));
  auto decoded = s3::decode_tagging(text);
  if (!decoded) co_return refusal(ErrorCode::malformed_xml);
  NETSTOR_TRY(store::NamedValues tags, check_tags(*std::move(decoded)));
  auto setting = store().set_tags(route_.bucket, route_.key, version_id(), std::move(tags));
  NETSTOR_TRY(const std::string version, co_await std::move(setting));
  if (!version.empty() && version != "null") answer_.add("x-amz-version-id", version);
  co_return ok();
}

Task<void> Exchange::delete_object_tagging() {
  auto setting = store().set_tags(route_.bucket, route_.key, version_id(), {});
  NETSTOR_TRY(const std::string version, co_await std::move(setting));
  if (!version.empty() && version != "null") answer_.add("x-amz-version-id", version);
  answer_.status = 204;
  co_return ok();
}

}  // namespace netstor::s3server
