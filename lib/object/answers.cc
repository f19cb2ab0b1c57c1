// SPDX-License-Identifier: Apache-2.0
#include "lib/object/answers.h"

#include "lib/base/encoding.h"
#include "lib/base/hash.h"
#include "lib/object/bucket_core.h"
#include "lib/wire/http/date.h"
#include "lib/wire/http/range.h"
#include "lib/wire/http/uri.h"
#include "lib/wire/s3/checksum.h"

#include <algorithm>

namespace netstor::object {
namespace {

constexpr std::string_view kMetadata = "x-amz-meta-";
constexpr std::size_t kMetadataBytesMost = 2048;
constexpr std::size_t kTagsMost = 10;

Error invalid(std::string text) { return {ErrorKind::invalid_argument, std::move(text)}; }

bool starts_without_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

std::string with_quotes(const std::string& etag) {
  const bool as_it_is = etag.empty() || etag == "*" || etag.front() == '"' || is_weak(etag);
  return as_it_is ? etag : "\"" + etag + "\"";
}

}  // namespace

bool is_weak(std::string_view etag) { return etag.starts_with("W/"); }

std::string without_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

Conditions same_version(const ObjectInfo& info) {
  Conditions conditions;
  conditions.if_match = info.etag;
  if (info.etag.empty() && info.modified != WallTime()) conditions.if_unmodified_since = info.modified;
  return conditions;
}

void read_info(const http::ResponseHead& head, ObjectInfo& info) {
  const http::Fields& fields = head.fields;
  std::string key = std::move(info.key);
  info = {};  // an earlier try may have been answered, too, and of another version
  info.key = std::move(key);
  info.etag = without_quotes(fields.value("etag"));
  if (const auto range = http::decode_content_range(fields.value("content-range")); range && range->size) {
    info.size_bytes = *range->size;
  } else if (head.content_length) {
    info.size_bytes = *head.content_length;
  }
  if (const auto modified = http::decode_http_date(fields.value("last-modified"))) info.modified = *modified;
  info.version_id = fields.value("x-amz-version-id");
  info.storage_class = fields.value("x-amz-storage-class");
  info.content_type = fields.value("content-type");
  info.cache_control = fields.value("cache-control");
  info.content_encoding = fields.value("content-encoding");
  for (const http::Field& field : fields) {
    if (starts_without_case(field.name, kMetadata)) {
      info.metadata.emplace_back(field.name.substr(kMetadata.size()), field.value);
    }
  }
  for (const s3::ChecksumKind kind : s3::kChecksumKinds) {
    const std::string_view value = fields.value(s3::checksum_header(kind));
    if (value.empty()) continue;
    info.checksum_algorithm = static_cast<ChecksumAlgorithm>(kind);
    info.checksum = value;
  }
}

ObjectInfo info_of(const s3::ListedObject& listed) {
  ObjectInfo info;
  info.key = listed.key;
  info.size_bytes = listed.size_bytes;
  info.etag = listed.etag;
  info.modified = listed.modified;
  info.version_id = listed.version_id;
  info.latest = listed.version_id.empty() || listed.latest;
  info.delete_marker = listed.delete_marker;
  info.storage_class = listed.storage_class;
  info.checksum_algorithm = static_cast<ChecksumAlgorithm>(listed.checksum_kind);
  return info;
}

void OptionHeaders::add(Request& request, std::string_view name, std::string value) {
  if (!value.empty()) request.header(name, keep(std::move(value)));
}

void OptionHeaders::add_date(Request& request, std::string_view name, const std::optional<WallTime>& time) {
  if (time) add(request, name, std::string(http::encode_http_date(*time).view()));
}

void OptionHeaders::add(Request& request, const Conditions& conditions) {
  add(request, "if-match", with_quotes(conditions.if_match));
  add(request, "if-none-match", with_quotes(conditions.if_none_match));
  add_date(request, "if-modified-since", conditions.if_modified_since);
  add_date(request, "if-unmodified-since", conditions.if_unmodified_since);
}

void OptionHeaders::add(Request& request, const PutOptions& options, ChecksumAlgorithm checksum) {
  constexpr std::string_view kUnknown = "application/octet-stream";
  request.header("content-type",
                 options.content_type.empty() ? kUnknown : std::string_view(options.content_type));
  request.header("cache-control", options.cache_control);
  request.header("content-encoding", options.content_encoding);
  request.header("x-amz-storage-class", options.storage_class);
  for (const auto& [name, value] : options.metadata) {
    std::string field(kMetadata);
    std::transform(name.begin(), name.end(), std::back_inserter(field),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    request.header(keep(std::move(field)), value);
  }
  add_tags(request, options.tags);
  add(request, options.encryption);
  if (checksum != ChecksumAlgorithm::none && checksum != ChecksumAlgorithm::md5) {
    request.header("x-amz-checksum-algorithm", s3::checksum_name(static_cast<s3::ChecksumKind>(checksum)));
  }
}

void OptionHeaders::add_tags(Request& request, const Pairs& tags) {
  std::string text;
  for (const auto& [name, value] : tags) {
    if (!text.empty()) text += '&';
    http::percent_encode(name, http::Slash::encode, text);
    text += '=';
    http::percent_encode(value, http::Slash::encode, text);
  }
  add(request, "x-amz-tagging", std::move(text));
}

void OptionHeaders::add(Request& request, const Encryption& encryption) {
  if (encryption.kind == Encryption::Kind::sse_s3) request.header("x-amz-server-side-encryption", "AES256");
  if (encryption.kind == Encryption::Kind::sse_kms) {
    request.header("x-amz-server-side-encryption", "aws:kms");
    request.header("x-amz-server-side-encryption-aws-kms-key-id", encryption.kms_key_id);
  }
  add_key(request, encryption);
}

void OptionHeaders::add_key(Request& request, const Encryption& encryption) {
  if (encryption.kind != Encryption::Kind::sse_c) return;
  for (auto& [name, value] : key_fields("x-amz-", encryption.customer_key))
    request.header(keep(std::move(name)), keep(std::move(value)));
}

void OptionHeaders::add_range(Request& request, std::uint64_t offset, std::uint64_t length) {
  add(request, "range", std::string(http::encode_range({.offset = offset, .length = length}).view()));
}

void OptionHeaders::add_copy_source(Request& request, const std::string& bucket, const std::string& key,
                                    const CopyOptions& options) {
  std::string source = "/" + bucket + "/";
  http::percent_encode(key, http::Slash::keep, source);
  if (!options.source_version_id.empty()) {
    source += "?versionId=";
    http::percent_encode(options.source_version_id, http::Slash::encode, source);
  }
  add(request, "x-amz-copy-source", std::move(source));
  const Conditions& conditions = options.source_conditions;
  add(request, "x-amz-copy-source-if-match", with_quotes(conditions.if_match));
  add(request, "x-amz-copy-source-if-none-match", with_quotes(conditions.if_none_match));
  add_date(request, "x-amz-copy-source-if-modified-since", conditions.if_modified_since);
  add_date(request, "x-amz-copy-source-if-unmodified-since", conditions.if_unmodified_since);
  if (options.source_encryption.kind != Encryption::Kind::sse_c) return;
  for (auto& [name, value] : key_fields("x-amz-copy-source-", options.source_encryption.customer_key))
    request.header(keep(std::move(name)), keep(std::move(value)));
}

Error goes_nowhere(const char* what) {
  return {ErrorKind::protocol,
          std::string("the service said that the list of ") + what + " goes on where it has been"};
}

Error without_effect(const Error& error) { return reworded(error, error.kind(), error.text(), Effect::none); }

void note_condition(Request& request, const Conditions& conditions) {
  if (!conditions.if_match.empty() || !conditions.if_none_match.empty())
    request.repeat = Repeat::only_if_it_never_happened;
  if (!conditions.if_none_match.empty()) request.condition_failed = ErrorKind::already_exists;
}

Pairs key_fields(std::string_view prefix, const std::string& customer_key) {
  const auto bytes = std::as_bytes(std::span(customer_key));
  const std::string name = std::string(prefix) + "server-side-encryption-customer-";
  return {{name + "algorithm", "AES256"},
          {name + "key", to_base64(bytes)},
          {name + "key-md5", s3::content_md5(md5(bytes))}};
}

Result<void> check(const BucketCore& core, const Encryption& encryption) {
  constexpr std::size_t kKeyBytes = 32;
  if (encryption.kind != Encryption::Kind::sse_c) return {};
  if (encryption.customer_key.size() != kKeyBytes)
    return invalid("Encryption::customer_key must have 32 bytes");
  if (!core.endpoint().tls)
    return invalid("Encryption::customer_key is sent over https:// alone, this endpoint is http://");
  return {};
}

Result<void> check(const BucketCore& core, const PutOptions& options) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : options.metadata) {
    if (name.empty()) return invalid("PutOptions::metadata has an empty name");
    bytes += name.size() + value.size();
  }
  if (bytes > kMetadataBytesMost) {
    return invalid("PutOptions::metadata has " + std::to_string(bytes) + " bytes; at most " +
                   std::to_string(kMetadataBytesMost));
  }
  if (options.tags.size() > kTagsMost) return invalid("PutOptions::tags: at most 10");
  return check(core, options.encryption);
}

}  // namespace netstor::object
