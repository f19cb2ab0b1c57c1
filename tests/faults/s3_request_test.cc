// SPDX-License-Identifier: Apache-2.0
// The S3 endpoint and clients that are wrong, slow, or gone.

#include "lib/wire/s3/aws_chunked.h"
#include "lib/wire/s3/checksum.h"
#include "lib/wire/s3/xml.h"
#include "tests/integration/s3_support.h"

#include <atomic>
#include <cerrno>

namespace netstor {
namespace {

s3server::EndpointConfig short_linger() {
  s3server::EndpointConfig config;
  config.http.linger_timeout = std::chrono::milliseconds(100);
  return config;
}

class S3Fault : public ::testing::Test {
 protected:
  S3Server server{short_linger()};
  S3Client client{server.port()};

  /// The endpoint is as it was: it serves, and nothing is lent.
  void TearDown() override {
    S3Client other(server.port());
    EXPECT_EQ(other.ask({.path = "/photos", .query = {{"location", ""}}}).status, 200);
    EXPECT_TRUE(server.soon([&] { return server.counts().chunks == 0; }));
  }
  std::string list() {
    S3Client other(server.port());
    return other.ask({.path = "/photos"}).body;
  }
};

TEST_F(S3Fault, MalformedHeadsAreRefusedAndTheConnectionEnds) {
  for (const char* head :
       {"GET\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/9.9\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n", "GET / HTTP/1.1\nhost: a\n\n",
        "PUT /photos/a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "PUT /photos/a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"}) {
    S3Client other(server.port());
    const S3Reply reply = other.ask(std::string_view(head));
    EXPECT_TRUE(reply.status >= 400 && reply.status <= 505) << head;
    EXPECT_EQ(reply.fields.at("connection"), "close") << head;
    EXPECT_EQ(reply.fields.at("content-type"), "application/xml") << head;
    const auto error = s3::decode_error(reply.body);
    ASSERT_TRUE(error.ok()) << error.error() << reply.body;
    EXPECT_TRUE(error->code == "BadRequest" || error->code == "NotImplemented") << error->code;
    EXPECT_EQ(error->request_id.size(), 16u);
    EXPECT_TRUE(other.ended()) << head;
  }
}

TEST_F(S3Fault, AHeadWithoutAnEndIsBounded) {
  std::string bomb = "GET / HTTP/1.1\r\nhost: a\r\n";
  while (bomb.size() < 256 * 1024) bomb += "x-amz-meta-a: " + std::string(1000, 'a') + "\r\n";
  client.send(bomb);
  const S3Reply reply = client.reply();
  EXPECT_EQ(reply.status, 431);
  EXPECT_NE(reply.body.find("<Code>RequestHeaderSectionTooLarge</Code>"), std::string::npos) << reply.body;
}

TEST_F(S3Fault, WrongSignaturesOfEveryKind) {
  const auto now = std::chrono::system_clock::now();
  const S3Request request{.path = "/photos/a"};
  const auto code = [&](std::string text) {
    S3Client other(server.port());
    return other.ask(text).code();
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = client.text(request);
    text.replace(text.find(from), from.size(), to);
    return code(text);
  };
  EXPECT_EQ(code("GET /photos/a HTTP/1.1\r\nhost: a\r\n\r\n"), "AccessDenied");
  EXPECT_EQ(changed("Credential=ALL", "Credential=NONE"), "InvalidAccessKeyId");
  EXPECT_EQ(changed("/photos/a", "/photos/b"), "SignatureDoesNotMatch");
  EXPECT_EQ(changed("GET", "POST"), "SignatureDoesNotMatch");
  EXPECT_EQ(changed("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "AuthorizationHeaderMalformed");
  EXPECT_EQ(changed("AWS4-HMAC-SHA256 ", "AWS KEY:"), "InvalidRequest");
  EXPECT_EQ(changed("/s3/", "/s4/"), "AuthorizationHeaderMalformed");
  EXPECT_EQ(changed("x-amz-content-sha256: e", "x-amz-content-sha256: f"), "SignatureDoesNotMatch");
  EXPECT_EQ(code(client.text(request, now - std::chrono::minutes(16))), "RequestTimeTooSkewed");
  EXPECT_EQ(code(client.text(request, now + std::chrono::minutes(16))), "RequestTimeTooSkewed");
  S3Client wrong(server.port(), {.id = "ALL", .secret = "not-the-secret-012345"});
  EXPECT_EQ(wrong.ask(request).code(), "SignatureDoesNotMatch");
}

TEST_F(S3Fault, RightsEndWhereTheyEnd) {
  ASSERT_EQ(client.ask({.method = "PUT", .path = "/photos/2024/a", .body = "x"}).status, 200);
  ASSERT_EQ(client.ask({.method = "PUT", .path = "/photos/2025/a", .body = "x"}).status, 200);
  ASSERT_EQ(client.ask({.method = "PUT", .path = "/public/a", .body = "x"}).status, 200);
  S3Client some(server.port(), kSomeKey);
  EXPECT_EQ(some.ask({.path = "/photos/2024/a"}).status, 200);
  EXPECT_EQ(some.ask({.path = "/photos/2025/a"}).code(), "AccessDenied");
  EXPECT_EQ(some.ask({.method = "PUT", .path = "/photos/2024/a", .body = "y"}).code(), "AccessDenied");
  EXPECT_EQ(some.ask({.method = "DELETE", .path = "/photos/2024/a"}).code(), "AccessDenied");
  EXPECT_EQ(some.ask({.path = "/photos", .query = {{"prefix", "2024/"}}}).status, 200);
  EXPECT_EQ(some.ask({.path = "/photos", .query = {{"prefix", "20"}}}).code(), "AccessDenied");
  EXPECT_EQ(some.ask({.method = "PUT", .path = "/other"}).code(), "AccessDenied");
  EXPECT_EQ(some.ask({.method = "PUT", .path = "/logs-1"}).status, 200);
  const S3Reply deleted = some.ask({.method = "POST",
                                    .path = "/photos",
                                    .query = {{"delete", ""}},
                                    .body = "<Delete><Object><Key>2024/a</Key></Object></Delete>"});
  EXPECT_NE(deleted.body.find("<Code>AccessDenied</Code>"), std::string::npos) << deleted.body;
  EXPECT_EQ(some.ask({.method = "PUT",
                      .path = "/logs-1/stolen",
                      .fields = {{"x-amz-copy-source", "/photos/2025/a"}}})
                .code(),
            "AccessDenied");
  const std::string public_get = "GET /public/a HTTP/1.1\r\nhost: a\r\n\r\n";
  EXPECT_EQ(client.ask(public_get).body, "x");
  EXPECT_EQ(client.ask(std::string_view("GET /public HTTP/1.1\r\nhost: a\r\n\r\n")).code(), "AccessDenied");
  EXPECT_EQ(
      client.ask(std::string_view("PUT /public/a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\ny")).code(),
      "AccessDenied");
}

TEST_F(S3Fault, AClientGoneInTheMiddleOfAPutLeavesNothing) {
  const std::string request =
      client.text({.method = "PUT", .path = "/photos/gone", .body = std::string(3 << 20, 'x')});
  ASSERT_TRUE(client.send(std::string_view(request).substr(0, request.size() - 1)));
  ASSERT_TRUE(server.soon([&] { return server.counts().chunks != 0; }));
  client.hang_up();
  EXPECT_TRUE(server.soon([&] { return server.counts().connections == 0; }));
  EXPECT_EQ(list().find("gone"), std::string::npos);
  EXPECT_TRUE(server.soon([&] { return server.store().usage().stored_bytes == 0; }));
}

TEST_F(S3Fault, AClientGoneInTheMiddleOfAGet) {
  ASSERT_EQ(client.ask({.method = "PUT", .path = "/photos/big", .body = std::string(32 << 20, 'x')}).status,
            200);
  client.send(client.text({.path = "/photos/big"}));
  ASSERT_TRUE(server.soon([&] { return server.counts().chunks != 0; }));
  client.hang_up();
  EXPECT_TRUE(server.soon([&] { return server.counts().connections == 0; }));
}

TEST_F(S3Fault, WhatIsBehindABodyIsTheNextRequest) {
  const std::string put = client.text({.method = "PUT", .path = "/photos/a", .body = "x"});
  EXPECT_EQ(client.ask(put + "garbage\r\n\r\n").status, 200);
  EXPECT_EQ(client.reply().status, 400);
  EXPECT_TRUE(client.ended());
}

TEST_F(S3Fault, BadChunkFramingLeavesNothing) {
  const auto with = [&](const std::string& body, const std::string& size) {
    S3Client other(server.port());
    return other
        .ask({.method = "PUT",
              .path = "/photos/framing",
              .fields = {{"x-amz-trailer", "x-amz-checksum-crc32"}, {"x-amz-decoded-content-length", size}},
              .body = body,
              .payload_hash = std::string(s3::kStreamingUnsignedTrailer)})
        .code();
  };
  for (const char* body :
       {"zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\r\nabc\r\n", "3\nabc\n0\n\n",
        "FFFFFFFFFFFFFFFFF\r\n", "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n", "4\r\nabcd\r\n0\r\nx-amz-checksum-crc32:7YLNEQ==\r\n\r\n"})
    EXPECT_NE(with(body, "3"), "") << body;
  EXPECT_EQ(list().find("framing"), std::string::npos);
  // "abc" and its checksum.
  const std::string good =
      s3::checksum_of(s3::ChecksumKind::crc32, std::as_bytes(std::span("abc", 3))).text();
  EXPECT_EQ(with("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:" + good + "\r\n\r\n", "3"), "");
  EXPECT_NE(list().find("framing"), std::string::npos);
}

TEST_F(S3Fault, XmlBombs) {
  const auto code = [&](const std::string& body) {
    return client.ask({.method = "POST", .path = "/photos", .query = {{"delete", ""}}, .body = body}).code();
  };
  EXPECT_EQ(
      code("<!DOCTYPE d [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><Delete><Object><Key>&b;</Key></Object>"
           "</Delete>"),
      "MalformedXML");
  EXPECT_EQ(code("<!DOCTYPE d SYSTEM \"file:///etc/passwd\"><Delete/>"), "MalformedXML");
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "<a>";
  EXPECT_EQ(code(deep), "MalformedXML");
  EXPECT_EQ(code("<Delete></Delete>"), "MalformedXML");
  std::string many = "<Delete>";
  for (int i = 0; i < 1001; ++i) many += "<Object><Key>k</Key></Object>";
  EXPECT_EQ(code(many + "</Delete>"), "MalformedXML");
}

TEST_F(S3Fault, ABodyThatNobodyWantsIsBounded) {
  EXPECT_EQ(client
                .ask({.method = "POST",
                      .path = "/photos",
                      .query = {{"delete", ""}},
                      .body = std::string((4 << 20) + 1, 'x')})
                .code(),
            "EntityTooLarge");
}

TEST_F(S3Fault, AnEarlyErrorReachesAClientThatStillSends) {
  const S3Reply reply =
      client.ask({.method = "PUT", .path = "/nowhere/a", .body = std::string(8 << 20, 'x')});
  EXPECT_EQ(reply.code(), "NoSuchBucket");
}

TEST_F(S3Fault, ControlCharactersDoNotGetIntoHeads) {
  ASSERT_EQ(client.ask({.method = "PUT", .path = "/photos/a", .body = "x"}).status, 200);
  for (const char* const type : {"a\r\nset-cookie: b", "a\nb", "a\x01", "\x7F"}) {
    const S3Reply reply = client.ask({.path = "/photos/a", .query = {{"response-content-type", type}}});
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(reply.code(), "InvalidArgument");
  }
}

TEST(S3Slow, SlowHeadsAndBodiesEnd) {
  s3server::EndpointConfig config;
  config.http.head_timeout = std::chrono::milliseconds(200);
  config.http.body_timeout = std::chrono::milliseconds(200);
  config.http.idle_timeout = std::chrono::milliseconds(200);
  config.http.linger_timeout = std::chrono::milliseconds(50);
  S3Server server(config);
  S3Client head(server.port());
  S3Client body(server.port());
  S3Client idle(server.port());
  head.send("GET / HTTP/1.1\r\n");
  const std::string put =
      body.text({.method = "PUT", .path = "/photos/slow", .body = std::string(100'000, 'x')});
  body.send(std::string_view(put).substr(0, put.size() - 99'000));
  EXPECT_EQ(head.reply().status, 408);
  EXPECT_TRUE(head.ended());
  EXPECT_EQ(body.reply().status, 408);
  EXPECT_TRUE(body.ended());
  EXPECT_TRUE(idle.ended());
  EXPECT_TRUE(server.soon([&] { return server.counts().chunks == 0 && server.counts().connections == 0; }));
}

TEST(S3Limits, ConnectionsPastTheLimitAreClosed) {
  s3server::EndpointConfig config;
  config.connections_max = 2;
  std::string log;
  net::Warnings warnings(
      [&log](net::Warnings::Kind, const std::string& line, std::uint64_t) { log += line; });
  config.warnings = &warnings;
  S3Server server(config);
  S3Client first(server.port());
  S3Client second(server.port());
  ASSERT_TRUE(server.soon([&] { return server.counts().connections == 2; }));
  S3Client third(server.port());
  EXPECT_TRUE(third.ended());
  EXPECT_EQ(first.ask({.path = "/photos", .query = {{"location", ""}}}).status, 200);
  server.stop();
  EXPECT_NE(log.find("refused, a shard serves 2 S3 connections already"), std::string::npos) << log;
}

TEST(S3Limits, ManyUploadsShareLittleMemory) {
  s3server::EndpointConfig config;
  config.buffer_bytes = 2 << 20;
  S3Server server(config);
  std::vector<std::unique_ptr<S3Client>> clients;
  const std::string body(3 << 20, 'x');
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<S3Client>(server.port()));
    const std::string request =
        clients[i]->text({.method = "PUT", .path = "/photos/" + std::to_string(i), .body = body});
    // So much fits into the sockets' own buffers that nobody waits for another here.
    ASSERT_TRUE(clients[i]->send(std::string_view(request).substr(0, request.size() - body.size() + 1000)));
  }
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(clients[i]->send(std::string_view(body).substr(1000)));
    EXPECT_EQ(clients[i]->reply().status, 200) << i;
    EXPECT_LE(server.counts().chunks, 32u);
  }
}

TEST(S3DiskFull, IsSaidAndLeavesTheOldObject) {
  auto failing = std::make_shared<std::atomic<bool>>(false);
  store::ObjectStoreOptions options;
  options.fail_commit = [failing] { return failing->load() ? ENOSPC : 0; };
  S3Server server({}, options);
  S3Client client(server.port());
  ASSERT_EQ(client.ask({.method = "PUT", .path = "/photos/a", .body = "old"}).status, 200);
  failing->store(true);
  const S3Reply refused =
      client.ask({.method = "PUT", .path = "/photos/a", .body = std::string(2 << 20, 'n')});
  EXPECT_EQ(refused.status, s3::facts(s3::ErrorCode::storage_full).status) << refused.body;
  failing->store(false);
  EXPECT_EQ(client.ask({.path = "/photos/a"}).body, "old");
}

}  // namespace
}  // namespace netstor
