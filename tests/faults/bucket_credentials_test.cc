// SPDX-License-Identifier: Apache-2.0
// Services that give credentials, and what they may do wrong: the token service, a container's, an
// instance's. Beside each stands an S3 service that sees who signs.

#include <netstor/netstor.h>

#include "tests/faults/scripted_service.h"
#include "tests/faults/trace_lines.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace netstor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const char* const kVariables[] = {"AWS_ACCESS_KEY_ID",
                                  "AWS_SECRET_ACCESS_KEY",
                                  "AWS_SESSION_TOKEN",
                                  "AWS_PROFILE",
                                  "AWS_DEFAULT_PROFILE",
                                  "AWS_REGION",
                                  "AWS_DEFAULT_REGION",
                                  "AWS_ENDPOINT_URL",
                                  "AWS_ENDPOINT_URL_STS",
                                  "AWS_WEB_IDENTITY_TOKEN_FILE",
                                  "AWS_ROLE_ARN",
                                  "AWS_ROLE_SESSION_NAME",
                                  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                  "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                  "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                  "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                  "AWS_EC2_METADATA_DISABLED",
                                  "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                  "AWS_CONFIG_FILE",
                                  "AWS_SHARED_CREDENTIALS_FILE",
                                  "http_proxy",
                                  "HTTP_PROXY"};

std::string iso(WallTime time) {
  const std::time_t whole = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}
std::string in(seconds later) { return iso(std::chrono::system_clock::now() + later); }

std::string json_of(const std::string& id, const std::string& end) {
  return R"({"Code":"Success","AccessKeyId":")" + id +
         R"(","SecretAccessKey":"the-secret","Token":"the-token","Expiration":")" + end + "\"}";
}
std::string sts_of(const std::string& id, const std::string& end, const std::string& action) {
  return "<" + action + "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" + action +
         "Result><Credentials><AccessKeyId>" + id +
         "</AccessKeyId><SecretAccessKey>the-secret</SecretAccessKey><SessionToken>the-token</SessionToken>"
         "<Expiration>" +
         end + "</Expiration></Credentials></" + action + "Result></" + action + "Response>";
}

class CredentialServices : public testing::Test {
 protected:
  CredentialServices() {
    for (const char* name : kVariables) ::unsetenv(name);
    ::setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    std::string pattern = (std::filesystem::temp_directory_path() / "keys-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    set_file("AWS_CONFIG_FILE", "config", "");
    set_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", "");
  }
  ~CredentialServices() override {
    for (const char* name : kVariables) ::unsetenv(name);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void set_file(const char* variable, const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    ::setenv(variable, path.c_str(), 1);
  }
  Result<Bucket> open() {
    BucketOptions options;
    options.endpoint = s3_.url();
    options.region = "eu-north-1";
    options.retries = 0;
    return Bucket::open(runtime_, "s3://samples", options).get();
  }
  /// Whom the next request is signed as: "ID", and the session token behind a space.
  std::string signer(const Bucket& bucket) {
    const unsigned before = s3_.requests();
    const auto head = bucket.head("key").get();
    EXPECT_TRUE(head.ok()) << head.error();
    const std::string text = s3_.field(before, "authorization");
    const auto from = text.find("Credential=") + 11;
    return text.substr(from, text.find('/', from) - from) + " " + s3_.field(before, "x-amz-security-token");
  }
  std::string signer() {
    const auto bucket = open();
    EXPECT_TRUE(bucket.ok()) << bucket.error();
    return bucket ? signer(*bucket) : "";
  }
  Error refused() {
    const auto bucket = open();
    EXPECT_FALSE(bucket.ok());
    Error error = bucket ? Error(ErrorKind::internal, "it was opened") : bucket.error();
    for (const char* secret : {"the-secret", "the-token", "the-web-token", "the-authorization"}) {
      EXPECT_EQ(error.to_string().find(secret), std::string::npos) << error;
    }
    return error;
  }
  void use_web_identity() {
    set_file("AWS_WEB_IDENTITY_TOKEN_FILE", "token", "the-web-token\n");
    ::setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/reader", 1);
    ::setenv("AWS_ENDPOINT_URL_STS", keys_.url().c_str(), 1);
  }
  void use_container() {
    ::setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", (keys_.url() + "/get?id=7").c_str(), 1);
    ::setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-authorization", 1);
  }
  void use_instance() {
    ::unsetenv("AWS_EC2_METADATA_DISABLED");
    ::setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", keys_.url().c_str(), 1);
  }

  ScriptedService s3_{[](const std::string&) { return answer("200 OK", ""); }};
  ScriptedService keys_;
  std::string folder_;
  Runtime runtime_ = *Runtime::start({.shards = 2});
};

TEST_F(CredentialServices, WebIdentityIsChangedForKeys) {
  use_web_identity();
  keys_.answer(answer("200 OK", "", sts_of("WEB", in(seconds(3600)), "AssumeRoleWithWebIdentity")));
  EXPECT_EQ(signer(), "WEB the-token");
  const std::string request = keys_.request(0);
  EXPECT_TRUE(request.starts_with("POST / HTTP/1.1\r\n")) << request;
  EXPECT_NE(
      request.find("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3A"
                   "role%2Freader&RoleSessionName=netstor-"),
      std::string::npos)
      << request;
  EXPECT_TRUE(request.ends_with("&WebIdentityToken=the-web-token")) << request;
  EXPECT_EQ(keys_.field(0, "authorization"), "") << "a web identity is no key to sign with";
}

TEST_F(CredentialServices, WebIdentityThatIsRefusedIsSaidByItsCode) {
  use_web_identity();
  keys_.answer(answer("400 Bad", "",
                      "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>the-web-token is "
                      "old</Message></Error></ErrorResponse>"));
  const Error error = refused();
  EXPECT_EQ(error.kind(), ErrorKind::permission_denied);
  EXPECT_NE(error.text().find("ExpiredTokenException"), std::string::npos) << error;
  EXPECT_EQ(keys_.requests(), 1u);
}

TEST_F(CredentialServices, TokenServiceIsAskedAgainAfterABreak) {
  use_web_identity();
  keys_.answer(answer("500 Error", "", "the-web-token"));
  keys_.answer(ScriptedService::kClose);
  keys_.answer(answer("200 OK", "", sts_of("WEB", in(seconds(3600)), "AssumeRoleWithWebIdentity")));
  EXPECT_EQ(signer(), "WEB the-token");
  EXPECT_EQ(keys_.requests(), 3u);
}

TEST_F(CredentialServices, HostileTokenServices) {
  use_web_identity();
  const std::string action = "AssumeRoleWithWebIdentity";
  for (const std::string& body :
       {std::string(), std::string("<html>the-secret"), std::string(100'000, 'x'),
        sts_of("WEB", "the-token", action), sts_of("", in(seconds(60)), action),
        sts_of("W&#10;EB", in(seconds(60)), action), sts_of("WEB", in(seconds(-60)), action),
        "<!DOCTYPE a [<!ENTITY b \"the-secret\">]>" + sts_of("&b;", in(seconds(60)), action)}) {
    keys_.answer(answer("200 OK", "", body));
    for (int i = 0; i < 2; ++i) keys_.answer(answer("200 OK", "", body));
    const unsigned before = keys_.requests();
    refused();
    // Those that were not asked for again are left over.
    for (unsigned asked = keys_.requests() - before; asked < 3; ++asked) keys_.drop_answer();
  }
}

TEST_F(CredentialServices, ProfileAssumesARoleWithTheKeysOfAnother) {
  ::setenv("AWS_ENDPOINT_URL_STS", keys_.url().c_str(), 1);
  set_file("AWS_CONFIG_FILE", "config",
           "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nexternal_id = x y\n"
           "role_session_name = me\n[profile base]\naws_access_key_id = BASE\naws_secret_access_key = "
           "the-secret\n");
  keys_.answer(answer("200 OK", "", sts_of("ROLE", in(seconds(3600)), "AssumeRole")));
  EXPECT_EQ(signer(), "ROLE the-token");
  EXPECT_NE(keys_.request(0).find("Action=AssumeRole&"), std::string::npos);
  EXPECT_NE(keys_.request(0).find("&RoleSessionName=me&ExternalId=x%20y"), std::string::npos);
  EXPECT_NE(keys_.field(0, "authorization").find("Credential=BASE/"), std::string::npos);
  EXPECT_NE(keys_.field(0, "authorization").find("/eu-north-1/sts/aws4_request"), std::string::npos);
}

TEST_F(CredentialServices, ProfilesThatLeadInACircleEnd) {
  set_file(
      "AWS_CONFIG_FILE", "config",
      "[default]\nrole_arn = a\nsource_profile = b\n[profile b]\nrole_arn = a\nsource_profile = default\n");
  EXPECT_EQ(refused().kind(), ErrorKind::invalid_argument);
}

TEST_F(CredentialServices, ContainerIsAskedWithItsToken) {
  use_container();
  keys_.answer(answer("200 OK", "", json_of("BOX", in(seconds(3600)))));
  EXPECT_EQ(signer(), "BOX the-token");
  EXPECT_TRUE(keys_.request(0).starts_with("GET /get?id=7 HTTP/1.1\r\n"));
  EXPECT_EQ(keys_.field(0, "authorization"), "the-authorization");
}

TEST_F(CredentialServices, ContainerTokenOfAFileGoesFirst) {
  use_container();
  set_file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token", "from-file\n");
  keys_.answer(answer("200 OK", "", json_of("BOX", in(seconds(3600)))));
  EXPECT_EQ(signer(), "BOX the-token");
  EXPECT_EQ(keys_.field(0, "authorization"), "from-file");
}

TEST_F(CredentialServices, ContainerUrlOfAStrangerIsNotAsked) {
  for (const char* url : {"http://keys.example/x", "http://169.254.170.20/x", "http://127.0.0.1.example/",
                          "ftp://127.0.0.1/", "127.0.0.1", "http://"}) {
    ::setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    refused();
  }
}

TEST_F(CredentialServices, HostileContainers) {
  use_container();
  ::setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-authorization\r\nx-more: 1", 1);
  refused();
  EXPECT_EQ(keys_.requests(), 0u);
  ::setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-authorization", 1);
  for (const std::string& body :
       {std::string("{\"AccessKeyId\":\"the-secret"), std::string("[]"), json_of("BOX", "soon"),
        json_of("BOX", in(seconds(-1))), json_of("B\\r\\nx: y", in(seconds(60))),
        std::string(60'000, '[') + std::string(100, ']')}) {
    keys_.answer(answer("200 OK", "", body));
    refused();
  }
  keys_.answer(answer("307 Temporary", "location: " + s3_.url() + "/\r\n"));
  refused();
  EXPECT_EQ(s3_.requests(), 0u) << "a redirect would carry the authorization away";
}

TEST_F(CredentialServices, InstanceIsAskedByItsSession) {
  use_instance();
  keys_.answer(answer("200 OK", "", "session=="));
  keys_.answer(answer("200 OK", "", "the-role\nanother"));
  keys_.answer(answer("200 OK", "", json_of("INSTANCE", in(seconds(3600)))));
  EXPECT_EQ(signer(), "INSTANCE the-token");
  EXPECT_TRUE(keys_.request(0).starts_with("PUT /latest/api/token HTTP/1.1\r\n"));
  EXPECT_EQ(keys_.field(0, "x-aws-ec2-metadata-token-ttl-seconds"), "21600");
  EXPECT_TRUE(keys_.request(1).starts_with("GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n"));
  EXPECT_TRUE(
      keys_.request(2).starts_with("GET /latest/meta-data/iam/security-credentials/the-role HTTP/1.1\r\n"));
  EXPECT_EQ(keys_.field(2, "x-aws-ec2-metadata-token"), "session==");
}

TEST_F(CredentialServices, HostileInstances) {
  use_instance();
  keys_.answer(answer("200 OK", "", "se ss\nion"));
  EXPECT_EQ(refused().kind(), ErrorKind::permission_denied);
  for (const char* role : {"", "../../user-data", "a b", "a?b"}) {
    keys_.answer(answer("200 OK", "", "session=="));
    keys_.answer(answer("200 OK", "", role));
    refused();
  }
  keys_.answer(answer("404 Not Found", ""));
  EXPECT_NE(refused().text().find("no credentials: "), std::string::npos);
}

TEST_F(CredentialServices, InstanceIsNotAskedWhereThatIsSwitchedOff) {
  use_instance();
  ::setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
  EXPECT_NE(refused().text().find("AWS_EC2_METADATA_DISABLED"), std::string::npos);
  EXPECT_EQ(keys_.requests(), 0u);
}

TEST_F(CredentialServices, TheOrderIsThatOfTheSdks) {
  use_instance();
  use_container();
  use_web_identity();
  set_file("AWS_SHARED_CREDENTIALS_FILE", "credentials",
           "[default]\naws_access_key_id = FILE\naws_secret_access_key = the-secret\n");
  ::setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "the-secret", 1);
  EXPECT_EQ(signer(), "ENV ");
  ::unsetenv("AWS_ACCESS_KEY_ID");
  keys_.answer(answer("200 OK", "", sts_of("WEB", in(seconds(3600)), "AssumeRoleWithWebIdentity")));
  EXPECT_EQ(signer(), "WEB the-token");
  ::unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
  EXPECT_EQ(signer(), "FILE ");
  set_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", "");
  keys_.answer(answer("200 OK", "", json_of("BOX", in(seconds(3600)))));
  EXPECT_EQ(signer(), "BOX the-token");
}

TEST_F(CredentialServices, ManyThatWaitAskOnce) {
  use_container();
  keys_.answer(answer("200 OK", "", json_of("OLD", in(seconds(3)))));
  const auto bucket = open();
  ASSERT_TRUE(bucket.ok()) << bucket.error();
  std::this_thread::sleep_for(milliseconds(3100));  // until they have ended
  keys_.answer(answer("200 OK", "", json_of("NEW", in(seconds(3600)))));
  std::vector<Future<ObjectInfo>> heads;
  for (int i = 0; i < 40; ++i) heads.push_back(bucket->head("key"));
  for (auto& head : heads) EXPECT_TRUE(head.get().ok());
  EXPECT_EQ(keys_.requests(), 2u);
  for (unsigned i = 0; i < s3_.requests(); ++i) {
    EXPECT_NE(s3_.field(i, "authorization").find("Credential=NEW/"), std::string::npos);
  }
}

TEST_F(CredentialServices, RenewalThatFailsLeavesThoseThatAreGood) {
  use_container();
  const auto end = std::chrono::floor<seconds>(std::chrono::system_clock::now()) + seconds(8);
  keys_.answer(answer("200 OK", "", json_of("FIRST", iso(end))));
  const auto bucket = open();
  ASSERT_TRUE(bucket.ok()) << bucket.error();
  std::this_thread::sleep_until(end - milliseconds(1700));  // in the last quarter of their time
  keys_.answer(answer("403 Forbidden", ""));
  const auto head = bucket->head("key").get();
  if (std::chrono::system_clock::now() >= end)
    GTEST_SKIP() << "this machine took longer than they were good for";
  EXPECT_TRUE(head.ok()) << head.error();
  EXPECT_NE(s3_.field(0, "authorization").find("Credential=FIRST/"), std::string::npos);
}

// Of the last try the trace shows what the caller is told, not what the service answered the one before.
TEST_F(CredentialServices, RenewalThatFailsBetweenTriesIsWhatTheTraceEndsWith) {
  use_container();
  keys_.answer(answer("200 OK", "", json_of("OLD", in(seconds(3)))));
  keys_.answer(answer("403 Forbidden", ""));
  ScriptedService busy([](const std::string&) {
    return answer("503 Slow Down", "retry-after: 4\r\n");  // until they have ended
  });
  BucketOptions options;
  options.endpoint = busy.url();
  options.retries = 1;
  const auto bucket = Bucket::open(runtime_, "s3://samples", options).get();
  ASSERT_TRUE(bucket.ok()) << bucket.error();
  TraceLines lines(runtime_);
  const auto head = bucket->head("key").get();
  ASSERT_FALSE(head.ok());
  if (busy.requests() == 0) GTEST_SKIP() << "this machine took longer than they were good for";
  EXPECT_EQ(busy.requests(), 1u);
  EXPECT_EQ(head.error().text().find("HTTP 503"), std::string::npos) << head.error();
  EXPECT_TRUE(lines.all.ends_with("bucket: failed: " + head.error().text() + "\n"))
      << lines.all << "and not\n"
      << head.error();
}

TEST_F(CredentialServices, ThoseThatTheServiceCallsExpiredAreReplaced) {
  use_container();
  keys_.answer(answer("200 OK", "", json_of("OLD", in(seconds(3600)))));
  keys_.answer(answer("200 OK", "", json_of("NEW", in(seconds(3600)))));
  ScriptedService strict([](const std::string& request) {
    return request.find("Credential=OLD/") == std::string::npos
               ? answer("200 OK", "", "<Tagging><TagSet></TagSet></Tagging>")
               : answer("400 Bad Request", "", "<Error><Code>ExpiredToken</Code></Error>");
  });
  BucketOptions options;
  options.endpoint = strict.url();
  options.retries = 0;
  const auto bucket = Bucket::open(runtime_, "s3://samples", options).get();
  ASSERT_TRUE(bucket.ok()) << bucket.error();
  const auto tags = bucket->tags("key").get();
  EXPECT_TRUE(tags.ok()) << tags.error();
  EXPECT_EQ(strict.requests(), 2u);
}

TEST_F(CredentialServices, CloseEndsASearchThatNobodyAnswers) {
  use_container();
  keys_.answer(answer("200 OK", "", json_of("OLD", in(seconds(3)))));
  const auto bucket = open();
  ASSERT_TRUE(bucket.ok()) << bucket.error();
  std::this_thread::sleep_for(milliseconds(3100));
  keys_.answer(ScriptedService::kSilent);
  auto head = bucket->head("key");
  while (keys_.requests() < 2) std::this_thread::yield();
  EXPECT_TRUE(bucket->close().get().ok());
  EXPECT_EQ(head.get().error().kind(), ErrorKind::cancelled);
}

}  // namespace
}  // namespace netstor
