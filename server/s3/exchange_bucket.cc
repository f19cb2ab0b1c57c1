// SPDX-License-Identifier: Apache-2.0
// Buckets, and the deletion of many objects.

#include "server/s3/exchange.h"

namespace netstor::s3server {

using s3::ErrorCode;

namespace {

constexpr std::size_t kSmallBytesMax = 64 << 10;
constexpr std::size_t kDeleteBytesMax = 4 << 20;

}  // namespace

Result<void> Exchange::list_buckets() {
  s3::ListAllMyBucketsResult result;
  result.owner = {.id = "netstor", .display_name = "netstor"};
  const std::string_view prefix = route_.query.value("prefix");
  result.prefix = prefix;
  for (const store::Bucket& bucket : store().buckets()) {
    if (user_->knows(bucket.name) && bucket.name.starts_with(prefix))
      result.buckets.push_back({.name = bucket.name, .created = wall_time(bucket.created_ms), .region = {}});
  }
  std::string text;
  s3::encode(result, text);
  answer_.set_xml(std::move(text));
  return ok();
}

Task<void> Exchange::create_bucket() {
  NETSTOR_CHECK(check_supported(fields()));
  auto receiving = receive_text(kSmallBytesMax);
  NETSTOR_TRY(const std::string text, co_await std::move(receiving));
  // Any place is this place.
  if (!text.empty() && !s3::decode_create_bucket(text)) co_return refusal(ErrorCode::malformed_xml);
  auto creating = store().create_bucket(route_.bucket);
  NETSTOR_TRY(const store::Bucket created, co_await std::move(creating));
  answer_.add("Location", "/" + created.name);
  co_return ok();
}

Task<void> Exchange::delete_bucket() {
  auto removing = store().remove_bucket(route_.bucket);
  NETSTOR_CHECK(co_await std::move(removing));
  answer_.status = 204;
  co_return ok();
}

Result<void> Exchange::get_location() {
  std::string text;
  s3::encode_location({}, text);
  answer_.set_xml(std::move(text));
  return ok();
}

Result<void> Exchange::get_versioning() {
  NETSTOR_TRY_RETURN(const store::Bucket bucket, store().bucket(route_.bucket));
  std::string text;
  s3::encode(bucket.versioning == store::Versioning::off       ? s3::Versioning::never
             : bucket.versioning == store::Versioning::enabled ? s3::Versioning::enabled
                                                               : s3::Versioning::suspended,
             text);
  answer_.set_xml(std::move(text));
  return ok();
}

Task<void> Exchange::put_versioning() {
  auto receiving = receive_text(kSmallBytesMax);
  NETSTOR_TRY(const std::string text, co_await std::move(receiving));
  const auto wanted = s3::decode_versioning(text);
  if (!wanted || *wanted == s3::Versioning::never) co_return refusal(ErrorCode::malformed_xml);
  auto setting = store().set_versioning(route_.bucket, *wanted == s3::Versioning::enabled
                                                           ? store::Versioning::enabled
                                                           : store::Versioning::suspended);
  Result<void> set = co_await std::move(setting);
  co_return std::move(set);
}

// All at once: they share their syncs.
Task<void> Exchange::delete_objects() {
  auto receiving = receive_text(kDeleteBytesMax);
  NETSTOR_TRY(const std::string text, co_await std::move(receiving));
  const auto asked = s3::decode_delete(text);
  if (!asked) co_return refusal(ErrorCode::malformed_xml);
  std::vector<Future<store::RemovedObject>> removing;
  for (const s3::ObjectName& name : asked->objects) {
    if (may(Right::write, route_.bucket, name.key)) {
      removing.push_back(store().remove(route_.bucket, name.key, name.version_id));
    } else {
      removing.push_back(make_ready(Result<store::RemovedObject>(refusal(ErrorCode::access_denied))));
    }
  }
  auto all = when_all(std::move(removing));
  NETSTOR_TRY(auto removed, co_await std::move(all));
  s3::DeleteResult result;
  for (std::size_t i = 0; i < removed.size(); ++i) {
    const s3::ObjectName& name = asked->objects[i];
    if (!removed[i]) {
      const s3::ErrorFacts& why = s3::facts(code_of(removed[i].error()));
      result.failed.push_back({.key = name.key,
                               .version_id = name.version_id,
                               .code = std::string(why.name),
                               .message = std::string(why.message)});
    } else if (!asked->quiet) {
      const store::RemovedObject& gone = *removed[i];
      result.deleted.push_back(
          {.key = name.key,
           .version_id = name.version_id,
           .delete_marker = gone.delete_marker,
           .delete_marker_version_id = gone.delete_marker ? gone.version_id : std::string()});
    }
  }
  std::string body;
  s3::encode(result, body);
  answer_.set_xml(std::move(body));
  co_return ok();
}

}  // namespace netstor::s3server
