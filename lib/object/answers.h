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

/// What a GET, HEAD or PUT says of its object. `size_bytes` is the whole object's, of a range, too.
void read_info(const http::ResponseHead& head, ObjectInfo& info);
ObjectInfo info_of(const s3::ListedObject& listed);

std::string without_quotes(std::string_view etag);

/// Headers that options turn into. Keeps the texts that the request only shows: must live as long as it.
class OptionHeaders {
 public:
  void add(Request& request, const Conditions& conditions);
  void add(Request& request, const PutOptions& options, ChecksumAlgorithm checksum);
  void add_range(Request& request, std::uint64_t offset, std::uint64_t length);
  void add_copy_source(Request& request, const std::string& bucket, const std::string& key,
                       const CopyOptions& options);
  void add(Request& request, std::string_view name, std::string value);

 private:
  void add_date(Request& request, std::string_view name, const std::optional<WallTime>& time);
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  std::deque<std::string> texts_;
};

/// Checks what would be refused, or would break a head: sizes, names, numbers.
Result<void> check(const PutOptions& options);
Result<void> check(const Encryption& encryption);

}  // namespace netstor::object
