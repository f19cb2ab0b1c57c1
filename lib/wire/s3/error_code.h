// SPDX-License-Identifier: Apache-2.0
//
// S3's error codes: one table for the endpoint, which writes code and HTTP status, and for the client, which
// makes an ErrorKind of what it reads and decides whether to try again. Services invent codes of their own
// and answer without a body (HEAD): then the HTTP status decides.

#pragma once

#include <netstor/result.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace netstor::s3 {

enum class ErrorCode : std::uint8_t {
  access_denied,
  authorization_header_malformed,
  authorization_query_parameters_error,
  bad_digest,
  bad_request,
  bucket_already_exists,
  bucket_already_owned_by_you,
  bucket_not_empty,
  checksum_mismatch,
  conditional_request_conflict,
  entity_too_large,
  entity_too_small,
  expired_token,
  illegal_location_constraint,
  incomplete_body,
  internal_error,
  invalid_access_key_id,
  invalid_argument,
  invalid_bucket_name,
  invalid_bucket_state,
  invalid_chunk_size,
  invalid_digest,
  invalid_location_constraint,
  invalid_part,
  invalid_part_order,
  invalid_range,
  invalid_request,
  invalid_tag,
  invalid_token,
  invalid_uri,
  key_too_long,
  malformed_trailer,
  malformed_xml,
  metadata_too_large,
  method_not_allowed,
  missing_content_length,
  missing_security_header,
  moved_permanently,
  no_such_bucket,
  no_such_key,
  no_such_tag_set,
  no_such_upload,
  no_such_version,
  not_implemented,
  not_modified,
  operation_aborted,
  permanent_redirect,
  precondition_failed,
  quota_exceeded,
  request_header_section_too_large,
  request_time_too_skewed,
  request_timeout,
  service_unavailable,
  signature_does_not_match,
  slow_down,
  storage_full,
  temporary_redirect,
  throttling,
  too_many_buckets,
  too_many_parts,
  unauthorized_access,
  unsupported_signature,
  x_amz_content_sha256_mismatch,
};

struct ErrorFacts {
  ErrorCode code;
  std::string_view name;  // "NoSuchKey"
  std::uint16_t status;   // HTTP
  ErrorKind kind;
  // Trying the same request again may succeed: the service said that it is busy, or broken for a moment.
  bool retryable;
  // A sentence for <Message>.
  std::string_view message;
};

[[nodiscard]] const ErrorFacts& facts(ErrorCode code);
[[nodiscard]] inline std::string_view to_string(ErrorCode code) { return facts(code).name; }

// By the text of <Code>, synonyms of the field included (RequestLimitExceeded, InvalidPartNumber, …); nothing
// for one that is not in the table.
[[nodiscard]] std::optional<ErrorCode> error_code_of(std::string_view name);

// What an answer means to the client.
struct Meaning {
  ErrorKind kind;
  bool retryable;
  // Nothing was done: what is 3xx or 4xx, and what throttles. Of 500, 502, 504 and a bare 503 nobody knows.
  bool refused = false;
};
// Of a status from 300 and of <Code>, which may be empty or unknown. The code has the first word; a 200 with
// an error inside (CompleteMultipartUpload, CopyObject) is judged by its code alone.
[[nodiscard]] Meaning meaning_of(unsigned http_status, std::string_view code);

}  // namespace netstor::s3
