// SPDX-License-Identifier: Apache-2.0
//
// lib/wire/s3/sigv4_verify.h: what Signer made is believed, and each kind of wrong signature is refused with
// the code that S3 has for it.

#include "lib/wire/s3/sigv4_verify.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/wire/http/uri.h"

namespace netstor::s3 {
namespace {

constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr Identity kIdentity{"AKIAIOSFODNN7EXAMPLE", kSecret, ""};
constexpr std::string_view kDate = "20130524T000000Z";
const http::WallTime kNow = *http::decode_iso_date(kDate);

using Owned = std::vector<std::pair<std::string, std::string>>;

// A request that may be spoilt before it is looked at.
struct Request {
  std::string method = "GET";
  std::string path = "/bucket/a%20b";
  Owned query;
  Owned headers{
      {"Host", "h:9000"}, {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}, {"x-amz-date", std::string(kDate)}};
  std::vector<NameValue> query_views, header_views;

  RequestView view() {
    query_views.clear();
    header_views.clear();
    for (const auto& [name, value] : query) query_views.push_back({name, value});
    for (const auto& [name, value] : headers) header_views.push_back({name, value});
    return {method, path, query_views, header_views};
  }
  std::string& header(std::string_view name) {
    for (auto& [each, value] : headers) {
      if (each == name) return value;
    }
    ADD_FAILURE() << name;
    return headers[0].second;
  }
};

void replace(std::string& text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  ASSERT_NE(at, std::string::npos) << what;
  text.replace(at, what.size(), with);
}

Request signed_request(const std::function<void(Request&)>& prepare = [](Request&) {}) {
  Request request;
  prepare(request);
  Signer signer("us-east-1");
  signer.set_identity(kIdentity);
  std::string value(signer.authorization(request.view(), request.header("x-amz-content-sha256"), kDate));
  request.headers.emplace_back("Authorization", std::move(value));
  return request;
}

Request presigned_request(std::chrono::seconds valid_for = std::chrono::hours(1)) {
  Request request;
  request.headers = {{"Host", "h:9000"}};
  Signer signer("us-east-1");
  signer.set_identity(kIdentity);
  const std::string query(signer.presigned_query(request.view(), kDate, valid_for));
  for (http::QueryReader reader(query); reader.next();) {
    std::string value;
    EXPECT_TRUE(http::percent_decode(reader.value(), http::Plus::space, value));
    request.query.emplace_back(reader.name(), value);
  }
  return request;
}

std::optional<Fault> judge(Request request, http::WallTime now = kNow, std::string_view secret = kSecret) {
  const RequestView view = request.view();
  EXPECT_TRUE(has_authorization(view));
  Authorization said;
  if (auto fault = parse_authorization(view, said)) return fault;
  EXPECT_EQ(said.access_key_id, kIdentity.access_key_id);
  if (auto fault = check_time(said, now)) return fault;
  if (auto fault = check_scope(said, "us-east-1")) return fault;
  return Verifier().verify(view, said, secret);
}

std::string code(const std::optional<Fault>& fault) {
  return fault ? std::string(to_string(fault->code)) : "none";
}

TEST(SigV4Verify, BelievesWhatWasSigned) {
  EXPECT_EQ(code(judge(signed_request())), "none");
  EXPECT_EQ(code(judge(signed_request([](Request& r) {
              r.method = "PUT";
              r.query = {{"uploads", ""}, {"b", "x y+/"}, {"a", "\xFF%"}};
              r.headers.emplace_back("X-Amz-Meta-Two", "a  b");
              r.headers.emplace_back("x-amz-meta-two", "c");
              r.headers.emplace_back("content-type", "text/plain");
            }))),
            "none");
  EXPECT_EQ(code(judge(presigned_request())), "none");
}

TEST(SigV4Verify, TakesWhatNeedNotBeSigned) {
  Request request = signed_request();
  request.headers.emplace_back("User-Agent", "x");
  request.headers.emplace_back("Range", "bytes=0-1");
  EXPECT_EQ(code(judge(request)), "none");
}

TEST(SigV4Verify, TakesThePathInBothSpellings) {
  // Sent with the parentheses as they are and signed encoded, and the other way round; signed as sent.
  Request request = signed_request([](Request& r) { r.path = "/b/f%283%29"; });
  request.path = "/b/f(3)";
  EXPECT_EQ(code(judge(request)), "none");
  EXPECT_EQ(code(judge(signed_request([](Request& r) { r.path = "/b/f(3)"; }))), "none");
  EXPECT_EQ(code(judge(signed_request([](Request& r) { r.path = "/b/a%zz"; }))), "none");
  request.path = "/b/f(4)";
  EXPECT_EQ(code(judge(request)), "SignatureDoesNotMatch");
}

TEST(SigV4Verify, TakesTheDateHeaderInsteadOfXAmzDate) {
  Request request = signed_request([](Request& r) {
    r.headers.pop_back();
    r.headers.emplace_back("Date", "Fri, 24 May 2013 00:00:00 GMT");
  });
  EXPECT_EQ(code(judge(request)), "none");
}

TEST(SigV4Verify, RefusesWhatWasChangedAfterSigning) {
  const std::pair<const char*, std::function<void(Request&)>> changes[] = {
      {"method", [](Request& r) { r.method = "PUT"; }},
      {"path", [](Request& r) { r.path = "/bucket/a%20c"; }},
      {"path encoded twice", [](Request& r) { r.path = "/bucket/a%2520b"; }},
      {"query added", [](Request& r) { r.query.emplace_back("acl", ""); }},
      {"query value", [](Request& r) { r.query[0].second = "2"; }},
      {"host", [](Request& r) { r.header("Host") = "other"; }},
      {"payload hash", [](Request& r) { r.header("x-amz-content-sha256") = kEmptyPayload; }},
      {"date", [](Request& r) { r.header("x-amz-date") = "20130524T000001Z"; }},
      {"signed header gone", [](Request& r) { r.headers.erase(r.headers.begin()); }},
      {"signed header twice", [](Request& r) { r.headers.emplace_back("host", "h:9000"); }},
      {"signature", [](Request& r) {
         char& last = r.header("Authorization").back();
         last = last == '0' ? '1' : '0';
       }}};
  for (const auto& [what, change] : changes) {
    Request request = signed_request([](Request& r) { r.query = {{"x", "1"}}; });
    change(request);
    EXPECT_EQ(code(judge(request)), "SignatureDoesNotMatch") << what;
  }
  EXPECT_EQ(code(judge(signed_request(), kNow, "another secret")), "SignatureDoesNotMatch");
}

TEST(SigV4Verify, RefusesAnUnsignedAmzHeader) {
  Request request = signed_request();
  request.headers.emplace_back("X-Amz-Copy-Source", "/secret/key");
  EXPECT_EQ(code(judge(request)), "AccessDenied");
  Request presigned = presigned_request();
  presigned.headers.emplace_back("x-amz-acl", "public-read");
  EXPECT_EQ(code(judge(presigned)), "AccessDenied");
}

TEST(SigV4Verify, RefusesMalformedAuthorizations) {
  const std::pair<std::string_view, std::string_view> changes[] = {
      {"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 "},
      {"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"},
      {"Credential=", "Credentials="},
      {"aws4_request", "aws5_request"},
      {"/20130524/", "/2013052/"},
      {"/20130524/", "/2013052x/"},
      {"/20130524/us-east-1/s3", "/us-east-1/s3"},
      {"AKIAIOSFODNN7EXAMPLE/", "/"},
      {"/us-east-1/", "//"},
      {"/20130524/", "/20130525/"},
      {"/us-east-1/", "/eu-west-1/"},
      {"/s3/", "/sts/"},
      {"SignedHeaders=host;", "SignedHeaders="},
      {"SignedHeaders=host;", "SignedHeaders=host;host;"},
      {"SignedHeaders=host;", "SignedHeaders=z;host;"},
      {"SignedHeaders=host;", "SignedHeaders=Host;"},
      {"SignedHeaders=host;", "SignedHeaders=host;;"},
      {"x-amz-date,", "x-amz-date;,"},
      {"Signature=", "Signature=0"},
      {"Signature=", "Signature=,Signature="},
      {",Signature=", ",Signature=Z,X="},
      {",Signature=", ",Nothing="}};
  for (const auto& [what, with] : changes) {
    Request request = signed_request();
    replace(request.header("Authorization"), what, with);
    EXPECT_EQ(code(judge(request)), "AuthorizationHeaderMalformed") << what << " -> " << with;
  }
  Request upper = signed_request();
  std::string& value = upper.header("Authorization");
  value.replace(value.size() - 64, 64, std::string(64, 'A'));
  EXPECT_EQ(code(judge(upper)), "AuthorizationHeaderMalformed") << "capital digits";
}

TEST(SigV4Verify, RefusesWhatIsMissingOrOfAnotherKind) {
  Request request = signed_request();
  request.headers.erase(request.headers.begin() + 1);
  EXPECT_EQ(code(judge(request)), "InvalidRequest") << "x-amz-content-sha256";
  request = signed_request();
  request.headers.erase(request.headers.begin() + 2);
  EXPECT_EQ(code(judge(request)), "AccessDenied") << "x-amz-date";
  request = signed_request();
  request.header("x-amz-date") = "2013-05-24T00:00:00Z";
  EXPECT_EQ(code(judge(request)), "AccessDenied") << "another form of date";
  request = signed_request();
  request.header("x-amz-content-sha256") = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
  EXPECT_EQ(code(judge(request)), "InvalidArgument");
  request = signed_request();
  request.header("Authorization") = "AWS AKIAIOSFODNN7EXAMPLE:bWq2s1WEIj+Ydj0vQ697zp+IXMU=";
  EXPECT_EQ(code(judge(request)), "InvalidRequest") << "Signature Version 2";
  request = signed_request();
  request.headers.emplace_back("authorization", request.header("Authorization"));
  EXPECT_EQ(code(judge(request)), "InvalidArgument") << "two of them";
  request = presigned_request();
  request.headers.push_back(signed_request().headers.back());
  EXPECT_EQ(code(judge(request)), "InvalidArgument") << "both forms";
}

TEST(SigV4Verify, TellsAnonymousRequests) {
  Request request;
  EXPECT_FALSE(has_authorization(request.view()));
  request.query = {{"AWSAccessKeyId", "x"}};
  EXPECT_TRUE(has_authorization(request.view()));
  EXPECT_EQ(code(judge(request)), "InvalidRequest") << "Signature Version 2";
}

TEST(SigV4Verify, ChecksTheClock) {
  using std::chrono::minutes, std::chrono::seconds;
  const Request request = signed_request();
  EXPECT_EQ(code(judge(request, kNow + minutes(15))), "none");
  EXPECT_EQ(code(judge(request, kNow - minutes(15))), "none");
  EXPECT_EQ(code(judge(request, kNow + minutes(15) + seconds(1))), "RequestTimeTooSkewed");
  EXPECT_EQ(code(judge(request, kNow - minutes(15) - seconds(1))), "RequestTimeTooSkewed");
}

TEST(SigV4Verify, ChecksTheTimeOfAPresignedUrl) {
  using std::chrono::minutes, std::chrono::seconds;
  const Request request = presigned_request(seconds(7200));
  EXPECT_EQ(code(judge(request, kNow + seconds(7200))), "none");
  EXPECT_EQ(code(judge(request, kNow + seconds(7201))), "AccessDenied");
  EXPECT_EQ(code(judge(request, kNow - minutes(15))), "none");
  EXPECT_EQ(code(judge(request, kNow - minutes(16))), "AccessDenied");
  EXPECT_EQ(code(judge(presigned_request(kPresignMax), kNow + kPresignMax)), "none");
}

TEST(SigV4Verify, RefusesSpoiltPresignedUrls) {
  const auto spoilt = [](std::string_view name, std::string_view value) {
    Request request = presigned_request();
    for (auto& [each, old] : request.query) {
      if (each == name) old = value;
    }
    return code(judge(request));
  };
  constexpr std::string_view kMalformed = "AuthorizationQueryParametersError";
  EXPECT_EQ(spoilt("X-Amz-Expires", "604801"), kMalformed);
  EXPECT_EQ(spoilt("X-Amz-Expires", "0"), kMalformed);
  EXPECT_EQ(spoilt("X-Amz-Expires", "-1"), kMalformed);
  EXPECT_EQ(spoilt("X-Amz-Expires", "3601"), "SignatureDoesNotMatch");
  EXPECT_EQ(spoilt("X-Amz-Algorithm", "AWS4-HMAC-SHA1"), kMalformed);
  EXPECT_EQ(spoilt("X-Amz-Date", "yesterday"), kMalformed);
  EXPECT_EQ(spoilt("X-Amz-SignedHeaders", ""), kMalformed);
  EXPECT_EQ(spoilt("X-Amz-Signature", std::string(64, '0')), "SignatureDoesNotMatch");
  Request request = presigned_request();
  request.query.emplace_back("X-Amz-Expires", "60");
  EXPECT_EQ(code(judge(request)), kMalformed) << "twice";
  for (std::size_t i = 0; i < 6; ++i) {
    request = presigned_request();
    request.query.erase(request.query.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(code(judge(request)), kMalformed) << i;
  }
}

TEST(SigV4Verify, FollowsTheChainOfChunks) {
  Request request =
      signed_request([](Request& r) { r.header("x-amz-content-sha256") = kStreamingSignedTrailer; });
  Signer signer("us-east-1");
  signer.set_identity(kIdentity);
  Request again = request;
  again.headers.pop_back();
  (void)signer.authorization(again.view(), kStreamingSignedTrailer, kDate);
  ChunkSigner made = signer.chunks();

  const RequestView view = request.view();
  Authorization said;
  Verifier verifier;
  ASSERT_EQ(code(parse_authorization(view, said)), "none");
  ASSERT_EQ(code(verifier.verify(view, said, kSecret)), "none");
  ChunkSigner seen = verifier.chunks(said);
  const auto a = sha256(as_bytes("a")), b = sha256(as_bytes("b"));
  EXPECT_EQ(std::string(made.chunk(a)), seen.chunk(a));
  const std::string second(made.chunk(b));
  EXPECT_EQ(second, seen.chunk(b));
  EXPECT_NE(std::string(made.chunk(a)), seen.chunk(b));
  EXPECT_NE(std::string(made.trailer(a)), seen.trailer(a)) << "the chains went apart";
}

TEST(SigV4Verify, KeepsKeysApart) {
  Verifier verifier;
  Request request = signed_request();
  const RequestView view = request.view();
  Authorization said;
  ASSERT_EQ(code(parse_authorization(view, said)), "none");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(code(verifier.verify(view, said, kSecret)), "none");
    EXPECT_EQ(code(verifier.verify(view, said, "changed")), "SignatureDoesNotMatch");
  }
}

}  // namespace
}  // namespace netstor::s3
