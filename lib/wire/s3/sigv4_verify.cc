// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/sigv4_verify.h"

#include <algorithm>
#include <functional>

#include "lib/base/bytes.h"
#include "lib/base/hash.h"
#include "lib/wire/http/text.h"
#include "lib/wire/http/uri.h"

namespace netstor::s3 {

namespace {

constexpr std::string_view kTerminator = "aws4_request";

std::optional<std::string_view> header(const RequestView& request, std::string_view name) {
  for (const NameValue& each : request.headers) {
    if (http::equal_without_case(each.name, name)) return http::trimmed(each.value);
  }
  return std::nullopt;
}

std::optional<std::string_view> parameter(const RequestView& request, std::string_view name) {
  for (const NameValue& each : request.query) {
    if (each.name == name) return each.value;
  }
  return std::nullopt;
}

bool has_amz_query(const RequestView& request) {
  return parameter(request, "X-Amz-Algorithm") || parameter(request, "X-Amz-Signature") ||
         parameter(request, "X-Amz-Credential");
}

// A fault in the words of the form that the request has.
Fault malformed(Authorization::Form form, std::string_view text) {
  return {form == Authorization::Form::header ? ErrorCode::authorization_header_malformed
                                              : ErrorCode::authorization_query_parameters_error,
          text};
}

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool bearable_name(std::string_view name) {
  return http::is_token(name) && std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; });
}

// Sorted, each once, lower case: then there is one list for a set of names, and none can be smuggled in
// twice.
bool good_signed_headers(std::string_view list) {
  std::string_view previous;
  for (std::size_t count = 0; count < kSignedHeadersMax; ++count) {
    const std::size_t end = std::min(list.find(';'), list.size());
    const std::string_view name = list.substr(0, end);
    if (!bearable_name(name) || (count != 0 && name <= previous)) return false;
    if (end == list.size()) return true;
    previous = name;
    list.remove_prefix(end + 1);
  }
  return false;
}

bool is_signed(std::string_view list, std::string_view name) {
  while (true) {
    const std::size_t end = std::min(list.find(';'), list.size());
    if (http::equal_without_case(list.substr(0, end), name)) return true;
    if (end == list.size()) return false;
    list.remove_prefix(end + 1);
  }
}

// "AKID/20130524/us-east-1/s3/aws4_request". An access key id may have slashes of its own.
bool take_credential(std::string_view text, Authorization& out) {
  std::array<std::string_view, 4> parts;  // from the end: terminator, service, region, date
  std::string_view rest = text;
  for (std::string_view& part : parts) {
    const std::size_t slash = rest.rfind('/');
    if (slash == std::string_view::npos) return false;
    part = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  if (rest.empty() || parts[0] != kTerminator || parts[1].empty() || parts[2].empty()) return false;
  out.access_key_id = rest;
  out.scope = text.substr(rest.size() + 1);
  out.service = parts[1];
  out.region = parts[2];
  out.date8 = parts[3];
  return out.date8.size() == 8 && http::decode_number(out.date8).has_value();
}

// "20130524T000000Z" and nothing else that is a date.
bool take_amz_date(std::string_view text, Authorization& out) {
  if (text.size() != kAmzDateSize || text[8] != 'T' || text.back() != 'Z') return false;
  const auto time = http::decode_iso_date(text);
  if (!time) return false;
  out.time = *time;
  out.amz_date = http::encode_basic_date(*time);
  return out.amz_date.view() == text;
}

// What both forms have to fulfil once their parts are known.
std::optional<Fault> check_parts(Authorization& out, std::string_view credential) {
  if (!take_credential(credential, out)) {
    return malformed(out.form, "The credential has to be KEY/YYYYMMDD/REGION/SERVICE/aws4_request.");
  }
  if (out.signature.size() != kSignatureSize || !is_lower_hex(out.signature)) {
    return malformed(out.form, "The signature has to be 64 hexadecimal digits in lower case.");
  }
  if (!good_signed_headers(out.signed_headers)) {
    return malformed(out.form, "The signed headers have to be sorted names in lower case, each once.");
  }
  if (!is_signed(out.signed_headers, "host")) {
    return malformed(out.form, "The header host has to be signed.");
  }
  return std::nullopt;
}

std::optional<Fault> check_date(const Authorization& out) {
  if (!out.amz_date.view().starts_with(out.date8)) {
    return malformed(out.form, "The date of the credential is not that of the request.");
  }
  return std::nullopt;
}

// The parts of "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…", each once, in any order.
bool take_header_parts(std::string_view value, std::string_view& credential, Authorization& out) {
  std::string_view part;
  while (http::next_element(value, part)) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view name = part.substr(0, equals);
    std::string_view* to = name == "Credential"      ? &credential
                           : name == "SignedHeaders" ? &out.signed_headers
                           : name == "Signature"     ? &out.signature
                                                     : nullptr;
    if (to == nullptr || to->data() != nullptr) return false;
    *to = part.substr(equals + 1);
  }
  return !credential.empty() && !out.signed_headers.empty() && !out.signature.empty();
}

std::optional<Fault> parse_header_form(const RequestView& request, std::string_view value,
                                       Authorization& out) {
  out.form = Authorization::Form::header;
  if (value.starts_with("AWS ")) {
    return Fault{ErrorCode::invalid_request, "Signature Version 2 is not supported; use AWS4-HMAC-SHA256."};
  }
  const std::size_t space = value.find(' ');
  if (value.substr(0, space) != kAlgorithm || space == std::string_view::npos) {
    return malformed(out.form, "The authorization has to begin with AWS4-HMAC-SHA256.");
  }
  std::string_view credential;
  if (!take_header_parts(value.substr(space + 1), credential, out)) {
    return malformed(out.form,
                     "The authorization has to have Credential, SignedHeaders and Signature, once.");
  }
  if (auto fault = check_parts(out, credential)) return fault;
  if (const auto date = header(request, "x-amz-date")) {
    if (!take_amz_date(*date, out)) {
      return Fault{ErrorCode::access_denied, "The header x-amz-date has to be YYYYMMDDTHHMMSSZ."};
    }
  } else {
    const auto http_date = http::decode_http_date(header(request, "date").value_or(""));
    if (!http_date) return Fault{ErrorCode::access_denied, "A valid x-amz-date or Date header is required."};
    out.time = *http_date;
    out.amz_date = http::encode_basic_date(*http_date);
  }
  if (auto fault = check_date(out)) return fault;
  out.session_token = header(request, "x-amz-security-token").value_or("");
  const auto hash = header(request, "x-amz-content-sha256");
  if (!hash) {
    return Fault{ErrorCode::invalid_request, "The header x-amz-content-sha256 is missing."};
  }
  out.payload_hash = *hash;
  return std::nullopt;
}

std::optional<Fault> parse_query_form(const RequestView& request, Authorization& out) {
  out.form = Authorization::Form::query;
  // A parameter that is there twice would be signed twice and read once.
  for (const NameValue& each : request.query) {
    const auto same = [&](const NameValue& other) { return other.name == each.name; };
    if (each.name.starts_with("X-Amz-") && std::ranges::count_if(request.query, same) != 1) {
      return malformed(out.form, "An X-Amz- parameter is there more than once.");
    }
  }
  const auto algorithm = parameter(request, "X-Amz-Algorithm"),
             credential = parameter(request, "X-Amz-Credential"), date = parameter(request, "X-Amz-Date"),
             expires = parameter(request, "X-Amz-Expires"), names = parameter(request, "X-Amz-SignedHeaders"),
             signature = parameter(request, "X-Amz-Signature");
  if (!algorithm || !credential || !date || !expires || !names || !signature) {
    return malformed(out.form,
                     "Query-string authentication requires X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, "
                     "X-Amz-Expires, X-Amz-SignedHeaders and X-Amz-Signature.");
  }
  if (*algorithm != kAlgorithm) return malformed(out.form, "X-Amz-Algorithm has to be AWS4-HMAC-SHA256.");
  out.signed_headers = *names;
  out.signature = *signature;
  if (auto fault = check_parts(out, *credential)) return fault;
  if (!take_amz_date(*date, out)) return malformed(out.form, "X-Amz-Date has to be YYYYMMDDTHHMMSSZ.");
  if (auto fault = check_date(out)) return fault;
  const auto seconds = http::decode_number(*expires, static_cast<std::uint64_t>(kPresignMax.count()));
  if (!seconds || *seconds == 0)
    return malformed(out.form, "X-Amz-Expires has to be from 1 to 604800 seconds.");
  out.valid_for = std::chrono::seconds(*seconds);
  out.session_token = parameter(request, "X-Amz-Security-Token").value_or("");
  out.payload_hash = parameter(request, "X-Amz-Content-Sha256").value_or(kUnsignedPayload);
  if (const auto hash = header(request, "x-amz-content-sha256")) out.payload_hash = *hash;
  return std::nullopt;
}

}  // namespace

bool has_authorization(const RequestView& request) {
  return header(request, "authorization") || has_amz_query(request) || parameter(request, "AWSAccessKeyId");
}

std::optional<Fault> parse_authorization(const RequestView& request, Authorization& out) {
  out = {};
  const auto value = header(request, "authorization");
  const bool query = has_amz_query(request);
  if (value && (query || std::ranges::count_if(request.headers, [](const NameValue& each) {
                           return http::equal_without_case(each.name, "authorization");
                         }) != 1)) {
    return Fault{ErrorCode::invalid_argument, "Only one authorization is allowed."};
  }
  if (!value && !query) {
    return Fault{ErrorCode::invalid_request, "Signature Version 2 is not supported; use AWS4-HMAC-SHA256."};
  }
  auto fault = value ? parse_header_form(request, *value, out) : parse_query_form(request, out);
  if (fault) return fault;
  if (!payload_form(out.payload_hash)) {
    return Fault{
        ErrorCode::invalid_argument,
        "x-amz-content-sha256 has to be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a SHA-256."};
  }
  return std::nullopt;
}

std::optional<Fault> check_time(const Authorization& said, http::WallTime now) {
  if (said.form == Authorization::Form::header) {
    if (said.time > now + kClockSkewMax || said.time < now - kClockSkewMax) {
      return Fault{ErrorCode::request_time_too_skewed, facts(ErrorCode::request_time_too_skewed).message};
    }
    return std::nullopt;
  }
  if (said.time > now + kClockSkewMax) return Fault{ErrorCode::access_denied, "Request is not yet valid"};
  if (now > said.time + said.valid_for) return Fault{ErrorCode::access_denied, "Request has expired"};
  return std::nullopt;
}

std::optional<Fault> check_scope(const Authorization& said, std::string_view region,
                                 std::string_view service) {
  if (said.region != region) return malformed(said.form, "The region of the credential is wrong.");
  if (said.service != service) return malformed(said.form, "The service of the credential is wrong.");
  return std::nullopt;
}

Verifier::~Verifier() {
  for (Kept& each : kept_) {
    wipe(std::as_writable_bytes(std::span(each.secret_access_key)));
    wipe(each.key);
  }
  wipe(key_);
}

const SigningKey& Verifier::key_for(const Authorization& said, std::string_view secret_access_key) {
  Kept& kept = kept_[std::hash<std::string_view>()(said.access_key_id) % kept_.size()];
  if (kept.access_key_id != said.access_key_id || kept.scope != said.scope ||
      kept.secret_access_key != secret_access_key) {
    wipe(std::as_writable_bytes(std::span(kept.secret_access_key)));
    kept.access_key_id.assign(said.access_key_id);
    kept.secret_access_key.assign(secret_access_key);
    kept.scope.assign(said.scope);
    kept.key = signing_key(hmac_, secret_access_key, said.date8, said.region, said.service);
  }
  return kept.key;
}

bool Verifier::matches(const RequestView& request, std::string_view path, const Authorization& said) {
  if (!canonical_.build_as_told(request, path, said.signed_headers, said.payload_hash)) return false;
  SignatureText expected;
  ++computed_;
  canonical_.sign(hmac_, said.amz_date, said.scope, expected);
  return equal_in_constant_time(std::as_bytes(std::span(expected)), as_bytes(said.signature));
}

std::optional<Fault> Verifier::verify(const RequestView& request, const Authorization& said,
                                      std::string_view secret_access_key) {
  for (const NameValue& each : request.headers) {
    const bool amz = each.name.size() > 6 && http::equal_without_case(each.name.substr(0, 6), "x-amz-");
    if (amz && !is_signed(said.signed_headers, each.name)) {
      return Fault{ErrorCode::access_denied,
                   "There were headers present in the request which were not signed"};
    }
  }
  key_ = key_for(said, secret_access_key);
  hmac_.set_key(key_);
  decoded_.clear();
  path_.clear();
  if (http::percent_decode(request.path, http::Plus::literal, decoded_)) {
    http::percent_encode(decoded_, http::Slash::keep, path_);
    if (matches(request, path_, said)) return std::nullopt;
  }
  if (path_ != request.path && matches(request, request.path, said)) return std::nullopt;
  return Fault{ErrorCode::signature_does_not_match, facts(ErrorCode::signature_does_not_match).message};
}

ChunkSigner Verifier::chunks(const Authorization& said) const {
  SignatureText seed{};
  std::ranges::copy(said.signature, seed.begin());
  return {key_, said.amz_date, said.scope, seed};
}

}  // namespace netstor::s3
