// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between what requests and answers say of an object and what the store keeps of it. Pure.

#include <netstor/result.h>

#include <string>
#include <string_view>

#include "lib/wire/http/date.h"
#include "lib/wire/http/range.h"
#include "lib/wire/s3/xml.h"
#include "lib/wire/s3/xml_list.h"
#include "server/s3/route.h"
#include "server/store/object_store.h"

namespace netstor::s3server {

/// Head and body of an answer. Fields are in the form of the wire.
struct Answer {
  unsigned status = 200;
  std::string fields;
  std::string body;
  /// What Content-Length says when it is not the body's size: of an answer to HEAD, or a body that follows.
  std::optional<std::uint64_t> length;
  bool bad = false;  ///< a field had a control character in it

  void add(std::string_view name, std::string_view value);
  void add(std::string_view name, std::uint64_t value) { add(name, std::string_view(std::to_string(value))); }
  void add_quoted(std::string_view name, std::string_view value);
  void set_xml(std::string text) {
    add("Content-Type", "application/xml");
    body = std::move(text);
  }
};

/// Answers an error of the store, or one of ours, in S3's words.
[[nodiscard]] s3::ErrorCode code_of(const Error& error);

/// Content-Type and the like, x-amz-meta-*, x-amz-tagging. Errors: refusal(), also for what is asked for and
/// not done here (encryption, locks, public ACLs).
[[nodiscard]] Result<store::ObjectFacts> facts_of(const http::Fields& fields);
[[nodiscard]] Result<void> check_supported(const http::Fields& fields);
[[nodiscard]] Result<store::NamedValues> check_tags(s3::Tags tags);
/// If-Match and If-None-Match of a request that writes.
[[nodiscard]] Result<store::ObjectConditions> write_conditions(const http::Fields& fields);

/// ETag, Last-Modified, version, metadata.
void describe(const store::ObjectVersion& version, Answer& answer);
void describe_checksums(const std::vector<store::ObjectChecksum>& checksums, Answer& answer);
/// response-content-type=… of a GET; each replaces the object's. Errors: refusal(invalid_argument).
[[nodiscard]] Result<void> override_headers(const Query& query, store::ObjectVersion& version);

/// If-Match and the rest of a GET or HEAD, in the order of RFC 9110, 13.2.2.
enum class Verdict : std::uint8_t { go_on, not_modified, failed };
[[nodiscard]] Verdict judge(const http::Fields& fields, std::string_view prefix,
                            const store::ObjectVersion& version);

[[nodiscard]] inline http::WallTime wall_time(std::int64_t ms) {
  return http::WallTime(std::chrono::milliseconds(ms));
}

[[nodiscard]] store::ObjectChecksum stored_checksum(const s3::ObjectChecksum& checksum);
[[nodiscard]] std::optional<s3::ObjectChecksum> checksum_of(const store::ObjectChecksum& stored);

}  // namespace netstor::s3server
