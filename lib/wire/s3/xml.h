// SPDX-License-Identifier: Apache-2.0
//
// The XML bodies of S3, both directions: a value for each, encode() and decode. Encoding appends to a string.
// Decoding is for hostile input: bounded in bytes, elements and depth before anything is built, no DTD, no
// entities but the five of XML itself, no NUL. Elements that are not known are passed over, their namespaces
// too; what is missing is empty or zero, unless it makes the value meaningless. A decode error is
// ErrorKind::protocol with what is wrong; to the endpoint each of them is MalformedXML.
//
// Keys: XML cannot carry every byte. With `url_encoded` (the request said encoding-type=url) every byte
// survives. Without, control characters are written as references, as AWS does and strict parsers refuse, and
// NUL and what is not UTF-8 as U+FFFD. Decoders undo the encoding when the body says <EncodingType>url.
//
// ETags are without their quotes here. Times have milliseconds. Listings: see xml_list.h.

#pragma once

#include <netstor/result.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lib/wire/http/date.h"
#include "lib/wire/s3/checksum.h"

namespace netstor::s3 {

inline constexpr std::size_t kXmlBytesMax = std::size_t{16} << 20;
inline constexpr std::size_t kXmlElementsMax = 262'144;
inline constexpr std::size_t kXmlDepthMax = 16;
inline constexpr std::size_t kPartsMax = 10'000;
inline constexpr std::size_t kDeleteMax = 1000;
inline constexpr std::size_t kTagsMax = 50;

// The name of the root element without its prefix: what this body is. Nothing if it is not XML.
[[nodiscard]] std::optional<std::string> xml_root(std::string_view text);

struct ErrorBody {
  std::string code;  // "NoSuchKey"; not always one of ours
  std::string message;
  std::string resource;
  std::string request_id;
  std::string host_id;
  std::string region;    // where the bucket is, of AuthorizationHeaderMalformed and redirects
  std::string endpoint;  // of PermanentRedirect and TemporaryRedirect
  std::string bucket;
  std::string key;

  friend bool operator==(const ErrorBody&, const ErrorBody&) = default;
};
void encode(const ErrorBody& body, std::string& out);
[[nodiscard]] Result<ErrorBody> decode_error(std::string_view text);

// Of requests whose answer may be 200 with an error inside.
template <class T>
using OrError = std::variant<T, ErrorBody>;

struct InitiateMultipartUploadResult {
  std::string bucket, key, upload_id;

  friend bool operator==(const InitiateMultipartUploadResult&,
                         const InitiateMultipartUploadResult&) = default;
};
void encode(const InitiateMultipartUploadResult& body, std::string& out);
[[nodiscard]] Result<InitiateMultipartUploadResult> decode_initiate_result(std::string_view text);

struct CompletedPart {
  unsigned number = 0;  // 1 … 10,000
  std::string etag;
  std::optional<Checksum> checksum;

  friend bool operator==(const CompletedPart&, const CompletedPart&) = default;
};
// In the order of the body, which the endpoint has to check.
struct CompleteMultipartUpload {
  std::vector<CompletedPart> parts;

  friend bool operator==(const CompleteMultipartUpload&, const CompleteMultipartUpload&) = default;
};
void encode(const CompleteMultipartUpload& body, std::string& out);
// At least one part, at most kPartsMax, each with a number in range and an ETag.
[[nodiscard]] Result<CompleteMultipartUpload> decode_complete_request(std::string_view text);

struct CompleteMultipartUploadResult {
  std::string location, bucket, key, etag;
  std::optional<ObjectChecksum> checksum;
  std::optional<ChecksumType> checksum_type;

  friend bool operator==(const CompleteMultipartUploadResult&,
                         const CompleteMultipartUploadResult&) = default;
};
void encode(const CompleteMultipartUploadResult& body, std::string& out);
[[nodiscard]] Result<OrError<CompleteMultipartUploadResult>> decode_complete_result(std::string_view text);

// CopyObjectResult and CopyPartResult.
struct CopyResult {
  std::string etag;
  http::WallTime modified{};
  std::optional<ObjectChecksum> checksum;

  friend bool operator==(const CopyResult&, const CopyResult&) = default;
};
void encode_copy_object(const CopyResult& body, std::string& out);
void encode_copy_part(const CopyResult& body, std::string& out);
// Of either.
[[nodiscard]] Result<OrError<CopyResult>> decode_copy_result(std::string_view text);

struct ObjectName {
  std::string key, version_id;

  friend bool operator==(const ObjectName&, const ObjectName&) = default;
};
struct DeleteRequest {
  std::vector<ObjectName> objects;
  bool quiet = false;

  friend bool operator==(const DeleteRequest&, const DeleteRequest&) = default;
};
void encode(const DeleteRequest& body, std::string& out);
// 1 … kDeleteMax objects, none with an empty key.
[[nodiscard]] Result<DeleteRequest> decode_delete(std::string_view text);

struct DeleteResult {
  struct Deleted {
    std::string key, version_id;
    bool delete_marker = false;
    std::string delete_marker_version_id;
    friend bool operator==(const Deleted&, const Deleted&) = default;
  };
  struct Failed {
    std::string key, version_id, code, message;
    friend bool operator==(const Failed&, const Failed&) = default;
  };
  std::vector<Deleted> deleted;
  std::vector<Failed> failed;

  friend bool operator==(const DeleteResult&, const DeleteResult&) = default;
};
void encode(const DeleteResult& body, std::string& out);
[[nodiscard]] Result<DeleteResult> decode_delete_result(std::string_view text);

using Tags = std::vector<std::pair<std::string, std::string>>;
void encode_tagging(const Tags& tags, std::string& out);
// At most kTagsMax; S3's own limit, 10 for objects, is the endpoint's to check.
[[nodiscard]] Result<Tags> decode_tagging(std::string_view text);

// CreateBucketConfiguration. An empty body, and no constraint, is us-east-1: an empty text here.
void encode_create_bucket(std::string_view location_constraint, std::string& out);
[[nodiscard]] Result<std::string> decode_create_bucket(std::string_view text);
// LocationConstraint, the answer of GetBucketLocation.
void encode_location(std::string_view location_constraint, std::string& out);
[[nodiscard]] Result<std::string> decode_location(std::string_view text);

enum class Versioning : std::uint8_t { never, enabled, suspended };
void encode(Versioning versioning, std::string& out);
[[nodiscard]] Result<Versioning> decode_versioning(std::string_view text);

}  // namespace netstor::s3
