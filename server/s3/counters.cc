// SPDX-License-Identifier: Apache-2.0

#include "server/s3/counters.h"

#include "server/s3/exchange.h"

namespace netstor::s3server {

namespace {

constexpr bool reads(Operation operation) noexcept {
  switch (operation) {
    case Operation::head_bucket:
    case Operation::get_bucket_location:
    case Operation::get_bucket_versioning:
    case Operation::list_objects:
    case Operation::list_objects_v2:
    case Operation::list_object_versions:
    case Operation::list_multipart_uploads:
    case Operation::get_object:
    case Operation::head_object:
    case Operation::get_object_tagging:
    case Operation::list_parts:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string_view to_string(Operation operation) noexcept {
  constexpr std::string_view kNames[] = {"ListBuckets",
                                         "CreateBucket",
                                         "DeleteBucket",
                                         "HeadBucket",
                                         "GetBucketLocation",
                                         "GetBucketVersioning",
                                         "PutBucketVersioning",
                                         "ListObjects",
                                         "ListObjectsV2",
                                         "ListObjectVersions",
                                         "ListMultipartUploads",
                                         "DeleteObjects",
                                         "GetObject",
                                         "HeadObject",
                                         "PutObject",
                                         "CopyObject",
                                         "DeleteObject",
                                         "GetObjectTagging",
                                         "PutObjectTagging",
                                         "DeleteObjectTagging",
                                         "CreateMultipartUpload",
                                         "UploadPart",
                                         "UploadPartCopy",
                                         "CompleteMultipartUpload",
                                         "AbortMultipartUpload",
                                         "ListParts",
                                         "OpenRdmaSession",
                                         "other"};
  static_assert(std::size(kNames) == kOperations);
  return kNames[static_cast<std::size_t>(operation)];
}

Exchange::Count::Count(Exchange& exchange)
    : exchange_(exchange),
      arrived_(exchange.shard_.loop().now()),
      bytes_in_(exchange.connection_.bytes_in()),
      bytes_out_(exchange.connection_.bytes_out()) {
  ++exchange.shard_.counters().in_flight;
}

Exchange::Count::~Count() {
  Counters& counters = exchange_.shard_.counters();
  --counters.in_flight;
  const Duration took = exchange_.shard_.loop().now() - arrived_;
  const Route& route = exchange_.route_;
  counters.requests[static_cast<std::size_t>(route.operation)].record(took);
  const std::uint64_t in = exchange_.connection_.bytes_in() - bytes_in_ + exchange_.rdma_in_;
  const std::uint64_t out = exchange_.connection_.bytes_out() - bytes_out_ + exchange_.rdma_out_;
  counters.rdma_reads += exchange_.rdma_out_ != 0;
  counters.rdma_writes += exchange_.rdma_in_ != 0;
  counters.rdma_bytes_in += exchange_.rdma_in_;
  counters.rdma_bytes_out += exchange_.rdma_out_;
  counters.bytes_in += in;
  counters.bytes_out += out;
  if (exchange_.connection_.gone()) ++counters.lost;
  if (exchange_.code_) ++counters.errors[*exchange_.code_];
  if (net::Traffic* const traffic = bucket(); traffic != nullptr) {
    ++(reads(route.operation) ? traffic->reads : traffic->writes);
    traffic->write_bytes += in;
    traffic->read_bytes += out;
    if (exchange_.code_) ++traffic->errors;
  }
  if (took >= exchange_.shard_.slow_limit()) [[unlikely]]
    tell_of_slow(took, in, out);
}

// A name is the client's to choose: only buckets that are there are counted.
net::Traffic* Exchange::Count::bucket() const {
  const std::string& name = exchange_.route_.bucket;
  auto& buckets = exchange_.shard_.counters().buckets;
  if (const auto found = buckets.find(name); found != buckets.end()) return &found->second;
  if (name.empty() || buckets.size() >= Counters::kBucketsMax || !exchange_.store().bucket(name))
    return nullptr;
  return &buckets[name];
}

void Exchange::Count::tell_of_slow(Duration took, std::uint64_t in, std::uint64_t out) const {
  net::Warnings* const warnings = exchange_.shard_.config().warnings;
  if (warnings == nullptr) return;
  warnings->say(net::Warnings::Kind::slow, exchange_.shard_.loop().now(), [&] {
    const auto ms = [](Duration time) {
      return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + " ms";
    };
    const Time now = exchange_.shard_.loop().now();
    const Time answered = exchange_.answering_ == Time() ? now : exchange_.answering_;
    const Route& route = exchange_.route_;
    return "slow: " + std::string(to_string(route.operation)) + " of " + route.bucket + "/" + route.key +
           " for " + std::string(exchange_.connection_.peer()) + ", request " + exchange_.request_id_ +
           ", took " + ms(took) + ": " + ms(answered - arrived_) + " until its answer began, " +
           ms(now - answered) + " until its end; " + std::to_string(in) + " bytes in, " +
           std::to_string(out) + " out" + (exchange_.connection_.gone() ? "; the client went away" : "");
  });
}

}  // namespace netstor::s3server
