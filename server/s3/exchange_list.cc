// SPDX-License-Identifier: Apache-2.0
// The listings of a bucket: objects, versions, uploads.

#include "server/s3/exchange.h"

#include "lib/base/encoding.h"
#include "lib/wire/http/text.h"

namespace netstor::s3server {

using s3::ErrorCode;

namespace {

constexpr unsigned kPageMax = 1000;
constexpr std::string_view kStandard = "STANDARD";

const s3::Owner kOwner{.id = "netstor", .display_name = "netstor"};

Result<unsigned> page_size(const Query& query, std::string_view name) {
  const auto text = query.find(name);
  if (!text || text->empty()) return kPageMax;
  const auto value = http::decode_number(*text, INT32_MAX);
  if (!value) return refusal(ErrorCode::invalid_argument, std::string(name) + ": expected a number.");
  return static_cast<unsigned>(std::min<std::uint64_t>(*value, kPageMax));
}

Result<bool> url_encoded(const Query& query) {
  const auto type = query.find("encoding-type");
  if (!type || type->empty()) return false;
  if (*type != "url")
    return refusal(ErrorCode::invalid_argument, "Invalid Encoding Method specified in Request");
  return true;
}

/// Tokens are opaque to clients; ours are keys, in a form that any key has.
std::string token_of(std::string_view key) { return to_hex(std::as_bytes(std::span(key))); }

Result<std::string> key_of(std::string_view token) {
  std::string key(token.size() / 2, '\0');
  if (!decode_hex(token, std::as_writable_bytes(std::span(key))))
    return refusal(ErrorCode::invalid_argument, "The continuation token provided is incorrect");
  return key;
}

s3::ListedObject listed(const store::ObjectVersion& version) {
  s3::ListedObject out;
  out.key = version.key;
  out.modified = wall_time(version.modified_ms);
  out.etag = version.etag;
  out.size_bytes = version.size;
  out.storage_class = kStandard;
  for (const store::ObjectChecksum& each : version.checksums) {
    if (each.value.empty()) continue;
    out.checksum_kind = static_cast<s3::ChecksumKind>(each.algorithm);
    out.checksum_type = each.composite ? s3::ChecksumType::composite : s3::ChecksumType::full_object;
  }
  return out;
}

}  // namespace

Result<store::ListQuery> Exchange::list_query() {
  NETSTOR_TRY_RETURN(const unsigned max, page_size(route_.query, "max-keys"));
  return store::ListQuery{.prefix = std::string(route_.query.value("prefix")),
                          .delimiter = std::string(route_.query.value("delimiter")),
                          .after = {},
                          .after_version = {},
                          .max = max};
}

Task<void> Exchange::list_objects(bool v2) {
  const Query& query = route_.query;
  NETSTOR_TRY(store::ListQuery asked, list_query());
  s3::ListBucketResult result;
  result.v2 = v2;
  result.name = route_.bucket;
  result.prefix = asked.prefix;
  result.delimiter = asked.delimiter;
  result.max_keys = asked.max;
  NETSTOR_TRY(result.url_encoded, url_encoded(query));
  if (v2) {
    result.start_after = query.value("start-after");
    result.continuation_token = query.value("continuation-token");
    asked.after = result.start_after;
    if (query.has("continuation-token")) {
      NETSTOR_TRY(asked.after, key_of(result.continuation_token));
    }
  } else {
    result.marker = query.value("marker");
    asked.after = result.marker;
  }
  if (asked.max != 0) {
    auto listing = store().list(route_.bucket, std::move(asked));
    NETSTOR_TRY(store::ListPage page, co_await std::move(listing));
    const bool owners = !v2 || query.value("fetch-owner") == "true";
    for (const store::ObjectVersion& version : page.objects) {
      result.objects.push_back(listed(version));
      if (owners) result.objects.back().owner = kOwner;
    }
    result.prefixes = std::move(page.common_prefixes);
    result.truncated = page.truncated;
    if (page.truncated)
      (v2 ? result.next_continuation_token : result.next_marker) = v2 ? token_of(page.next) : page.next;
  }
  std::string text;
  s3::encode(result, text);
  answer_.set_xml(std::move(text));
  co_return ok();
}

Task<void> Exchange::list_versions() {
  const Query& query = route_.query;
  NETSTOR_TRY(store::ListQuery asked, list_query());
  s3::ListVersionsResult result;
  result.name = route_.bucket;
  result.prefix = asked.prefix;
  result.delimiter = asked.delimiter;
  result.max_keys = asked.max;
  NETSTOR_TRY(result.url_encoded, url_encoded(query));
  result.key_marker = query.value("key-marker");
  result.version_id_marker = query.value("version-id-marker");
  if (result.key_marker.empty() && !result.version_id_marker.empty())
    co_return refusal(ErrorCode::invalid_argument, "A version-id marker cannot be without a key marker.");
  asked.after = result.key_marker;
  asked.after_version = result.version_id_marker;
  if (asked.max != 0) {
    auto listing = store().list_versions(route_.bucket, std::move(asked));
    NETSTOR_TRY(store::ListPage page, co_await std::move(listing));
    for (const store::ObjectVersion& version : page.objects) {
      s3::ListedObject& each = result.versions.emplace_back(listed(version));
      each.version_id = version.version_id;
      each.latest = version.latest;
      each.delete_marker = version.delete_marker;
      each.owner = kOwner;
    }
    result.prefixes = std::move(page.common_prefixes);
    result.truncated = page.truncated;
    if (page.truncated) {
      result.next_key_marker = page.next;
      result.next_version_id_marker = page.next_version;
    }
  }
  std::string text;
  s3::encode(result, text);
  answer_.set_xml(std::move(text));
  co_return ok();
}

Task<void> Exchange::list_uploads() {
  const Query& query = route_.query;
  NETSTOR_TRY(const unsigned max, page_size(query, "max-uploads"));
  s3::ListMultipartUploadsResult result;
  result.bucket = route_.bucket;
  result.prefix = query.value("prefix");
  result.delimiter = query.value("delimiter");
  result.max_uploads = max;
  NETSTOR_TRY(result.url_encoded, url_encoded(query));
  result.key_marker = query.value("key-marker");
  result.upload_id_marker = query.value("upload-id-marker");
  if (max != 0) {
    auto listing = store().list_uploads(route_.bucket, result.prefix, result.delimiter, result.key_marker,
                                        result.upload_id_marker, max);
    NETSTOR_TRY(store::UploadPage page, co_await std::move(listing));
    for (const store::Upload& upload : page.uploads) {
      s3::ListedUpload& each = result.uploads.emplace_back();
      each.key = upload.key;
      each.upload_id = upload.id;
      each.started = wall_time(upload.created_ms);
      each.storage_class = kStandard;
    }
    result.prefixes = std::move(page.common_prefixes);
    result.truncated = page.truncated;
    if (page.truncated) {
      result.next_key_marker = page.next_key;
      result.next_upload_id_marker = page.next_id;
    }
  }
  std::string text;
  s3::encode(result, text);
  answer_.set_xml(std::move(text));
  co_return ok();
}

}  // namespace netstor::s3server
