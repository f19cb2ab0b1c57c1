// SPDX-License-Identifier: Apache-2.0

#include "server/s3/exchange.h"

#include <array>

#include "lib/wire/http/head_writer.h"
#include "server/s3/identify.h"

namespace netstor::s3server {

namespace {

using s3::ErrorCode;

/// What an operation needs, and of which name.
struct Need {
  Right right = Right::read;
  enum class Of : std::uint8_t { nobody, bucket, known_bucket, key, prefix, each } of = Of::key;
};

Need need_of(Operation operation) {
  using Of = Need::Of;
  switch (operation) {
    case Operation::list_buckets:
    case Operation::open_rdma_session:
    case Operation::not_implemented:
      return {.of = Of::nobody};
    case Operation::create_bucket:
    case Operation::delete_bucket:
    case Operation::put_bucket_versioning:
      return {.right = Right::write, .of = Of::bucket};
    case Operation::head_bucket:
    case Operation::get_bucket_location:
    case Operation::get_bucket_versioning:
      return {.of = Of::known_bucket};
    case Operation::list_objects:
    case Operation::list_objects_v2:
    case Operation::list_object_versions:
    case Operation::list_multipart_uploads:
      return {.right = Right::list, .of = Of::prefix};
    case Operation::delete_objects:
      return {.right = Right::write, .of = Of::each};
    case Operation::get_object:
    case Operation::head_object:
    case Operation::get_object_tagging:
      return {.right = Right::read, .of = Of::key};
    default:
      return {.right = Right::write, .of = Of::key};
  }
}

}  // namespace

Exchange::Exchange(Connection& connection)
    : connection_(connection),
      shard_(connection.shard()),
      request_id_(shard_.next_request_id()),
      count_(*this) {}

Task<void> Exchange::run() {
  head_only_ = connection_.request().method == http::Method::head;
  Result<void> done = begin();
  if (done) {
    auto doing = dispatch();
    done = co_await std::move(doing);
  }
  if (connection_.gone()) co_return ok();
  if (!done) {
    if (!signed_ && code_of(done.error()) == ErrorCode::access_denied) tell_of_refusal(kUnsigned, {});
    if (replied_) {
      code_ = code_of(done.error());
      connection_.abandon();
      co_return ok();
    }
    answer_error(done.error());
  }
  if (done && token_) answer_.add(s3::kRdmaReplyHeader, answer_.status);
  if (!replied_) {
    auto sending = send_answer();
    auto sent = co_await std::move(sending);
    static_cast<void>(sent);
  }
  co_return ok();
}

Result<void> Exchange::begin() {
  NETSTOR_TRY_RETURN(route_, route(connection_.request(), shard_.config().domain));
  NETSTOR_CHECK_RETURN(authenticate());
  NETSTOR_CHECK_RETURN(authorize());
  return examine_token();
}

void Exchange::tell_of_refusal(std::string_view why, std::string_view access_key_id) {
  ++shard_.counters().failed_authentications[why];
  shard_.warn(net::Warnings::Kind::refused_client, [&] {
    std::string text(connection_.peer());
    text += ": " + std::string(to_string(route_.operation)) + " of " + route_.bucket + " was refused: ";
    if (why == kUnsigned) return text + "it has no signature";
    text += std::string(why) + ", ";
    if (access_key_id.empty()) return text + "of no access key";
    if (shard_.keys()->find(access_key_id) != nullptr)
      return text + "access key " + std::string(access_key_id);
    // What names nobody may be a secret in the wrong place.
    constexpr std::size_t kShown = 4;
    const std::size_t shown = access_key_id.size() > 2 * kShown ? kShown : 0;
    return text + "access key " + std::string(access_key_id.substr(0, shown)) + "..., which is nobody's";
  });
}

// Who asks. A signature that is there has to be right, even where nobody asks for one.
Result<void> Exchange::authenticate() {
  std::array<s3::NameValue, http::kFieldsMax> headers;
  std::size_t count = 0;
  for (const http::Field& field : fields()) headers[count++] = {.name = field.name, .value = field.value};
  const std::vector<s3::NameValue> query = route_.query.views();
  const s3::RequestView request{.method = connection_.request().method_name,
                                .path = route_.path,
                                .query = query,
                                .headers = std::span(headers).first(count)};
  if (!s3::has_authorization(request)) {
    payload_hash_ = fields().value("x-amz-content-sha256");
    return ok();
  }
  signed_ = true;
  s3::Authorization said;
  const auto refused = [&](const s3::Fault& fault) {
    tell_of_refusal(to_string(fault.code), said.access_key_id);
    return refusal(fault.code, std::string(fault.text));
  };
  if (const auto fault = s3::parse_authorization(request, said)) return refused(*fault);
  if (const auto fault = s3::check_time(said, EndpointShard::wall_now())) return refused(*fault);
  const std::string_view region = shard_.config().region;
  if (const auto fault = s3::check_scope(said, region.empty() ? said.region : region)) return refused(*fault);
  const std::shared_ptr<const Keys> keys = shard_.keys();
  const Identified who = identify(*keys, shard_.verifier(), request, said);
  if (who.fault) return refused(*who.fault);
  user_ = {keys, who.user};
  payload_hash_ = said.payload_hash;
  if (const auto form = s3::payload_form(said.payload_hash); form && s3::is_streaming(*form))
    chunk_signer_ = shard_.verifier().chunks(said);
  return ok();
}

bool Exchange::may(Right right, std::string_view bucket, std::string_view key) const {
  if (user_ != nullptr && user_->may(right, bucket, key)) return true;
  const auto found = store().bucket(bucket);
  if (!found) return false;
  const store::AnonymousAccess& all = found->anonymous;
  return right == Right::read ? all.read : right == Right::write ? all.write : all.list;
}

Result<void> Exchange::authorize() const {
  const Need need = need_of(route_.operation);
  bool allowed = false;
  switch (need.of) {
    case Need::Of::nobody:
      allowed = user_ != nullptr;
      break;
    case Need::Of::bucket:
      allowed = user_ != nullptr && user_->may(need.right, route_.bucket, {});
      break;
    case Need::Of::known_bucket:
      allowed = (user_ != nullptr && user_->knows(route_.bucket)) || may(Right::read, route_.bucket, {}) ||
                may(Right::list, route_.bucket, {});
      break;
    case Need::Of::key:
      allowed = may(need.right, route_.bucket, route_.key);
      break;
    case Need::Of::prefix:
      allowed = may(need.right, route_.bucket, route_.query.value("prefix"));
      break;
    case Need::Of::each:
      allowed = user_ != nullptr || may(need.right, route_.bucket, {});
      break;
  }
  if (!allowed) return refusal(ErrorCode::access_denied);
  if (route_.operation == Operation::not_implemented) return refusal(ErrorCode::not_implemented);
  const bool needs_none =
      route_.operation == Operation::create_bucket || route_.operation == Operation::open_rdma_session;
  if (!route_.bucket.empty() && !needs_none) {
    if (auto found = store().bucket(route_.bucket); !found) return std::move(found).error();
  }
  return ok();
}

Task<void> Exchange::dispatch() {
  switch (route_.operation) {
    case Operation::list_buckets:
      return [](Exchange& self) -> Task<void> { co_return self.list_buckets(); }(*this);
    case Operation::create_bucket:
      return create_bucket();
    case Operation::delete_bucket:
      return delete_bucket();
    case Operation::head_bucket:
      return [](Exchange& self) -> Task<void> {
        self.answer_.add("x-amz-bucket-region", "us-east-1");
        co_return ok();
      }(*this);
    case Operation::get_bucket_location:
      return [](Exchange& self) -> Task<void> { co_return self.get_location(); }(*this);
    case Operation::get_bucket_versioning:
      return [](Exchange& self) -> Task<void> { co_return self.get_versioning(); }(*this);
    case Operation::put_bucket_versioning:
      return put_versioning();
    case Operation::list_objects:
      return list_objects(false);
    case Operation::list_objects_v2:
      return list_objects(true);
    case Operation::list_object_versions:
      return list_versions();
    case Operation::list_multipart_uploads:
      return list_uploads();
    case Operation::delete_objects:
      return delete_objects();
    case Operation::open_rdma_session:
      return [](Exchange& self) -> Task<void> { co_return self.open_rdma_session(); }(*this);
    default:
      return dispatch_object();
  }
}

Task<void> Exchange::dispatch_object() {
  switch (route_.operation) {
    case Operation::get_object:
      return get_object();
    case Operation::head_object:
      return head_object();
    case Operation::put_object:
      return put_object();
    case Operation::copy_object:
      return copy_object();
    case Operation::delete_object:
      return delete_object();
    case Operation::get_object_tagging:
      return get_object_tagging();
    case Operation::put_object_tagging:
      return put_object_tagging();
    case Operation::delete_object_tagging:
      return delete_object_tagging();
    case Operation::create_multipart_upload:
      return create_upload();
    case Operation::upload_part:
      return upload_part();
    case Operation::upload_part_copy:
      return upload_part_copy();
    case Operation::complete_multipart_upload:
      return complete_upload();
    case Operation::abort_multipart_upload:
      return abort_upload();
    case Operation::list_parts:
      return list_parts();
    default:
      return [](Exchange&) -> Task<void> { co_return refusal(ErrorCode::not_implemented); }(*this);
  }
}

// ---- The answer.

void Exchange::answer_error(const Error& error) {
  const ErrorCode code = code_of(error);
  code_ = code;
  const s3::ErrorFacts& known = s3::facts(code);
  // Nothing of what the answer would have been: an error is not the object.
  answer_ = std::move(refusal_);
  answer_.status = known.status;
  if (known.status == 304) return;
  // What the store says of itself is for the log, not for strangers.
  const bool ours = error.origin() == Origin::s3;
  s3::ErrorBody body;
  body.code = known.name;
  body.message = ours ? error.text() : std::string(known.message);
  body.resource = "/" + route_.bucket + (route_.key.empty() ? "" : "/" + route_.key);
  body.request_id = request_id_;
  if (code == ErrorCode::authorization_header_malformed) body.region = shard_.config().region;
  if (known.status == 503) answer_.add("Retry-After", "1");
  answer_.add("Content-Type", "application/xml");
  s3::encode(body, answer_.body);
}

std::string_view Exchange::write_head(Answer& answer) {
  http::HeadWriter head(connection_.head_memory(512 + answer.fields.size()));
  head.status_line(answer.status);
  head.field("Server", "netstord");
  head.field("Date", shard_.date());
  head.field("x-amz-request-id", request_id_);
  head.raw(answer.fields);
  if (answer.status != 204 && answer.status != 304)
    head.field("Content-Length", answer.length.value_or(answer.body.size()));
  if (connection_.will_close()) head.field("Connection", "close");
  answering_ = shard_.loop().now();
  return head.finish() && !answer.bad ? head.text() : std::string_view();
}

Task<void> Exchange::send_answer() {
  replied_ = true;
  const std::string_view head = write_head(answer_);
  if (head.empty()) {
    connection_.abandon();
    co_return ok();
  }
  const iovec body{.iov_base = answer_.body.data(), .iov_len = answer_.body.size()};
  const bool has_body = !head_only_ && !answer_.body.empty() && answer_.status != 304;
  connection_.respond(
      {.head = std::as_bytes(std::span(head)), .body = &body, .body_pieces = has_body ? 1U : 0U});
  co_await connection_.sent();
  co_return ok();
}

}  // namespace netstor::s3server
