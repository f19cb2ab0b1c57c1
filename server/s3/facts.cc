// SPDX-License-Identifier: Apache-2.0

#include "server/s3/facts.h"

#include <algorithm>
#include <array>

#include "lib/wire/http/etag.h"
#include "lib/wire/http/text.h"
#include "lib/wire/http/uri.h"

namespace netstor::s3server {

namespace {

using s3::ErrorCode;

constexpr std::string_view kMeta = "x-amz-meta-";
constexpr std::size_t kMetaBytesMax = 2048;
constexpr std::size_t kObjectTagsMax = 10;
constexpr auto kKept = std::to_array<std::string_view>(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "content-type",
     "expires", "x-amz-website-redirect-location"});

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), http::lower);
  return out;
}

/// Content-Encoding without aws-chunked, which is of the transfer.
std::string without_aws_chunked(std::string_view list) {
  std::string out;
  for (std::string_view element; http::next_element(list, element);) {
    if (http::equal_without_case(element, "aws-chunked")) continue;
    if (!out.empty()) out += ", ";
    out += element;
  }
  return out;
}

Result<void> add_meta(const http::Field& field, store::ObjectFacts& facts, std::size_t& bytes) {
  std::string name = lower(field.name.substr(kMeta.size()));
  bytes += name.size() + field.value.size();
  if (name.empty() || bytes > kMetaBytesMax) return refusal(ErrorCode::metadata_too_large);
  const auto same = std::ranges::find(facts.user, name, [](const auto& pair) { return pair.first; });
  if (same == facts.user.end()) {
    facts.user.emplace_back(std::move(name), field.value);
  } else {
    same->second += "," + std::string(field.value);
  }
  return ok();
}

/// What no field of a head may hold.
bool has_controls(std::string_view value) {
  return std::ranges::any_of(
      value, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; });
}

}  // namespace

void Answer::add(std::string_view name, std::string_view value) {
  bad = bad || has_controls(value);
  fields.append(name).append(": ").append(value).append("\r\n");
}

void Answer::add_quoted(std::string_view name, std::string_view value) {
  fields.append(name).append(": \"").append(value).append("\"\r\n");
}

ErrorCode code_of(const Error& error) {
  if (error.origin() == Origin::s3) return static_cast<ErrorCode>(error.native());
  using store::ObjectFault;
  switch (store::fault(error)) {
    case ObjectFault::none:
      break;
    case ObjectFault::no_such_bucket:
      return ErrorCode::no_such_bucket;
    case ObjectFault::bucket_exists:
      return ErrorCode::bucket_already_owned_by_you;
    case ObjectFault::bucket_not_empty:
      return ErrorCode::bucket_not_empty;
    case ObjectFault::no_such_key:
    case ObjectFault::delete_marker:
      return ErrorCode::no_such_key;
    case ObjectFault::no_such_version:
      return ErrorCode::no_such_version;
    case ObjectFault::no_such_upload:
      return ErrorCode::no_such_upload;
    case ObjectFault::condition_failed:
      return ErrorCode::precondition_failed;
    case ObjectFault::invalid_part:
      return ErrorCode::invalid_part;
    case ObjectFault::invalid_part_order:
      return ErrorCode::invalid_part_order;
    case ObjectFault::part_too_small:
      return ErrorCode::entity_too_small;
    case ObjectFault::invalid_argument:
      return ErrorCode::invalid_argument;
    case ObjectFault::too_large:
      return ErrorCode::entity_too_large;
  }
  switch (error.kind()) {
    case ErrorKind::no_space:
      return ErrorCode::storage_full;
    case ErrorKind::exhausted:
      return ErrorCode::slow_down;
    case ErrorKind::cancelled:
      return ErrorCode::service_unavailable;
    default:
      return ErrorCode::internal_error;
  }
}

Result<void> check_supported(const http::Fields& fields) {
  for (const http::Field& field : fields) {
    if (field.name.size() < 6 || !http::equal_without_case(field.name.substr(0, 6), "x-amz-")) continue;
    const std::string name = lower(field.name);
    if (name.starts_with("x-amz-server-side-encryption") ||
        name.starts_with("x-amz-copy-source-server-side-encryption"))
      return refusal(ErrorCode::not_implemented, "This endpoint does not encrypt what it stores.");
    if (name.starts_with("x-amz-object-lock-"))
      return refusal(ErrorCode::not_implemented, "This endpoint does not lock objects.");
    if (name.starts_with("x-amz-grant-") ||
        (name == "x-amz-acl" && field.value != "private" && field.value != "bucket-owner-full-control"))
      return refusal(ErrorCode::not_implemented, "This endpoint has no ACLs but private.");
  }
  return ok();
}

Result<store::NamedValues> check_tags(s3::Tags tags) {
  if (tags.size() > kObjectTagsMax)
    return refusal(ErrorCode::bad_request, "Object tags cannot be greater than 10");
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const auto& [name, value] = tags[i];
    if (name.empty() || name.size() > 128 || value.size() > 256 || name.starts_with("aws:"))
      return refusal(ErrorCode::invalid_tag);
    for (std::size_t j = 0; j < i; ++j) {
      if (tags[j].first == name)
        return refusal(ErrorCode::invalid_tag, "Cannot provide multiple Tags with the same key");
    }
  }
  return tags;
}

Result<store::ObjectFacts> facts_of(const http::Fields& fields) {
  NETSTOR_CHECK_RETURN(check_supported(fields));
  store::ObjectFacts facts;
  std::size_t meta_bytes = 0;
  for (const http::Field& field : fields) {
    if (field.name.size() > kMeta.size() &&
        http::equal_without_case(field.name.substr(0, kMeta.size()), kMeta)) {
      NETSTOR_CHECK_RETURN(add_meta(field, facts, meta_bytes));
      continue;
    }
    for (const std::string_view kept : kKept) {
      if (!http::equal_without_case(field.name, kept)) continue;
      std::string value =
          kept == "content-encoding" ? without_aws_chunked(field.value) : std::string(field.value);
      if (!value.empty()) facts.headers.emplace_back(kept, std::move(value));
    }
  }
  if (const auto tagging = fields.find("x-amz-tagging")) {
    s3::Tags tags;
    for (http::QueryReader reader(*tagging); reader.next();) {
      auto& [name, value] = tags.emplace_back();
      if (!http::percent_decode(reader.name(), http::Plus::space, name) ||
          !http::percent_decode(reader.value(), http::Plus::space, value))
        return refusal(ErrorCode::invalid_tag);
    }
    NETSTOR_TRY_RETURN(facts.tags, check_tags(std::move(tags)));
  }
  return facts;
}

Result<store::ObjectConditions> write_conditions(const http::Fields& fields) {
  store::ObjectConditions conditions;
  const auto one = [&fields](std::string_view name, std::string& out) {
    const auto value = fields.find(name);
    if (!value) return true;
    http::TagReader reader(*value);
    if (reader.any()) {
      out = "*";
      return true;
    }
    if (!reader.next()) return false;
    out = reader.tag().opaque;
    return !reader.next() && !reader.failed() && !out.empty();
  };
  if (!one("if-match", conditions.if_match) || !one("if-none-match", conditions.if_none_match))
    return refusal(ErrorCode::not_implemented, "A condition has one entity tag, or *.");
  return conditions;
}

void describe(const store::ObjectVersion& version, Answer& answer) {
  answer.add("Last-Modified", http::encode_http_date(wall_time(version.modified_ms)));
  answer.add_quoted("ETag", version.etag);
  answer.add("Accept-Ranges", "bytes");
  bool typed = false;
  for (const auto& [name, value] : version.headers) {
    typed = typed || name == "content-type";
    answer.add(name, value);
  }
  if (!typed) answer.add("Content-Type", "binary/octet-stream");
  for (const auto& [name, value] : version.user) answer.add(std::string(kMeta) + name, value);
  if (!version.tags.empty()) answer.add("x-amz-tagging-count", version.tags.size());
  if (version.versioned) answer.add("x-amz-version-id", version.version_id);
}

void describe_checksums(const std::vector<store::ObjectChecksum>& checksums, Answer& answer) {
  for (const store::ObjectChecksum& each : checksums) {
    if (each.value.empty()) continue;
    answer.add(s3::checksum_header(static_cast<s3::ChecksumKind>(each.algorithm)), each.value);
    answer.add("x-amz-checksum-type",
               s3::to_string(each.composite ? s3::ChecksumType::composite : s3::ChecksumType::full_object));
  }
}

Result<void> override_headers(const Query& query, store::ObjectVersion& version) {
  constexpr std::string_view kResponse = "response-";
  for (const Query::Pair& pair : query.pairs()) {
    if (!pair.name.starts_with(kResponse)) continue;
    const std::string_view name = std::string_view(pair.name).substr(kResponse.size());
    if (std::ranges::find(kKept, name) == kKept.end() || name.starts_with("x-amz-")) continue;
    if (has_controls(pair.value))
      return refusal(ErrorCode::invalid_argument, pair.name + " has control characters in it.");
    const auto same = std::ranges::find(version.headers, name,
                                        [](const auto& field) -> std::string_view { return field.first; });
    if (same == version.headers.end()) {
      version.headers.emplace_back(name, pair.value);
    } else {
      same->second = pair.value;
    }
  }
  return ok();
}

Verdict judge(const http::Fields& fields, std::string_view prefix, const store::ObjectVersion& version) {
  const auto field = [&](std::string_view name) {
    return fields.find(std::string(prefix) + std::string(name));
  };
  // To the second, as dates in fields are.
  const auto modified = std::chrono::floor<std::chrono::seconds>(wall_time(version.modified_ms));
  const auto date = [&](std::string_view name) {
    const auto text = field(name);
    return text ? http::decode_http_date(*text) : std::nullopt;
  };
  if (const auto tags = field("if-match")) {
    if (http::match_strongly(*tags, version.etag) != http::TagMatch::yes) return Verdict::failed;
  } else if (const auto since = date("if-unmodified-since"); since && modified > *since) {
    return Verdict::failed;
  }
  if (const auto tags = field("if-none-match")) {
    if (http::match_weakly(*tags, version.etag) == http::TagMatch::yes) return Verdict::not_modified;
  } else if (const auto since = date("if-modified-since"); since && modified <= *since) {
    return Verdict::not_modified;
  }
  return Verdict::go_on;
}

store::ObjectChecksum stored_checksum(const s3::ObjectChecksum& checksum) {
  return {.algorithm = static_cast<std::uint8_t>(checksum.checksum.kind),
          .composite = checksum.parts != 0,
          .value = checksum.text()};
}

std::optional<s3::ObjectChecksum> checksum_of(const store::ObjectChecksum& stored) {
  return s3::decode_object_checksum(static_cast<s3::ChecksumKind>(stored.algorithm), stored.value);
}

}  // namespace netstor::s3server
