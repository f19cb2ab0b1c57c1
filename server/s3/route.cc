// SPDX-License-Identifier: Apache-2.0

#include "server/s3/route.h"

#include <algorithm>
#include <array>

#include "lib/wire/http/text.h"
#include "lib/wire/http/uri.h"
#include "lib/wire/s3/rdma.h"

namespace netstor::s3server {

namespace {

using http::Method;
using s3::ErrorCode;

constexpr std::size_t kKeyMax = 1024;

// Parts of buckets and objects that S3 names by a parameter without a value, and that are not here. Without
// this list "PUT /bucket?policy" would make a bucket.
constexpr auto kUnknown = std::to_array<std::string_view>({"accelerate",
                                                           "acl",
                                                           "analytics",
                                                           "attributes",
                                                           "cors",
                                                           "encryption",
                                                           "intelligent-tiering",
                                                           "inventory",
                                                           "legal-hold",
                                                           "lifecycle",
                                                           "logging",
                                                           "metadataTable",
                                                           "metrics",
                                                           "notification",
                                                           "object-lock",
                                                           "ownershipControls",
                                                           "policy",
                                                           "policyStatus",
                                                           "publicAccessBlock",
                                                           "renameObject",
                                                           "replication",
                                                           "requestPayment",
                                                           "restore",
                                                           "retention",
                                                           "select",
                                                           "session",
                                                           "torrent",
                                                           "website"});

Operation of_bucket(Method method, const Query& query) {
  switch (method) {
    case Method::get:
      if (query.has("location")) return Operation::get_bucket_location;
      if (query.has("versioning")) return Operation::get_bucket_versioning;
      if (query.has("versions")) return Operation::list_object_versions;
      if (query.has("uploads")) return Operation::list_multipart_uploads;
      if (query.has("tagging")) return Operation::not_implemented;
      return query.value("list-type") == "2" ? Operation::list_objects_v2 : Operation::list_objects;
    case Method::head:
      return Operation::head_bucket;
    case Method::put:
      if (query.has("versioning")) return Operation::put_bucket_versioning;
      return query.has("tagging") ? Operation::not_implemented : Operation::create_bucket;
    case Method::delete_:
      return query.has("tagging") ? Operation::not_implemented : Operation::delete_bucket;
    case Method::post:
      return query.has("delete") ? Operation::delete_objects : Operation::not_implemented;
    case Method::options:
    case Method::other:
      break;
  }
  return Operation::not_implemented;
}

Operation of_object(Method method, const Query& query, bool copies) {
  const bool upload = query.has("uploadId");
  const bool tagging = query.has("tagging");
  switch (method) {
    case Method::get:
      if (upload) return Operation::list_parts;
      return tagging ? Operation::get_object_tagging : Operation::get_object;
    case Method::head:
      return Operation::head_object;
    case Method::put:
      if (upload || query.has("partNumber"))
        return copies ? Operation::upload_part_copy : Operation::upload_part;
      if (tagging) return Operation::put_object_tagging;
      return copies ? Operation::copy_object : Operation::put_object;
    case Method::delete_:
      if (upload) return Operation::abort_multipart_upload;
      return tagging ? Operation::delete_object_tagging : Operation::delete_object;
    case Method::post:
      if (query.has("uploads")) return Operation::create_multipart_upload;
      return upload ? Operation::complete_multipart_upload : Operation::not_implemented;
    case Method::options:
    case Method::other:
      break;
  }
  return Operation::not_implemented;
}

Operation operation_of(const http::RequestHead& head, const Route& route) {
  for (const Query::Pair& pair : route.query.pairs()) {
    if (std::ranges::find(kUnknown, pair.name) != kUnknown.end()) return Operation::not_implemented;
  }
  if (head.method == Method::post && route.key.empty() && route.query.has(s3::kRdmaQuery))
    return Operation::open_rdma_session;
  if (route.bucket.empty())
    return head.method == Method::get ? Operation::list_buckets : Operation::not_implemented;
  if (route.key.empty()) return of_bucket(head.method, route.query);
  return of_object(head.method, route.query, head.fields.has("x-amz-copy-source"));
}

/// The label in front of the domain; empty when the host is another.
std::string_view bucket_of_host(std::string_view host, std::string_view domain) {
  if (domain.empty()) return {};
  if (const std::size_t colon = host.rfind(':'); colon != std::string_view::npos && !host.ends_with(']'))
    host = host.substr(0, colon);
  if (host.size() <= domain.size() + 1) return {};
  const std::size_t dot = host.size() - domain.size() - 1;
  if (host[dot] != '.' || !http::equal_without_case(host.substr(dot + 1), domain)) return {};
  return host.substr(0, dot);
}

bool looks_like_address(std::string_view name) {
  return std::ranges::count(name, '.') == 3 &&
         std::ranges::all_of(name, [](char c) { return http::is_digit(c) || c == '.'; });
}

}  // namespace

Error refusal(ErrorCode code, std::string text) {
  const s3::ErrorFacts& known = s3::facts(code);
  return {known.kind, text.empty() ? std::string(known.message) : std::move(text), Effect::none, Origin::s3,
          static_cast<std::int32_t>(code)};
}

bool Query::decode(std::string_view text) {
  for (http::QueryReader reader(text); reader.next();) {
    Pair& pair = pairs_.emplace_back();
    if (!http::percent_decode(reader.name(), http::Plus::space, pair.name) ||
        !http::percent_decode(reader.value(), http::Plus::space, pair.value))
      return false;
  }
  return true;
}

std::optional<std::string_view> Query::find(std::string_view name) const {
  for (const Pair& pair : pairs_) {
    if (pair.name == name) return pair.value;
  }
  return std::nullopt;
}

std::vector<s3::NameValue> Query::views() const {
  std::vector<s3::NameValue> all;
  all.reserve(pairs_.size());
  for (const Pair& pair : pairs_) all.push_back({.name = pair.name, .value = pair.value});
  return all;
}

bool valid_bucket_name(std::string_view name) {
  if (name.size() < 3 || name.size() > 63 || looks_like_address(name)) return false;
  const auto plain = [](char c) { return http::is_digit(c) || (c >= 'a' && c <= 'z'); };
  if (!plain(name.front()) || !plain(name.back()) || name.find("..") != std::string_view::npos) return false;
  return std::ranges::all_of(name, [plain](char c) { return plain(c) || c == '.' || c == '-'; });
}

Result<Route> route(const http::RequestHead& head, std::string_view domain) {
  const auto target = http::split_target(head.target);
  if (!target || target->path.front() != '/') return refusal(ErrorCode::invalid_uri);
  Route route;
  route.path = target->path;
  if (!route.query.decode(target->query)) return refusal(ErrorCode::invalid_uri);
  std::string_view rest = target->path.substr(1);
  const std::string_view host = target->authority.empty() ? head.fields.value("host") : target->authority;
  std::string_view bucket = bucket_of_host(host, domain);
  if (bucket.empty()) {
    bucket = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(bucket.size() + 1, rest.size()));
    if (bucket.empty() && target->path != "/") return refusal(ErrorCode::invalid_bucket_name);
  }
  if (!http::percent_decode(bucket, http::Plus::literal, route.bucket) ||
      !http::percent_decode(rest, http::Plus::literal, route.key))
    return refusal(ErrorCode::invalid_uri);
  if (!route.bucket.empty() && !valid_bucket_name(route.bucket))
    return refusal(ErrorCode::invalid_bucket_name);
  if (route.key.size() > kKeyMax) return refusal(ErrorCode::key_too_long);
  route.operation = operation_of(head, route);
  return route;
}

std::optional<CopySourceName> decode_copy_source(std::string_view value) {
  CopySourceName out;
  std::string_view name = value.substr(0, value.find('?'));
  if (value.size() > name.size()) {
    constexpr std::string_view kVersion = "?versionId=";
    const std::string_view rest = value.substr(name.size());
    if (!rest.starts_with(kVersion) ||
        !http::percent_decode(rest.substr(kVersion.size()), http::Plus::literal, out.version_id))
      return std::nullopt;
  }
  // Encoded as a whole, its slash too, by some clients.
  std::string decoded;
  if (!http::percent_decode(name, http::Plus::literal, decoded)) return std::nullopt;
  std::string_view rest = decoded;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == rest.size()) return std::nullopt;
  out.bucket = rest.substr(0, slash);
  out.key = rest.substr(slash + 1);
  if (out.key.size() > kKeyMax) return std::nullopt;
  return out;
}

}  // namespace netstor::s3server
