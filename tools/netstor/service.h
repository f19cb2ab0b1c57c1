// SPDX-License-Identifier: Apache-2.0
#pragma once
// Buckets on the command line: their names, the options that say which service is asked and as whom, and
// errors that say what to do.

#include <netstor/bucket.h>

#include "tools/netstor/verbs.h"

#include <string>
#include <string_view>

namespace netstor::tool {

/// "s3://BUCKET/KEY". The key is taken as it stands: nothing in it is decoded.
struct ObjectUri {
  std::string bucket;
  std::string key;  ///< or a prefix, or empty

  std::string text() const { return "s3://" + bucket + "/" + key; }
};
bool is_bucket(std::string_view text);
enum class Wanted { anything, bucket, prefix, key };
/// `wanted`: what has to be there; a bucket: and nothing else.
Result<ObjectUri> parse_object_uri(const std::string& text, Wanted wanted);

/// Which service, and as whom.
struct Service {
  std::string endpoint;
  std::string region;
  std::string profile;
  std::string ca_file;
  bool anonymous = false;
  RdmaUse rdma = RdmaUse::automatic;
  ChecksumAlgorithm checksum = ChecksumAlgorithm::none;  ///< of what is put
};
void add_service(CLI::App& verb, Service& service);
/// --checksum-algorithm, for verbs that put.
void add_checksum(CLI::App& verb, Service& service);
/// The same with what every verb has, for those that know buckets only.
void add_service_verb(CLI::App& verb, Common& common, Service& service);

BucketOptions bucket_options(const Common& common, const Service& service, unsigned parallel = 1);
Result<Bucket> open_bucket(Runtime& runtime, const Common& common, const Service& service,
                           const std::string& name, unsigned parallel = 1);

/// The error with advice for those who use buckets, where it has none of its own.
Error explained(Error error);
Result<void> explained(Result<void> result);

/// A key for people: control characters, which a terminal would obey, are spelt out.
std::string printable(std::string_view text);
/// "2026-01-31 23:59:59", in the time zone of the machine; for JSON in UTC, "2026-01-31T23:59:59Z".
std::string local_time(WallTime time);
std::string json_time(WallTime time);

}  // namespace netstor::tool
