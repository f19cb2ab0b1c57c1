// SPDX-License-Identifier: Apache-2.0
#include "lib/object/request.h"

#include <netstor/metrics.h>

#include "lib/base/encoding.h"
#include "lib/base/hash.h"
#include "lib/engine/tracer.h"
#include "lib/object/bucket_core.h"
#include "lib/wire/http/date.h"
#include "lib/wire/http/uri.h"
#include "lib/wire/s3/error_code.h"
#include "lib/wire/s3/rdma.h"

#include <algorithm>
#include <charconv>

namespace netstor::object {
namespace {

constexpr std::string_view kAgent = "netstor";
constexpr unsigned kRedirectsMost = 3;
constexpr std::string_view kRequired = ": BucketOptions::rdma requires RDMA, but ";
constexpr std::chrono::seconds kPauseMost = std::chrono::hours(1);

/// Retry-After: seconds, or a date (RFC 9110, 10.2.3). What is neither asks for nothing.
Duration pause_asked_for(std::string_view text) {
  unsigned seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (read.ec == std::errc()) return std::min(std::chrono::seconds(seconds), kPauseMost);
  if (read.ec == std::errc::result_out_of_range) return kPauseMost;
  const auto date = http::decode_http_date(text);
  if (!date) return Duration::zero();
  const Duration left = std::chrono::duration_cast<Duration>(*date - std::chrono::system_clock::now());
  return std::clamp<Duration>(left, Duration::zero(), kPauseMost);
}

}  // namespace

Error reworded(const Error& error, ErrorKind kind, std::string text, Effect effect) {
  return Error(kind, std::move(text), effect, error.origin(), error.native())
      .with_answer(std::string(error.code()), std::string(error.request_id()));
}

Request::Request(ObjectShard& shard, std::string_view method, std::string_view key)
    : shard_(shard),
      pool_(&shard.pool()),
      method_(method),
      key_(key),
      path_(pool_->endpoint().path_prefix + "/") {
  http::percent_encode(key, http::Slash::keep, path_);
  to_head = method == "HEAD";
}

void Request::payload(const iovec* pieces, unsigned count, std::uint64_t bytes) noexcept {
  body = pieces;
  body_pieces = count;
  payload_bytes_ = bytes;
}

void Request::payload(std::string own) {
  payload_text_ = std::move(own);
  payload_piece_ = {payload_text_.data(), payload_text_.size()};
  payload(&payload_piece_, 1, payload_text_.size());
  payload_hash_ = to_hex(sha256(std::as_bytes(std::span(payload_text_))));
}

void Request::payload(ChunkedPayload& chunks) {
  chunks_ = &chunks;
  body_follows = true;
  payload_bytes_ = chunks.encoded_bytes();
  decoded_bytes_ = std::to_string(chunks.decoded_bytes());
  header("x-amz-decoded-content-length", decoded_bytes_);
  header("x-amz-trailer", s3::checksum_header(chunks.kind()));
  // Before that of the object, which the service keeps without it.
  content_encoding_ = "aws-chunked";
  const auto own = std::ranges::find(headers_, "content-encoding", &s3::NameValue::name);
  if (own == headers_.end()) return header("content-encoding", content_encoding_);
  content_encoding_.append(",").append(own->value);
  own->value = content_encoding_;
}

std::optional<s3::PayloadForm> Request::chunked_form(s3::ChecksumKind sum) const noexcept {
  const bool summed = sum != s3::ChecksumKind::none;
  if (shard_.options().payload_signing != PayloadSigning::chunks || shard_.options().anonymous ||
      sum == s3::ChecksumKind::md5)
    return std::nullopt;
  if (signs_payload())
    return summed ? s3::PayloadForm::streaming_signed_trailer : s3::PayloadForm::streaming_signed;
  if (summed) return s3::PayloadForm::streaming_unsigned_trailer;
  return std::nullopt;
}

std::string_view Request::payload_said() const noexcept {
  if (chunks_ != nullptr) return s3::streaming_name(chunks_->form());
  if (payload_bytes_ == 0) return s3::kEmptyPayload;
  return payload_hash_.empty() ? s3::kUnsignedPayload : std::string_view(payload_hash_);
}

bool Request::signs_payload() const noexcept {
  if (shard_.options().anonymous) return false;
  const PayloadSigning wish = shard_.options().payload_signing;
  return wish == PayloadSigning::always || (wish != PayloadSigning::never && !pool_->endpoint().tls);
}

Result<void> Request::use_rdma(std::span<const iovec> pieces, bool writable) {
  const BucketOptions& options = shard_.options();
  std::uint64_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  if (options.rdma == RdmaUse::never || bytes < options.rdma_from_bytes) return {};
  auto obstacle = pool_->rdma_obstacle();
  const bool to_be_signed = !writable && options.payload_signing == PayloadSigning::always;
  if (!obstacle && to_be_signed) obstacle = "a payload that goes by RDMA is not signed";
  if (!obstacle && pieces.size() != 1) obstacle = "the memory is in several pieces";
  if (!obstacle) {
    remote = pieces[0];
    remote_writable = writable;
  } else if (options.rdma == RdmaUse::required) {
    return required_but(*obstacle);
  } else if (detail::tracer.hook != nullptr) {
    obstacle_ = *obstacle;
  }
  return {};
}

// What may go by RDMA to one place need not to the next.
Task<void> Request::reconsider_rdma() {
  if (!may_go_by_rdma() && !session_only) co_return ok();
  const auto obstacle = pool_->rdma_obstacle();
  if (!obstacle) co_return ok();
  if (session_only || shard_.options().rdma == RdmaUse::required) co_return required_but(*obstacle);
  auto turning = go_by_http(*obstacle);
  co_return co_await std::move(turning);
}

Error Request::required_but(std::string_view obstacle) const {
  return {ErrorKind::unsupported, without_rdma() + std::string(obstacle)};
}

Task<void> Request::go_by_http(std::string_view reason) {
  remote = {};
  trace("bucket", "goes by http", reason);
  if (rdma_reply == kRdmaDeclined && first_token) pool_->rdma_declined("the service declined it (HTTP 501)");
  if (!before_http_) co_return ok();
  auto preparing = before_http_();
  co_return co_await std::move(preparing);
}

void Request::write_session_head(http::HeadWriter& head) {
  const std::string path = pool_->endpoint().path_prefix + "/";
  const s3::NameValue query{s3::kRdmaQuery, ""};
  write(head,
        {.method = "POST", .path = path, .query = {&query, 1}, .headers = {}, .hash = s3::kEmptyPayload});
}

void Request::write_head(http::HeadWriter& head) {
  if (!token().empty()) {
    // The payload goes another way, and nobody has to be asked to take it.
    absl::InlinedVector<s3::NameValue, 16> headers;
    for (const s3::NameValue& one : headers_) {
      if (one.name != "expect") headers.push_back(one);
    }
    headers.push_back({s3::kRdmaTokenHeader, token()});
    return write(head, {.method = method_,
                        .path = path_,
                        .query = query_,
                        .headers = headers,
                        .hash = s3::kUnsignedPayload});
  }
  write(head, {.method = method_,
               .path = path_,
               .query = query_,
               .headers = headers_,
               .hash = payload_said(),
               .body_bytes = payload_bytes_});
  if (chunks_ == nullptr) return;
  const bool with_signatures = chunks_->form() != s3::PayloadForm::streaming_unsigned_trailer;
  chunks_->restart(with_signatures ? std::optional(shard_.signer().chunks()) : std::nullopt);
}

void Request::write(http::HeadWriter& head, const Line& line) {
  const Endpoint& endpoint = pool_->endpoint();
  const std::string& authority = endpoint.authority;
  const bool anonymous = shard_.options().anonymous;
  const auto date = http::encode_basic_date(std::chrono::system_clock::now());
  std::string target(line.path);
  std::string_view authorization;
  signed_.clear();
  signed_.push_back({"host", authority});
  if (!anonymous) {
    s3::Signer& signer = shard_.signer();
    signed_.push_back({"x-amz-content-sha256", line.hash});
    signed_.push_back({"x-amz-date", date});
    if (!signer.session_token().empty()) signed_.push_back({"x-amz-security-token", signer.session_token()});
  }
  if (shard_.options().requester_pays) signed_.push_back({"x-amz-request-payer", "requester"});
  for (const s3::NameValue& one : line.headers) {
    if (one.name.starts_with("x-amz-")) signed_.push_back(one);
  }
  if (!anonymous) {
    s3::Signer& signer = shard_.signer();
    authorization = signer.authorization(
        {.method = line.method, .path = line.path, .query = line.query, .headers = signed_}, line.hash, date);
    if (!line.query.empty()) target.append("?").append(signer.canonical().query());
  } else {
    char separator = '?';
    for (const s3::NameValue& one : line.query) {
      target += std::exchange(separator, '&');
      http::percent_encode(one.name, http::Slash::encode, target);
      target += '=';
      http::percent_encode(one.value, http::Slash::encode, target);
    }
  }
  // A proxy that reads what is asked for wants to know whom (RFC 9112, 3.2.2).
  const bool to_proxy = endpoint.proxy && !endpoint.tls;
  if (to_proxy) target.insert(0, "http://" + authority);
  head.request_line(line.method, target);
  if (to_proxy && !endpoint.proxy->authorization.empty())
    head.field("proxy-authorization", endpoint.proxy->authorization);
  for (const s3::NameValue& one : signed_) head.field(one.name, one.value);
  for (const s3::NameValue& one : line.headers) {
    if (!one.name.starts_with("x-amz-")) head.field(one.name, one.value);
  }
  if (line.body_bytes != 0 || line.method == "PUT" || line.method == "POST")
    head.field("content-length", line.body_bytes);
  head.field("user-agent", kAgent);
  if (!authorization.empty()) head.field("authorization", authorization);
}

void Request::take_head(const http::ResponseHead& head) {
  request_id_ = head.fields.value("x-amz-request-id");
  if (head.status / 100 == 2) {
    if (take_) take_(head);
    return;
  }
  region_ = head.fields.value("x-amz-bucket-region");
  location_ = head.fields.value("location");
  asked_pause_ = pause_asked_for(head.fields.value("retry-after"));
}

// A session may be lost under its first token, too: what the next one's is answered decides.
bool Request::may_do_by_new_session() const noexcept {
  return rdma_reply == kRdmaDeclined && (!token_declined_ || session_forgotten());
}

void Request::examine() {
  ++tries_;
  hidden_ = false;
  body_ = {};
  if (outcome == Outcome::answered) {
    hidden_ = may_hide_error && status / 100 == 2 && s3::xml_root(text) == "Error";
    if (status / 100 == 2 && !hidden_) return;
    if (!text.empty()) {
      // Many an answer has no S3 error in it (a proxy's page): the status has to do then.
      if (Result<s3::ErrorBody> read = s3::decode_error(text); read.ok()) body_ = *std::move(read);
    }
    const s3::Meaning meaning = s3::meaning_of(status, body_.code);
    failure.retryable_answer = meaning.retryable || may_do_by_new_session();
    token_declined_ = token_declined_ || rdma_reply == kRdmaDeclined;
    // Of the request itself nothing went out; or the endpoint's duty is that it has changed nothing.
    failure.refused = meaning.refused || !sent || rdma_reply >= 300;
    if (asked_pause_ > Duration::zero()) failure.asked_pause = asked_pause_;
    if (!failure.refused) may_have_happened_ = true;
  } else if (sent) {
    may_have_happened_ = true;
  }
}

bool Request::learn_region() {
  const std::string& told = !body_.region.empty() ? body_.region : region_;
  const bool wrong_region = status == 301 || status == 307 || status == 400;
  if (!wrong_region || told.empty() || told == shard_.signer().region()) return false;
  shard_.signer().set_region(told);
  return true;
}

Result<bool> Request::follow() {
  if (outcome != Outcome::answered) return false;
  const bool moved = learn_region();
  const bool redirected = status == 301 || status == 307 || status == 308;
  if (!moved && !redirected) return false;
  const auto refuse = [&](ErrorKind means, const std::string& words) {
    const Effect effect = changes && may_have_happened_ ? Effect::unknown : Effect::none;
    return Error(means, what() + ": " + words, effect, Origin::s3, static_cast<std::int32_t>(status));
  };
  if (redirects_++ == kRedirectsMost)
    return refuse(ErrorKind::protocol, "the service sends this from one place to the next without end");
  if (!redirected) return true;
  const Endpoint& from = pool_->endpoint();
  // Who asks for a session asks the bucket for it, whatever the request is about.
  const std::string asked = sent ? path_ : from.path_prefix + "/";
  const Endpoint& configured = shard_.core().endpoint();
  std::string to = location_;
  if (to.empty() && !body_.endpoint.empty()) {
    // Of Amazon: the name of the bucket's own host, or of its service.
    to = (from.tls ? "https://" : "http://") + body_.endpoint;
    const std::string& bucket = shard_.core().name();
    const bool of_bucket = body_.endpoint.starts_with(bucket + ".");
    to += !of_bucket ? asked : asked.substr(from.path_prefix.size());
  }
  if (to.empty() && moved && shard_.core().follows_region()) {
    NETSTOR_TRY_RETURN(
        const Endpoint regional,
        make_endpoint({}, shard_.signer().region(), shard_.options().addressing, shard_.core().name()));
    to = "https://" + regional.authority + asked;
  }
  if (to.empty()) return moved;
  Result<Redirect> redirect = follow_redirect(configured, from, asked, to);
  if (!redirect) return refuse(redirect.error().kind(), redirect.error().text());
  // The bucket's new place, when its name is where it was, or is the host's; else only that of this object.
  std::string own = "/";
  http::percent_encode(key_, http::Slash::keep, own);
  const std::string key = sent ? own : "/";
  const bool same_key = redirect->path.ends_with(key);
  const std::string prefix = same_key ? redirect->path.substr(0, redirect->path.size() - key.size()) : "";
  const bool by_host = prefix.empty() && redirect->endpoint.host.starts_with(shard_.core().name() + ".");
  const bool of_bucket = same_key && (prefix == from.path_prefix || by_host);
  if (!sent && !of_bucket)
    return refuse(ErrorKind::protocol, "the service sends who asks for a session of RDMA to another bucket");
  if (of_bucket) redirect->endpoint.path_prefix = prefix;
  NETSTOR_TRY_RETURN(pool_, shard_.pool_of(redirect->endpoint));
  path_ = of_bucket ? prefix + own : std::move(redirect->path);
  if (of_bucket && status != 307) shard_.move_to(*pool_);
  return true;
}

bool Request::identity_ended() const {
  const auto code = s3::error_code_of(body_.code);
  return outcome == Outcome::answered && !shard_.options().anonymous &&
         (code == s3::ErrorCode::expired_token || code == s3::ErrorCode::invalid_token);
}

std::string Request::what() const {
  std::string name = std::string(method_) + " s3://" + shard_.core().name();
  if (!key_.empty()) name += "/" + key_;
  return name;
}

std::string Request::without_rdma() const { return what() + std::string(session_only ? ": " : kRequired); }

Error Request::error() const {
  const Effect effect = changes && may_have_happened_ ? Effect::unknown : Effect::none;
  const std::string times = tries_ > 1 ? " (" + std::to_string(tries_) + " tries)" : "";
  if (outcome == Outcome::cancelled) {
    return {ErrorKind::cancelled, what() + ": cancelled", changes && sent ? Effect::unknown : effect};
  }
  if (outcome == Outcome::declined) {
    return {ErrorKind::unsupported, without_rdma() + why + times, effect, origin, native};
  }
  if (outcome != Outcome::answered) {
    return {kind, (rdma_missing ? without_rdma() : what() + ": ") + why + times, effect, origin, native};
  }
  ErrorKind means = s3::meaning_of(status, body_.code).kind;
  if (status == 412) means = condition_failed;
  if (status == 304) means = ErrorKind::compare_failed;
  if (session_forgotten()) means = ErrorKind::disconnected;
  std::string words = rdma_declined() ? without_rdma() : what() + ": ";
  if (!sent) words += "asking for a session of RDMA: ";
  if (session_forgotten()) words += "the endpoint knows its session of RDMA no more: ";
  words += body_.code.empty() ? "the service answered" : body_.code;
  if (!body_.message.empty()) words += ": " + body_.message;
  words += " (HTTP " + std::to_string(status);
  const std::string& id = body_.request_id.empty() ? request_id_ : body_.request_id;
  if (!id.empty()) words += ", request " + id;
  words += ")" + times;
  return Error(means, std::move(words), effect, Origin::s3, static_cast<std::int32_t>(status))
      .with_answer(body_.code, id);
}

void Request::tell(const char* room, const char* what, std::string_view detail) const noexcept {
  const bool answered = outcome == Outcome::answered && status / 100 == 2;
  TracePoint point;
  point.request = trace_;
  point.room = room;
  point.what = what;
  point.verb = method_.data();  // of a literal
  point.offset = offset;
  point.length = into_bytes == 0 ? payload_bytes_ : answered ? received : into_bytes;
  // Whoever does not know what a token is answers as if there were none.
  const bool by_rdma = may_go_by_rdma() && (!answered || rdma_reply != 0);
  point.path = by_rdma ? "rdma" : pool_->endpoint().tls ? "https" : "http";
  point.bucket = shard_.core().name();
  point.key = key_;
  point.detail = detail;
  detail::tracer.tell(point);
}

void Request::begin_trace() noexcept {
  trace_ = detail::tracer.request();
  trace("bucket", "asked");
  if (!obstacle_.empty()) trace("bucket", "goes by http", obstacle_);
}

// Method, bucket and key are the point's own, and its reader may have little room for why.
void Request::trace_failure(const char* happened, const Error& error) const {
  if (!is_traced()) return;
  const std::string own = what() + ": ";
  std::string_view words = error.text();
  if (words.starts_with(own)) words.remove_prefix(own.size());
  trace("bucket", happened, words);
}

void Request::end_trace(const Result<void>& result) const {
  result ? trace("bucket", "done") : trace_failure("failed", result.error());
}

namespace {

Task<void> send_until_done(Request& request) {
  ObjectShard& shard = request.shard();
  const BucketOptions& options = shard.options();
  bool replaced = false;
  for (unsigned retry = 0;;) {
    if (shard.wants_credentials()) {
      auto refreshing = shard.refresh_credentials();
      NETSTOR_CHECK(co_await std::move(refreshing));
    }
    const Result<void> ended = co_await request.pool().exchange(request);
    static_cast<void>(ended);  // the exchange says how
    request.examine();
    if (request.succeeded()) {
      shard.budget().succeeded();
      co_return ok();
    }
    if (request.outcome == Exchange::Outcome::cancelled) co_return request.error();
    if (request.rdma_declined() && options.rdma == RdmaUse::automatic) {
      auto turning = request.go_by_http(request.why);
      NETSTOR_CHECK(co_await std::move(turning));
      continue;
    }
    NETSTOR_TRY(const bool moved, request.follow());
    if (moved) {
      request.trace("bucket", "redirected");
      auto looking = request.reconsider_rdma();
      NETSTOR_CHECK(co_await std::move(looking));
      continue;
    }
    if (request.identity_ended() && !std::exchange(replaced, true)) {
      auto replacing = shard.replace_credentials();
      if (const Result<void> found = co_await std::move(replacing); found) continue;
    }
    if (retry == options.retries || !may_retry(request.failure, request.repeat) || !shard.budget().take()) {
      co_return request.error();
    }
    // What RDMA could not do HTTP may.
    if (request.may_go_by_rdma() && request.failure.unanswered && options.rdma == RdmaUse::automatic) {
      auto turning = request.go_by_http(request.why);
      NETSTOR_CHECK(co_await std::move(turning));
    }
    if (request.is_traced()) request.trace_failure("repeats", request.error());
    ++retry;
    ++shard.loop().metrics().replays;
    const Duration pause = pause_before(retry, options, request.failure, shard.loop().random());
    if (Result<void> slept = co_await sleep(pause); !slept) {
      const Error last = request.error();
      co_return reworded(last, slept.error().kind(), last.text(), last.effect());
    }
  }
}

Task<void> send_traced(Request& request) {
  request.begin_trace();
  auto sending = send_until_done(request);
  Result<void> result = co_await std::move(sending);
  request.end_trace(result);
  co_return result;
}

}  // namespace

Task<void> perform(Request& request) {
  return detail::tracer.hook == nullptr ? send_until_done(request) : send_traced(request);
}

}  // namespace netstor::object
