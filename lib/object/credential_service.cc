// SPDX-License-Identifier: Apache-2.0
#include "lib/object/credential_service.h"

#include "lib/base/assert.h"
#include "lib/base/encoding.h"
#include "lib/base/hash.h"
#include "lib/object/helper_thread.h"
#include "lib/object/pool.h"
#include "lib/wire/http/date.h"
#include "lib/wire/http/uri.h"
#include "lib/wire/s3/sigv4.h"
#include "lib/wire/s3/sts.h"

#include <netstor/uri.h>

#include <algorithm>

namespace netstor::object {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTryMost = seconds(10);  // however slowly the answer comes
constexpr std::size_t kAnswerMost = 64 << 10;

/// One question and its answer.
class Question final : public Exchange {
 public:
  Question(std::string method, std::string target) : method_(std::move(method)), target_(std::move(target)) {
    text_bytes_most = kAnswerMost;
  }
  void header(std::string name, std::string value) {
    headers_.emplace_back(std::move(name), std::move(value));
  }
  void payload(std::string bytes) {
    payload_ = std::move(bytes);
    piece_ = {payload_.data(), payload_.size()};
    body = &piece_;
    body_pieces = 1;
  }

 private:
  void write_head(http::HeadWriter& head) override {
    head.request_line(method_, target_);
    for (const auto& [name, value] : headers_) head.field(name, value);
    if (method_ != "GET") head.field("content-length", payload_.size());
    head.field("user-agent", "netstor");
  }
  void take_head(const http::ResponseHead&) override {}

  std::string method_;
  std::string target_;
  Pairs headers_;
  std::string payload_;
  iovec piece_{};
};

/// Where a URL leads, and what is asked for there.
struct Place {
  Endpoint endpoint;
  std::string target;
};
Result<Place> place_of(const std::string& url) {
  const auto scheme = url.find("://");
  const auto end = scheme == url.npos ? url.npos : std::min(url.find_first_of("/?#", scheme + 3), url.size());
  if (end == url.npos) return Error(ErrorKind::invalid_argument, "a URL is expected");
  Place place;
  NETSTOR_TRY_RETURN(place.endpoint, make_endpoint(url.substr(0, end), {}, Addressing::path, {}));
  place.target = url.substr(end);
  if (place.target.empty() || place.target.front() != '/') place.target.insert(0, 1, '/');
  return place;
}

/// Asks one service, a few times where that may help.
class Asker {
 public:
  Asker(detail::ShardLoop& loop, const CredentialSource& source, std::string name)
      : loop_(loop), source_(source), name_(std::move(name)) {
    limits_.connections = 1;
    limits_.connect_timeout = limits_.first_byte_timeout = seconds(3);
  }
  ~Asker() { NETSTOR_ASSERT(!pool_ || pool_->empty()); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  const std::string& name() const noexcept { return name_; }
  /// A service that is there or not: a short wait, and one try.
  void be_brief() {
    tries_ = 1;
    limits_.connect_timeout = limits_.first_byte_timeout = seconds(1);
  }
  Task<void> open(const Endpoint& endpoint, bool by_proxy) {
    Endpoint to = endpoint;
    std::shared_ptr<const tls::Context> tls;
    if (by_proxy) {
      NETSTOR_TRY(to.proxy, proxy_for(source_.proxies, to.tls, to.host, to.port));
    }
    if (to.tls) {
      auto reading =
          on_helper_thread(loop_, [this] { return tls::Context::make({.ca_file = source_.ca_file}); });
      NETSTOR_TRY(tls, co_await std::move(reading));
    }
    NETSTOR_TRY(Port* const port, loop_.port("tcp"));
    pool_ = std::make_unique<Pool>(loop_, *port, limits_, std::move(to), std::move(tls));
    co_return ok();
  }
  /// The text of a 200. `make` makes the question, for each try anew.
  template <class F>
  Task<std::string> ask(F make) {
    for (unsigned tried = 1;; ++tried) {
      std::unique_ptr<Question> question = make();
      const Time late = loop_.now() + kTryMost;
      auto asking = with_deadline(pool_->exchange(*question), kTryMost);
      const Result<void> ended = co_await std::move(asking);
      static_cast<void>(ended);  // the question says how
      if (question->outcome == Exchange::Outcome::answered && question->status == 200)
        co_return std::move(question->text);
      const bool again = question->outcome == Exchange::Outcome::failed || question->status >= 500;
      if (tried >= tries_ || !again) co_return why_not(*question, loop_.now() >= late);
      NETSTOR_CHECK(co_await sleep(milliseconds(100) * tried));
    }
  }
  Task<void> close() {
    if (pool_) pool_->close();
    while (pool_ && !pool_->empty()) NETSTOR_CHECK(co_await yield());
    co_return ok();
  }

 private:
  Error why_not(const Question& question, bool late) const {
    if (question.outcome == Exchange::Outcome::failed)
      return {question.kind, name_ + ": " + question.why, Effect::none, question.origin, question.native};
    if (question.outcome != Exchange::Outcome::answered) {
      return {late ? ErrorKind::timed_out : ErrorKind::cancelled,
              name_ + (late ? ": no answer in time" : ": cancelled")};
    }
    const std::string code = s3::sts_error_code(question.text);
    return {question.status >= 500 ? ErrorKind::disconnected : ErrorKind::permission_denied,
            name_ + " answered " + (code.empty() ? "" : code + " ") + "(HTTP " +
                std::to_string(question.status) + ")"};
  }

  detail::ShardLoop& loop_;
  const CredentialSource& source_;
  std::string name_;
  BucketOptions limits_;
  unsigned tries_ = 3;
  std::unique_ptr<Pool> pool_;
};

void append_parameter(std::string& form, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  form.append("&").append(name).append("=");
  http::percent_encode(value, http::Slash::encode, form);
}

Task<Credentials> ask_role_service(Asker& asker, const RoleSource& role, const Place& place,
                                   const Credentials* as) {
  std::string form = as == nullptr ? "Action=AssumeRoleWithWebIdentity" : "Action=AssumeRole";
  form += "&Version=2011-06-15";
  append_parameter(form, "RoleArn", role.role_arn);
  append_parameter(form, "RoleSessionName", role.session_name);
  append_parameter(form, "ExternalId", role.external_id);
  append_parameter(form, "WebIdentityToken", role.token);
  const auto make = [&] {
    auto question = std::make_unique<Question>("POST", place.target);
    const auto basic_date = http::encode_basic_date(std::chrono::system_clock::now());
    const std::string date(basic_date.view());
    std::vector<s3::NameValue> headers{{"host", place.endpoint.authority}, {"x-amz-date", date}};
    if (as != nullptr) {
      s3::Signer signer(role.region, "sts");
      signer.set_identity({as->access_key_id, as->secret_access_key, as->session_token});
      if (!as->session_token.empty()) headers.push_back({"x-amz-security-token", as->session_token});
      const std::string hash = to_hex(sha256(std::as_bytes(std::span(form))));
      question->header(
          "authorization",
          std::string(signer.authorization(
              {.method = "POST", .path = place.target, .query = {}, .headers = headers}, hash, date)));
    }
    for (const s3::NameValue& one : headers) question->header(std::string(one.name), std::string(one.value));
    question->header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    question->header("accept", "text/xml");
    question->payload(form);
    return question;
  };
  auto asking = asker.ask(make);
  NETSTOR_TRY(const std::string text, co_await std::move(asking));
  NETSTOR_TRY(s3::StsCredentials answer, s3::decode_sts_credentials(text));
  co_return Credentials{.access_key_id = std::move(answer.access_key_id),
                        .secret_access_key = std::move(answer.secret_access_key),
                        .session_token = std::move(answer.session_token),
                        .expires = answer.expires};
}

Task<Credentials> ask_container(Asker& asker, const ContainerSource& container, const Place& place) {
  const auto make = [&] {
    auto question = std::make_unique<Question>("GET", place.target);
    question->header("host", place.endpoint.authority);
    question->header("accept", "application/json");
    if (!container.authorization.empty()) question->header("authorization", container.authorization);
    return question;
  };
  auto asking = asker.ask(make);
  NETSTOR_TRY(const std::string text, co_await std::move(asking));
  Result<Credentials> found = parse_credentials(text);
  if (!found) co_return std::move(found).error().with_context(asker.name());
  co_return found;
}

Task<std::string> ask_instance_for(Asker& asker, const Place& place, std::string path, std::string token) {
  const auto make = [&] {
    auto question = std::make_unique<Question>(token.empty() ? "PUT" : "GET", path);
    question->header("host", place.endpoint.authority);
    if (token.empty()) {
      question->header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    } else {
      question->header("x-aws-ec2-metadata-token", token);
    }
    return question;
  };
  auto asking = asker.ask(make);
  co_return co_await std::move(asking);
}

Task<Credentials> ask_instance(Asker& asker, const Place& place) {
  constexpr std::string_view kRoles = "/latest/meta-data/iam/security-credentials/";
  const std::string base = place.target == "/" ? std::string() : place.target;
  auto beginning = ask_instance_for(asker, place, base + "/latest/api/token", {});
  NETSTOR_TRY(const std::string token, co_await std::move(beginning));
  const auto printable = [](char c) { return c > 0x20 && c < 0x7f; };
  if (token.empty() || !std::all_of(token.begin(), token.end(), printable))
    co_return Error(ErrorKind::protocol, "the instance metadata service answered with a token that is none");
  auto listing = ask_instance_for(asker, place, base + std::string(kRoles), token);
  NETSTOR_TRY(const std::string roles, co_await std::move(listing));
  const std::string role = roles.substr(0, roles.find_first_of("\r\n"));
  const auto fits = [&](char c) { return printable(c) && c != '/' && c != '?' && c != '#' && c != '%'; };
  if (role.empty() || role.size() > 256 || !std::all_of(role.begin(), role.end(), fits))
    co_return Error(ErrorKind::protocol, "the instance metadata service answered with a role that is none");
  auto asking = ask_instance_for(asker, place, base + std::string(kRoles) + role, token);
  NETSTOR_TRY(const std::string text, co_await std::move(asking));
  Result<Credentials> found = parse_credentials(text);
  if (!found) co_return std::move(found).error().with_context(asker.name());
  co_return found;
}

/// Whatever comes of `work`, the asker's connections end.
Task<Credentials> with_asker(Asker& asker, Endpoint endpoint, bool by_proxy, Task<Credentials> work) {
  auto opening = asker.open(endpoint, by_proxy);
  NETSTOR_CHECK(co_await std::move(opening));
  Result<Credentials> found = co_await std::move(work);
  auto closing = asker.close();
  const Result<void> closed = co_await std::move(closing);
  static_cast<void>(closed);
  if (found) NETSTOR_CHECK(check_credentials(*found));
  co_return found;
}

Task<Credentials> ask(detail::ShardLoop& loop, const CredentialSource& source, const RoleSource& role) {
  std::optional<Credentials> as;
  if (role.token.empty()) {
    auto asking_first = ask_source(loop, *role.as);
    NETSTOR_TRY(as, co_await std::move(asking_first));
  }
  NETSTOR_TRY(const Place place, place_of(role.url));
  Asker asker(loop, source, "the token service " + place.endpoint.authority);
  auto asking =
      with_asker(asker, place.endpoint, true, ask_role_service(asker, role, place, as ? &*as : nullptr));
  co_return co_await std::move(asking);
}

Task<Credentials> ask(detail::ShardLoop& loop, const CredentialSource& source,
                      const ContainerSource& container) {
  NETSTOR_TRY(const Place place, place_of(container.url));
  Asker asker(loop, source, "the container's credential service " + place.endpoint.authority);
  auto asking = with_asker(asker, place.endpoint, false, ask_container(asker, container, place));
  Result<Credentials> found = co_await std::move(asking);
  if (found && !found->expires && found->session_token.empty())
    co_return Error(ErrorKind::protocol, "the container's credential service answered without a Token");
  co_return found;
}

Task<Credentials> ask(detail::ShardLoop& loop, const CredentialSource& source,
                      const InstanceSource& instance) {
  NETSTOR_TRY(const Place place, place_of(instance.url));
  Asker asker(loop, source, "the instance metadata service " + place.endpoint.authority);
  asker.be_brief();
  auto asking = with_asker(asker, place.endpoint, false, ask_instance(asker, place));
  Result<Credentials> found = co_await std::move(asking);
  if (found || found.error().kind() == ErrorKind::cancelled) co_return found;
  co_return no_credentials(found.error().text());
}

}  // namespace

Task<Credentials> ask_source(detail::ShardLoop& loop, const CredentialSource& source) {
  if (const auto* known = std::get_if<Credentials>(&source.what)) co_return *known;
  Task<Credentials> asking = std::holds_alternative<RoleSource>(source.what)
                                 ? ask(loop, source, std::get<RoleSource>(source.what))
                             : std::holds_alternative<ContainerSource>(source.what)
                                 ? ask(loop, source, std::get<ContainerSource>(source.what))
                                 : ask(loop, source, std::get<InstanceSource>(source.what));
  co_return co_await std::move(asking);
}

}  // namespace netstor::object
