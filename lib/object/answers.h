// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between the public values of bucket.h and what S3 sends: fields of heads, elements of bodies, options as
// headers.

#include <netstor/bucket.h>

#include "lib/object/request.h"
#include "lib/wire/http/head.h"
#include "lib/wire/s3/xml_list.h"

#include <deque>
#include <string>

namespace netstor::object {

using detail::BucketCore;

/// What a GET, HEAD or PUT says of its object. `size_bytes` is the whole object's, of a range, too.
void read_info(const http::ResponseHead& head, ObjectInfo& info);
ObjectInfo info_of(const s3::ListedObject& listed);

std::string without_quotes(std::string_view etag);
/// Such a one never matches If-Match (RFC 9110, 13.1.1).
bool is_weak(std::string_view etag);
/// That the object is still the one that was answered about: its ETag, or where it has none its time.
Conditions same_version(const ObjectInfo& info);

/// Headers that options turn into. Keeps the texts that the request only shows: must live as long as it.
class OptionHeaders {
 public:
  void add(Request& request, const Conditions& conditions);
  void add(Request& request, const PutOptions& options, ChecksumAlgorithm checksum);
  void add_tags(Request& request, const Pairs& tags);
  void add(Request& request, const Encryption& encryption);
  /// Of a customer's key alone: what every reader and each part has to say again.
  void add_key(Request& request, const Encryption& encryption);
  void add_range(Request& request, std::uint64_t offset, std::uint64_t length);
  void add_copy_source(Request& request, const std::string& bucket, const std::string& key,
                       const CopyOptions& options);
  void add(Request& request, std::string_view name, std::string value);

 private:
  void add_date(Request& request, std::string_view name, const std::optional<WallTime>& time);
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  std::deque<std::string> texts_;
};

/// Of a list in pages: the next one would be the same again.
Error goes_nowhere(const char* what);
/// The same error of something that never became visible.
Error without_effect(const Error& error);

/// A condition on what is replaced: such a request is not repeated blindly.
void note_condition(Request& request, const Conditions& conditions);

/// Checks what would be refused, or would break a head: sizes, names, numbers.
Result<void> check(const BucketCore& core, const PutOptions& options);
Result<void> check(const BucketCore& core, const Encryption& encryption);

/// The fields of SSE-C; `prefix` is "x-amz-" or "x-amz-copy-source-".
std::vector<std::pair<std::string, std::string>> key_fields(std::string_view prefix,
                                                            const std::string& customer_key);

}  // namespace netstor::object
