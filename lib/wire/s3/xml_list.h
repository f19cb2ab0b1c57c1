// SPDX-License-Identifier: Apache-2.0
//
// The listings of S3 as XML: buckets, objects (both versions of the request), versions, parts, uploads. What
// xml.h says holds here, too.

#pragma once

#include <netstor/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wire/http/date.h"
#include "lib/wire/s3/checksum.h"

namespace netstor::s3 {

struct Owner {
  std::string id, display_name;

  friend bool operator==(const Owner&, const Owner&) = default;
};

// An object, a version or a delete marker.
struct ListedObject {
  std::string key;
  http::WallTime modified{};
  std::string etag;
  std::uint64_t size_bytes = 0;
  std::string storage_class;
  ChecksumKind checksum_kind = ChecksumKind::none;
  std::optional<ChecksumType> checksum_type;
  std::optional<Owner> owner;
  // Of ListVersionsResult only.
  std::string version_id;
  bool latest = false;
  bool delete_marker = false;

  friend bool operator==(const ListedObject&, const ListedObject&) = default;
};

// ListBucketResult of list-type=2 and of the first version, which has markers instead of tokens.
struct ListBucketResult {
  bool v2 = true;
  std::string name, prefix, delimiter;
  bool url_encoded = false;
  std::uint32_t max_keys = 1000;
  bool truncated = false;
  // Version 2. `key_count` is what the body said; encoding writes the sum of objects and prefixes.
  std::string start_after, continuation_token, next_continuation_token;
  std::uint32_t key_count = 0;
  // Version 1. `next_marker` is there only with a delimiter; else the last key is.
  std::string marker, next_marker;
  std::vector<ListedObject> objects;
  std::vector<std::string> prefixes;

  friend bool operator==(const ListBucketResult&, const ListBucketResult&) = default;
};
void encode(const ListBucketResult& body, std::string& out);
[[nodiscard]] Result<ListBucketResult> decode_list(std::string_view text);

struct ListVersionsResult {
  std::string name, prefix, delimiter;
  bool url_encoded = false;
  std::uint32_t max_keys = 1000;
  bool truncated = false;
  std::string key_marker, version_id_marker, next_key_marker, next_version_id_marker;
  std::vector<ListedObject> versions;  // delete markers among them, in the order of the body
  std::vector<std::string> prefixes;

  friend bool operator==(const ListVersionsResult&, const ListVersionsResult&) = default;
};
void encode(const ListVersionsResult& body, std::string& out);
[[nodiscard]] Result<ListVersionsResult> decode_list_versions(std::string_view text);

struct ListedBucket {
  std::string name;
  http::WallTime created{};
  std::string region;

  friend bool operator==(const ListedBucket&, const ListedBucket&) = default;
};
struct ListAllMyBucketsResult {
  Owner owner;
  std::vector<ListedBucket> buckets;
  std::string prefix, continuation_token;  // the latter: where the next page begins

  friend bool operator==(const ListAllMyBucketsResult&, const ListAllMyBucketsResult&) = default;
};
void encode(const ListAllMyBucketsResult& body, std::string& out);
[[nodiscard]] Result<ListAllMyBucketsResult> decode_list_buckets(std::string_view text);

struct ListedPart {
  unsigned number = 0;
  http::WallTime modified{};
  std::string etag;
  std::uint64_t size_bytes = 0;
  std::optional<Checksum> checksum;

  friend bool operator==(const ListedPart&, const ListedPart&) = default;
};
struct ListPartsResult {
  std::string bucket, key, upload_id;
  bool url_encoded = false;
  std::uint32_t part_number_marker = 0, next_part_number_marker = 0, max_parts = 1000;
  bool truncated = false;
  std::string storage_class;
  ChecksumKind checksum_kind = ChecksumKind::none;
  std::optional<ChecksumType> checksum_type;
  std::vector<ListedPart> parts;

  friend bool operator==(const ListPartsResult&, const ListPartsResult&) = default;
};
void encode(const ListPartsResult& body, std::string& out);
[[nodiscard]] Result<ListPartsResult> decode_list_parts(std::string_view text);

struct ListedUpload {
  std::string key, upload_id;
  http::WallTime started{};
  std::string storage_class;
  ChecksumKind checksum_kind = ChecksumKind::none;
  std::optional<ChecksumType> checksum_type;

  friend bool operator==(const ListedUpload&, const ListedUpload&) = default;
};
struct ListMultipartUploadsResult {
  std::string bucket, prefix, delimiter;
  bool url_encoded = false;
  std::string key_marker, upload_id_marker, next_key_marker, next_upload_id_marker;
  std::uint32_t max_uploads = 1000;
  bool truncated = false;
  std::vector<ListedUpload> uploads;
  std::vector<std::string> prefixes;

  friend bool operator==(const ListMultipartUploadsResult&, const ListMultipartUploadsResult&) = default;
};
void encode(const ListMultipartUploadsResult& body, std::string& out);
[[nodiscard]] Result<ListMultipartUploadsResult> decode_list_uploads(std::string_view text);

}  // namespace netstor::s3
