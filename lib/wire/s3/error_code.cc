// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/error_code.h"

namespace netstor::s3 {

namespace {

// In the order of ErrorCode; the test looks.
constexpr ErrorFacts kFacts[] = {
    {ErrorCode::access_denied, "AccessDenied", 403, ErrorKind::permission_denied, false, "Access Denied"},
    {ErrorCode::authorization_header_malformed, "AuthorizationHeaderMalformed", 400,
     ErrorKind::permission_denied, false, "The authorization header that you provided is not valid."},
    {ErrorCode::authorization_query_parameters_error, "AuthorizationQueryParametersError", 400,
     ErrorKind::permission_denied, false, "The query parameters of the presigned URL are not valid."},
    {ErrorCode::bad_digest, "BadDigest", 400, ErrorKind::data_corrupt, false,
     "The checksum that you specified did not match what was received."},
    {ErrorCode::bad_request, "BadRequest", 400, ErrorKind::invalid_argument, false,
     "The request is not valid."},
    {ErrorCode::bucket_already_exists, "BucketAlreadyExists", 409, ErrorKind::already_exists, false,
     "The requested bucket name is taken."},
    {ErrorCode::bucket_already_owned_by_you, "BucketAlreadyOwnedByYou", 409, ErrorKind::already_exists, false,
     "You have this bucket already."},
    {ErrorCode::bucket_not_empty, "BucketNotEmpty", 409, ErrorKind::invalid_argument, false,
     "The bucket that you tried to delete is not empty."},
    {ErrorCode::checksum_mismatch, "XAmzChecksumMismatch", 400, ErrorKind::data_corrupt, false,
     "The checksum that you specified did not match what was received."},
    {ErrorCode::conditional_request_conflict, "ConditionalRequestConflict", 409, ErrorKind::compare_failed,
     true, "A conflicting operation took place during this request."},
    {ErrorCode::entity_too_large, "EntityTooLarge", 400, ErrorKind::invalid_argument, false,
     "Your proposed upload exceeds the maximum allowed object size."},
    {ErrorCode::entity_too_small, "EntityTooSmall", 400, ErrorKind::invalid_argument, false,
     "Your proposed upload is smaller than the minimum allowed size."},
    {ErrorCode::expired_token, "ExpiredToken", 400, ErrorKind::permission_denied, false,
     "The provided token has expired."},
    {ErrorCode::illegal_location_constraint, "IllegalLocationConstraintException", 400,
     ErrorKind::invalid_argument, false, "The location constraint does not fit the region of this endpoint."},
    {ErrorCode::incomplete_body, "IncompleteBody", 400, ErrorKind::protocol, true,
     "You did not provide the number of bytes specified by Content-Length."},
    {ErrorCode::internal_error, "InternalError", 500, ErrorKind::device_error, true,
     "An internal error occurred. Try again."},
    {ErrorCode::invalid_access_key_id, "InvalidAccessKeyId", 403, ErrorKind::permission_denied, false,
     "The access key id that you provided does not exist in our records."},
    {ErrorCode::invalid_argument, "InvalidArgument", 400, ErrorKind::invalid_argument, false,
     "An argument is not valid."},
    {ErrorCode::invalid_bucket_name, "InvalidBucketName", 400, ErrorKind::invalid_argument, false,
     "The specified bucket is not valid."},
    {ErrorCode::invalid_bucket_state, "InvalidBucketState", 409, ErrorKind::invalid_argument, false,
     "The request is not valid for the current state of the bucket."},
    {ErrorCode::invalid_chunk_size, "InvalidChunkSizeError", 403, ErrorKind::protocol, false,
     "Only the last chunk is allowed to have a size less than 8192 bytes."},
    {ErrorCode::invalid_digest, "InvalidDigest", 400, ErrorKind::invalid_argument, false,
     "The Content-MD5 or checksum value that you specified is not valid."},
    {ErrorCode::invalid_location_constraint, "InvalidLocationConstraint", 400, ErrorKind::invalid_argument,
     false, "The specified location constraint is not valid."},
    {ErrorCode::invalid_part, "InvalidPart", 400, ErrorKind::invalid_argument, false,
     "One or more of the specified parts could not be found, or its ETag did not match."},
    {ErrorCode::invalid_part_order, "InvalidPartOrder", 400, ErrorKind::invalid_argument, false,
     "The list of parts was not in ascending order."},
    {ErrorCode::invalid_range, "InvalidRange", 416, ErrorKind::out_of_range, false,
     "The requested range is not satisfiable."},
    {ErrorCode::invalid_request, "InvalidRequest", 400, ErrorKind::invalid_argument, false,
     "The request is not valid."},
    {ErrorCode::invalid_tag, "InvalidTag", 400, ErrorKind::invalid_argument, false,
     "The tag provided was not a valid tag."},
    {ErrorCode::invalid_token, "InvalidToken", 400, ErrorKind::permission_denied, false,
     "The provided token is malformed or otherwise not valid."},
    {ErrorCode::invalid_uri, "InvalidURI", 400, ErrorKind::invalid_argument, false,
     "The specified URI could not be parsed."},
    {ErrorCode::key_too_long, "KeyTooLongError", 400, ErrorKind::invalid_argument, false,
     "Your key is too long."},
    {ErrorCode::malformed_trailer, "MalformedTrailerError", 400, ErrorKind::protocol, false,
     "The request contained trailing data that was not well-formed."},
    {ErrorCode::malformed_xml, "MalformedXML", 400, ErrorKind::invalid_argument, false,
     "The XML that you provided was not well-formed or did not validate."},
    {ErrorCode::metadata_too_large, "MetadataTooLarge", 400, ErrorKind::invalid_argument, false,
     "Your metadata headers exceed the maximum allowed metadata size."},
    {ErrorCode::method_not_allowed, "MethodNotAllowed", 405, ErrorKind::invalid_argument, false,
     "The specified method is not allowed against this resource."},
    {ErrorCode::missing_content_length, "MissingContentLength", 411, ErrorKind::protocol, false,
     "You must provide the Content-Length HTTP header."},
    {ErrorCode::missing_security_header, "MissingSecurityHeader", 400, ErrorKind::permission_denied, false,
     "Your request is missing a required header."},
    {ErrorCode::moved_permanently, "MovedPermanently", 301, ErrorKind::invalid_argument, false,
     "The bucket is at another endpoint."},
    {ErrorCode::no_such_bucket, "NoSuchBucket", 404, ErrorKind::not_found, false,
     "The specified bucket does not exist."},
    {ErrorCode::no_such_key, "NoSuchKey", 404, ErrorKind::not_found, false,
     "The specified key does not exist."},
    {ErrorCode::no_such_tag_set, "NoSuchTagSet", 404, ErrorKind::not_found, false, "There is no tag set."},
    {ErrorCode::no_such_upload, "NoSuchUpload", 404, ErrorKind::not_found, false,
     "The specified upload does not exist; it may have been completed or aborted."},
    {ErrorCode::no_such_version, "NoSuchVersion", 404, ErrorKind::not_found, false,
     "The specified version does not exist."},
    {ErrorCode::not_implemented, "NotImplemented", 501, ErrorKind::unsupported, false,
     "A header or a query that you provided asks for what is not implemented."},
    {ErrorCode::not_modified, "NotModified", 304, ErrorKind::compare_failed, false, "Not Modified"},
    {ErrorCode::operation_aborted, "OperationAborted", 409, ErrorKind::exhausted, true,
     "A conflicting operation is in progress against this resource. Try again."},
    {ErrorCode::permanent_redirect, "PermanentRedirect", 301, ErrorKind::invalid_argument, false,
     "The bucket must be addressed by the specified endpoint."},
    {ErrorCode::precondition_failed, "PreconditionFailed", 412, ErrorKind::compare_failed, false,
     "At least one of the preconditions that you specified did not hold."},
    {ErrorCode::quota_exceeded, "QuotaExceeded", 403, ErrorKind::no_space, false, "The quota is exceeded."},
    {ErrorCode::request_header_section_too_large, "RequestHeaderSectionTooLarge", 400,
     ErrorKind::invalid_argument, false, "The request header section exceeds the maximum allowed size."},
    {ErrorCode::request_time_too_skewed, "RequestTimeTooSkewed", 403, ErrorKind::permission_denied, false,
     "The difference between the request time and the server's time is too large."},
    {ErrorCode::request_timeout, "RequestTimeout", 400, ErrorKind::timed_out, true,
     "Your connection was not read from or written to within the timeout period."},
    {ErrorCode::service_unavailable, "ServiceUnavailable", 503, ErrorKind::exhausted, true,
     "Service is unable to handle the request. Try again."},
    {ErrorCode::signature_does_not_match, "SignatureDoesNotMatch", 403, ErrorKind::permission_denied, false,
     "The request signature that the server calculated does not match the signature that you provided."},
    {ErrorCode::slow_down, "SlowDown", 503, ErrorKind::exhausted, true, "Reduce your request rate."},
    {ErrorCode::storage_full, "XNetstorStorageFull", 507, ErrorKind::no_space, false, "The storage is full."},
    {ErrorCode::temporary_redirect, "TemporaryRedirect", 307, ErrorKind::invalid_argument, false,
     "You are being redirected to the bucket while DNS updates."},
    {ErrorCode::throttling, "Throttling", 400, ErrorKind::exhausted, true, "Rate exceeded."},
    {ErrorCode::too_many_buckets, "TooManyBuckets", 400, ErrorKind::exhausted, false,
     "You have attempted to create more buckets than are allowed."},
    {ErrorCode::too_many_parts, "TooManyParts", 400, ErrorKind::invalid_argument, false,
     "The upload has more parts than are allowed."},
    {ErrorCode::unauthorized_access, "UnauthorizedAccess", 401, ErrorKind::permission_denied, false,
     "You are not allowed to do this."},
    {ErrorCode::unsupported_signature, "UnsupportedSignature", 400, ErrorKind::unsupported, false,
     "Only Signature Version 4 with AWS4-HMAC-SHA256 is supported."},
    {ErrorCode::x_amz_content_sha256_mismatch, "XAmzContentSHA256Mismatch", 400, ErrorKind::data_corrupt,
     false, "The provided x-amz-content-sha256 header does not match what was computed."},
};

// What other services, and other corners of AWS, call the same.
struct Synonym {
  std::string_view name;
  ErrorCode code;
};
constexpr Synonym kSynonyms[] = {
    {"BandwidthLimitExceeded", ErrorCode::throttling},
    {"Forbidden", ErrorCode::access_denied},
    {"InternalServerError", ErrorCode::internal_error},
    {"InvalidPartNumber", ErrorCode::invalid_range},
    {"KeyTooLong", ErrorCode::key_too_long},
    {"NoSuchObject", ErrorCode::no_such_key},
    {"NotFound", ErrorCode::no_such_key},
    {"RequestExpired", ErrorCode::request_time_too_skewed},
    {"RequestLimitExceeded", ErrorCode::throttling},
    {"RequestThrottled", ErrorCode::throttling},
    {"RequestThrottledException", ErrorCode::throttling},
    {"ServerBusy", ErrorCode::slow_down},
    {"SlowDownRead", ErrorCode::slow_down},
    {"SlowDownWrite", ErrorCode::slow_down},
    {"ThrottledException", ErrorCode::throttling},
    {"ThrottlingException", ErrorCode::throttling},
    {"TokenRefreshRequired", ErrorCode::expired_token},
    {"TooManyRequests", ErrorCode::throttling},
    {"TooManyRequestsException", ErrorCode::throttling},
    {"XMinioStorageFull", ErrorCode::storage_full},
};

Meaning meaning_of_status(unsigned status) {
  switch (status) {
    case 304:
    case 412:
      return {ErrorKind::compare_failed, false};
    case 401:
    case 403:
      return {ErrorKind::permission_denied, false};
    case 404:
      return {ErrorKind::not_found, false};
    case 405:
    case 501:
      return {ErrorKind::unsupported, false};
    case 408:
      return {ErrorKind::timed_out, true};
    case 409:
      return {ErrorKind::already_exists, false};
    case 416:
      return {ErrorKind::out_of_range, false};
    case 429:
    case 503:
      return {ErrorKind::exhausted, true};
    case 500:
    case 502:
      return {ErrorKind::device_error, true};
    case 504:
      return {ErrorKind::timed_out, true};
    case 507:
      return {ErrorKind::no_space, false};
    default:
      break;
  }
  if (status >= 500 && status < 600) return {ErrorKind::device_error, true};
  if (status >= 300 && status < 500) return {ErrorKind::invalid_argument, false};
  return {ErrorKind::protocol, false};
}

/// Of those that come with 5xx, or inside of a 200.
bool refuses(ErrorCode code) {
  return code == ErrorCode::slow_down || code == ErrorCode::throttling ||
         code == ErrorCode::not_implemented || code == ErrorCode::storage_full;
}

}  // namespace

const ErrorFacts& facts(ErrorCode code) { return kFacts[static_cast<std::size_t>(code)]; }

std::optional<ErrorCode> error_code_of(std::string_view name) {
  for (const ErrorFacts& each : kFacts) {
    if (each.name == name) return each.code;
  }
  for (const Synonym& each : kSynonyms) {
    if (each.name == name) return each.code;
  }
  return std::nullopt;
}

Meaning meaning_of(unsigned http_status, std::string_view code) {
  const bool client_error = http_status >= 300 && http_status < 500;
  if (const auto known = error_code_of(code)) {
    return {facts(*known).kind, facts(*known).retryable, client_error || refuses(*known)};
  }
  if (http_status < 300) return {ErrorKind::device_error, false};
  Meaning meaning = meaning_of_status(http_status);
  meaning.refused = client_error || http_status == 501;
  return meaning;
}

}  // namespace netstor::s3
