// SPDX-License-Identifier: Apache-2.0
// Buckets themselves: listing, making, removing; and presigned URLs.

#include "lib/base/hash.h"
#include "lib/object/answers.h"
#include "lib/object/operations.h"
#include "lib/object/request.h"
#include "lib/wire/http/date.h"
#include "lib/wire/http/uri.h"

namespace netstor::object {
namespace {

// A listing of versions goes on from a key and a version; the continuation holds both.
constexpr char kBetween = '\n';

Result<ListPage> page_of_objects(const std::string& text) {
  NETSTOR_TRY_RETURN(s3::ListBucketResult answer, s3::decode_list(text));
  ListPage page{.objects = {}, .prefixes = std::move(answer.prefixes), .next = {}};
  page.objects.reserve(answer.objects.size());
  for (const s3::ListedObject& one : answer.objects) page.objects.push_back(info_of(one));
  if (answer.truncated) page.next = std::move(answer.next_continuation_token);
  if (answer.truncated && page.next.empty()) {
    return Error(ErrorKind::protocol, "the service said that a list goes on, and not where");
  }
  return page;
}

Result<ListPage> page_of_versions(const std::string& text) {
  NETSTOR_TRY_RETURN(s3::ListVersionsResult answer, s3::decode_list_versions(text));
  ListPage page{.objects = {}, .prefixes = std::move(answer.prefixes), .next = {}};
  page.objects.reserve(answer.versions.size());
  for (const s3::ListedObject& one : answer.versions) page.objects.push_back(info_of(one));
  if (!answer.truncated) return page;
  page.next = answer.next_key_marker + kBetween + answer.next_version_id_marker;
  if (answer.next_key_marker.empty())
    return Error(ErrorKind::protocol, "the service said that a list goes on, and not where");
  return page;
}

}  // namespace

Task<ListPage> list_objects(Call call, ListOptions options) {
  if (options.page < 1 || options.page > 1000) {
    co_return Error(ErrorKind::invalid_argument, "ListOptions::page must be 1 to 1,000");
  }
  Request request(*call.shard, "GET", {});
  const std::string most = std::to_string(options.page);
  std::string key_marker, version_marker;
  if (options.versions) {
    request.query("versions");
    const auto between = options.continuation.rfind(kBetween);
    key_marker = options.continuation.empty() ? options.start_after : options.continuation.substr(0, between);
    if (between != std::string::npos) version_marker = options.continuation.substr(between + 1);
    if (!key_marker.empty()) request.query("key-marker", key_marker);
    if (!version_marker.empty()) request.query("version-id-marker", version_marker);
  } else {
    request.query("list-type", "2");
    if (!options.continuation.empty()) request.query("continuation-token", options.continuation);
    if (!options.start_after.empty()) request.query("start-after", options.start_after);
  }
  request.query("encoding-type", "url");
  request.query("max-keys", most);
  if (!options.prefix.empty()) request.query("prefix", options.prefix);
  if (!options.delimiter.empty()) request.query("delimiter", options.delimiter);
  auto performing = perform(request);
  NETSTOR_CHECK(co_await std::move(performing));
  co_return options.versions ? page_of_versions(request.text) : page_of_objects(request.text);
}

Task<void> create_bucket(Call call) {
  Request request(*call.shard, "PUT", {});
  if (call.core->region() != "us-east-1" && call.core->endpoint().host.ends_with(".amazonaws.com")) {
    std::string text;
    s3::encode_create_bucket(call.core->region(), text);
    request.payload(std::move(text));
  }
  request.changes = true;
  auto performing = perform(request);
  co_return co_await std::move(performing);
}

Task<void> remove_bucket(Call call) {
  Request request(*call.shard, "DELETE", {});
  request.changes = true;
  auto performing = perform(request);
  co_return co_await std::move(performing);
}

Task<bool> get_versioning(Call call) {
  Request request(*call.shard, "GET", {});
  request.query("versioning");
  auto performing = perform(request);
  NETSTOR_CHECK(co_await std::move(performing));
  NETSTOR_TRY(const s3::Versioning versioning, s3::decode_versioning(request.text));
  co_return versioning == s3::Versioning::enabled;
}

Task<void> set_versioning(Call call, bool on) {
  std::string text;
  s3::encode(on ? s3::Versioning::enabled : s3::Versioning::suspended, text);
  Request request(*call.shard, "PUT", {});
  request.query("versioning");
  const std::string content_md5 = s3::content_md5(md5(std::as_bytes(std::span(text))));
  request.header("content-md5", content_md5);
  request.header("content-type", "application/xml");
  request.payload(std::move(text));
  request.changes = true;
  auto performing = perform(request);
  co_return co_await std::move(performing);
}

Task<std::vector<BucketInfo>> list_all_buckets(Call call) {
  std::vector<BucketInfo> buckets;
  for (std::string token;;) {
    Request request(*call.shard, "GET", {});
    if (!token.empty()) request.query("continuation-token", token);
    auto performing = perform(request);
    NETSTOR_CHECK(co_await std::move(performing));
    NETSTOR_TRY(s3::ListAllMyBucketsResult page, s3::decode_list_buckets(request.text));
    for (s3::ListedBucket& one : page.buckets) buckets.push_back({std::move(one.name), one.created});
    if (page.continuation_token.empty()) co_return buckets;
    if (page.continuation_token == token) co_return goes_nowhere("buckets");
    token = std::move(page.continuation_token);
  }
}

Task<std::string> presign(Call call, Bucket::Method method, std::string key, std::chrono::seconds valid_for) {
  NETSTOR_CHECK(check_key(key));
  if (call.core->options().anonymous) {
    co_return Error(ErrorKind::invalid_argument,
                    "presign: there is nobody to sign for (BucketOptions::anonymous)");
  }
  if (valid_for < std::chrono::seconds(1) || valid_for > s3::kPresignMax) {
    co_return Error(ErrorKind::invalid_argument, "presign: valid_for must be 1 s to 7 days");
  }
  auto refreshing = call.shard->refresh_credentials();
  NETSTOR_CHECK(co_await std::move(refreshing));
  const Endpoint& endpoint = call.core->endpoint();
  constexpr std::string_view kMethods[] = {"GET", "PUT", "HEAD", "DELETE"};
  std::string path = endpoint.path_prefix + "/";
  http::percent_encode(key, http::Slash::keep, path);
  const s3::NameValue host{"host", endpoint.authority};
  const auto date = http::encode_basic_date(std::chrono::system_clock::now());
  const std::string_view query =
      call.shard->signer().presigned_query({.method = kMethods[static_cast<std::size_t>(method)],
                                            .path = path,
                                            .query = {},
                                            .headers = {&host, 1}},
                                           date, valid_for);
  co_return (endpoint.tls ? "https://" : "http://") + endpoint.authority + path + "?" + std::string(query);
}

}  // namespace netstor::object
