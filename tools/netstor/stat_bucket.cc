// SPDX-License-Identifier: Apache-2.0
// netstor stat s3://…: what the service says of an object or of a bucket.

#include <netstor/uri.h>

#include "tools/netstor/bucket_verbs.h"
#include "tools/netstor/table.h"
#include "tools/netstor/text.h"
#include "tools/netstor/tree.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kChecksums[] = {"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "MD5"};

nlohmann::ordered_json json_of(const Result<BucketPath>& path) {
  if (!path) return {{"error", path.error().text()}};
  return {{"endpoint", path->endpoint},
          {"transport", path->transport},
          {"rdma_offered", path->rdma_offered},
          {"rdma", path->rdma},
          {"rdma_obstacle", path->rdma_obstacle}};
}

std::string endpoint_of(const Result<BucketPath>& path) { return path ? path->endpoint : "not known"; }

std::string said_of_rdma(const Result<BucketPath>& path) {
  if (!path) return "not known: " + path.error().text();
  if (path->rdma) return "used by large payload";
  return std::string(path->rdma_offered ? "offered, not used: " : "not used: ") + path->rdma_obstacle;
}

Result<void> stat_object(const Common& common, const Bucket& bucket, const ObjectUri& uri,
                         const std::string& version_id) {
  GetOptions options;
  options.version_id = version_id;
  NETSTOR_TRY_RETURN(const ObjectInfo info, bucket.head(uri.key, options).get());
  const Result<BucketPath> path = bucket.path().get();  // of less weight than what was asked
  const char* const checksum = kChecksums[static_cast<std::size_t>(info.checksum_algorithm)];
  if (common.json) {
    auto metadata = nlohmann::ordered_json::object();
    for (const auto& [name, value] : info.metadata) metadata[name] = value;
    std::cout << dumped({{"uri", uri.text()},
                         {"size_bytes", info.size_bytes},
                         {"modified", json_time(info.modified)},
                         {"etag", info.etag},
                         {"version_id", info.version_id},
                         {"content_type", info.content_type},
                         {"storage_class", info.storage_class},
                         {"checksum_algorithm", checksum},
                         {"checksum", info.checksum},
                         {"metadata", metadata},
                         {"path", json_of(path)}})
              << '\n';
    return ok();
  }
  Table table("ll");
  const auto line = [&table](const std::string& name, const std::string& value) {
    if (!value.empty()) table.add({name, printable(value)});
  };
  line("object", uri.text());
  line("size", format_count(info.size_bytes) + " bytes (" + format_size(info.size_bytes) + ")");
  line("modified", local_time(info.modified));
  line("type", info.content_type);
  line("etag", info.etag);
  line("version", info.version_id);
  line("storage class", info.storage_class);
  line(checksum, info.checksum);
  for (const auto& [name, value] : info.metadata) line("meta " + name, value);
  line("endpoint", endpoint_of(path));
  line("RDMA", said_of_rdma(path));
  table.print(std::cout);
  return ok();
}

Result<void> stat_whole(const Common& common, const Bucket& bucket, const ObjectUri& uri) {
  const auto begin = std::chrono::steady_clock::now();
  ListOptions options;
  options.page = 1;
  NETSTOR_TRY_RETURN(const ListPage page, bucket.list(options).get());
  const std::chrono::duration<double, std::nano> listing = std::chrono::steady_clock::now() - begin;
  NETSTOR_TRY_RETURN(const bool versioning, bucket.versioning().get());
  const Result<BucketPath> path = bucket.path().get();  // of less weight than what was asked
  if (common.json) {
    std::cout << nlohmann::ordered_json{{"uri", "s3://" + uri.bucket},
                                        {"empty", page.objects.empty()},
                                        {"versioning", versioning},
                                        {"answered_ns", listing.count()},
                                        {"path", json_of(path)}}
                     .dump(2)
              << '\n';
  } else {
    std::cout << "s3://" << uri.bucket << ": " << (page.objects.empty() ? "empty" : "has objects")
              << (versioning ? ", keeps versions" : ", keeps no versions") << ", answered in "
              << format_time(listing.count()) << "\nendpoint " << endpoint_of(path) << ", RDMA "
              << printable(said_of_rdma(path)) << "\nhow much is in it: netstor ls s3://" << uri.bucket
              << " -r --summarize\n";
  }
  return ok();
}

}  // namespace

Result<void> stat_bucket(const Common& common, const Service& service, const std::string& text,
                         const std::string& version_id) {
  NETSTOR_TRY_RETURN(const ObjectUri uri, parse_object_uri(text, Wanted::prefix));
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(common));
  NETSTOR_TRY_RETURN(const Bucket bucket, open_bucket(runtime, common, service, uri.bucket));
  NETSTOR_CHECK_RETURN(uri.key.empty() ? stat_whole(common, bucket, uri)
                                       : stat_object(common, bucket, uri, version_id));
  return bucket.close().get();
}

}  // namespace netstor::tool
