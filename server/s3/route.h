// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a request asks for: bucket and key from host and path, the operation from method and query. Pure; says
// nothing about whether it is allowed or there.

#include <netstor/result.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wire/http/head.h"
#include "lib/wire/s3/error_code.h"
#include "lib/wire/s3/sigv4.h"

namespace netstor::s3server {

enum class Operation : std::uint8_t {
  list_buckets,
  create_bucket,
  delete_bucket,
  head_bucket,
  get_bucket_location,
  get_bucket_versioning,
  put_bucket_versioning,
  list_objects,
  list_objects_v2,
  list_object_versions,
  list_multipart_uploads,
  delete_objects,
  get_object,
  head_object,
  put_object,
  copy_object,
  delete_object,
  get_object_tagging,
  put_object_tagging,
  delete_object_tagging,
  create_multipart_upload,
  upload_part,
  upload_part_copy,
  complete_multipart_upload,
  abort_multipart_upload,
  list_parts,
  open_rdma_session,
  not_implemented,
};

/// The query, decoded, in its order.
class Query {
 public:
  /// False when a % is not followed by two digits.
  [[nodiscard]] bool decode(std::string_view text);
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] std::string_view value(std::string_view name) const { return find(name).value_or(""); }
  [[nodiscard]] bool has(std::string_view name) const { return find(name).has_value(); }
  /// For the verifier; views into this.
  [[nodiscard]] std::vector<s3::NameValue> views() const;
  struct Pair {
    std::string name;
    std::string value;
  };
  [[nodiscard]] std::span<const Pair> pairs() const { return pairs_; }

 private:
  std::vector<Pair> pairs_;
};

struct Route {
  Operation operation = Operation::not_implemented;
  std::string bucket;
  std::string key;
  std::string path;  ///< as it was sent, for the signature
  Query query;
};

/// An error of S3's own, to be answered as it is: Origin::s3, native() is the code's place in the table.
[[nodiscard]] Error refusal(s3::ErrorCode code, std::string text = {});

/// Errors: refusal(): invalid_uri, invalid_bucket_name, key_too_long.
[[nodiscard]] Result<Route> route(const http::RequestHead& head, std::string_view domain);

/// What S3 allows as a bucket's name: 3 to 63 of a-z, 0-9, dots and dashes, no address, no two dots in a row.
[[nodiscard]] bool valid_bucket_name(std::string_view name);

/// "photos/a%20b?versionId=3", with or without a slash in front: the value of x-amz-copy-source.
struct CopySourceName {
  std::string bucket, key, version_id;
};
[[nodiscard]] std::optional<CopySourceName> decode_copy_source(std::string_view value);

}  // namespace netstor::s3server
