// SPDX-License-Identifier: Apache-2.0
// Whose signature a request has, and that a refusal costs the same for whatever reason it is one.

#include "server/s3/identify.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace netstor::s3server {
namespace {

constexpr std::string_view kDate = "20130524T000000Z";
constexpr std::string_view kSecret = "a-secret-long-enough";

/// Signed by `id` with `secret`, and looked at as the endpoint does.
struct Signed {
  Signed(std::string_view id, std::string_view secret) {
    s3::Signer signer("us-east-1");
    signer.set_identity({id, secret, ""});
    authorization = signer.authorization(view(), "UNSIGNED-PAYLOAD", kDate);
    headers.push_back({"Authorization", authorization});
    EXPECT_FALSE(s3::parse_authorization(view(), said));
  }
  s3::RequestView view() const { return {"GET", "/bucket/key", {}, headers}; }

  std::vector<s3::NameValue> headers{
      {"Host", "h"}, {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}, {"x-amz-date", kDate}};
  std::string authorization;
  s3::Authorization said;
};

class S3Identify : public testing::Test {
 protected:
  S3Identify() {
    const auto section = [](const std::string& id, const std::string& more) {
      return "[" + id + "]\naws_access_key_id = " + id + "\naws_secret_access_key = " + std::string(kSecret) +
             "\nnetstor_allow = rwl:*\n" + more;
    };
    keys = Keys::parse(section("HERE", "") + section("LATER", "netstor_until = 2099-01-01T00:00:00Z\n") +
                           section("OVER", "netstor_until = 2001-01-01T00:00:00Z\n"),
                       "f")
               .value();
  }
  /// The fault, and how many signatures it took.
  std::pair<std::optional<s3::ErrorCode>, std::uint64_t> ask(std::string_view id, std::string_view secret) {
    const Signed request(id, secret);
    const std::uint64_t before = verifier.computed();
    const Identified who = identify(keys, verifier, request.view(), request.said);
    EXPECT_EQ(who.user == nullptr, who.fault.has_value());
    std::optional<s3::ErrorCode> code;
    if (who.fault) code = who.fault->code;
    return {code, verifier.computed() - before};
  }
  Keys keys;
  s3::Verifier verifier;
};

TEST_F(S3Identify, KnowsWhoHasSigned) {
  EXPECT_EQ(ask("HERE", kSecret).first, std::nullopt);
  EXPECT_EQ(ask("LATER", kSecret).first, std::nullopt);
}

TEST_F(S3Identify, EachRefusalHasItsCodeAndCostsOneSignature) {
  const auto [wrong, wrong_cost] = ask("HERE", "another-secret-of-whom");
  const auto [unknown, unknown_cost] = ask("GONE", kSecret);
  const auto [expired, expired_cost] = ask("OVER", kSecret);
  EXPECT_EQ(wrong, s3::ErrorCode::signature_does_not_match);
  EXPECT_EQ(unknown, s3::ErrorCode::invalid_access_key_id);
  EXPECT_EQ(expired, s3::ErrorCode::expired_token);
  EXPECT_EQ(wrong_cost, 1u);
  EXPECT_EQ(unknown_cost, 1u);
  EXPECT_EQ(expired_cost, 1u);
}

TEST_F(S3Identify, OnlyItsHolderHearsThatAKeyIsOver) {
  EXPECT_EQ(ask("OVER", "another-secret-of-whom").first, s3::ErrorCode::signature_does_not_match);
}

TEST_F(S3Identify, WhoeverIsUnknownHasNoSecretThatOpens) {
  EXPECT_EQ(ask("GONE", "a secret that opens nothing").first, s3::ErrorCode::invalid_access_key_id);
}

TEST_F(S3Identify, AnEndThatIsNoTimeIsRefused) {
  const auto bad = Keys::parse(
      "[u]\naws_access_key_id = ID\naws_secret_access_key = a-secret-long-enough\n"
      "netstor_allow = r:a\nnetstor_until = tomorrow\n",
      "f");
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().text().find("f, line 5"), std::string::npos) << bad.error().text();
}

}  // namespace
}  // namespace netstor::s3server
