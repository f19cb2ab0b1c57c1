// SPDX-License-Identifier: Apache-2.0
// The S3 endpoint over real sockets, with requests made by hand.

#include "tests/integration/s3_support.h"

#include "lib/wire/http/uri.h"
#include "lib/wire/s3/aws_chunked.h"
#include "lib/wire/s3/checksum.h"
#include "lib/wire/s3/rdma.h"

#include <thread>

namespace netstor {
namespace {

std::string pattern(std::size_t size, unsigned seed = 1) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 31 + i / 251 + seed) & 0xFF);
  return text;
}

class S3Endpoint : public ::testing::TestWithParam<std::size_t> {
 protected:
  S3Server server;
  S3Client client{server.port()};
  S3Reply put(const std::string& path, const std::string& body) {
    return client.ask({.method = "PUT", .path = path, .body = body});
  }
  S3Reply get(const std::string& path) { return client.ask({.path = path}); }
};

TEST_P(S3Endpoint, GivesBackWhatWasPut) {
  const std::string body = pattern(GetParam());
  const S3Reply put_reply = put("/photos/a/b", body);
  ASSERT_EQ(put_reply.status, 200) << put_reply.body;
  const std::string etag = "\"" + to_hex(md5(std::as_bytes(std::span(body)))) + "\"";
  EXPECT_EQ(put_reply.fields.at("etag"), etag);
  const S3Reply got = get("/photos/a/b");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.fields.at("etag"), etag);
  EXPECT_TRUE(got.body == body);
  EXPECT_EQ(client.ask({.method = "HEAD", .path = "/photos/a/b"}).fields.at("content-length"),
            std::to_string(body.size()));
  EXPECT_EQ(server.counts().chunks, 0u);
}
INSTANTIATE_TEST_SUITE_P(Sizes, S3Endpoint,
                         ::testing::Values(0, 1, 4096, 16 << 10, (16 << 10) + 1, 65536, 1 << 20,
                                           (1 << 20) + 1, (5 << 20) + 123));

using S3EndpointOnce = S3Endpoint;

TEST_F(S3EndpointOnce, KeepsMetadataAndTags) {
  ASSERT_EQ(
      client
          .ask({.method = "PUT",
                .path = "/photos/m",
                .fields = {{"content-type", "image/x"}, {"x-amz-meta-who", "me"}, {"x-amz-tagging", "a=b"}},
                .body = "x"})
          .status,
      200);
  const S3Reply got = get("/photos/m");
  EXPECT_EQ(got.fields.at("content-type"), "image/x");
  EXPECT_EQ(got.fields.at("x-amz-meta-who"), "me");
  EXPECT_EQ(got.fields.at("x-amz-tagging-count"), "1");
}

TEST_F(S3EndpointOnce, SendsRanges) {
  const std::string body = pattern(200'000);
  ASSERT_EQ(put("/photos/r", body).status, 200);
  const auto ranged = [&](const std::string& range) {
    return client.ask({.path = "/photos/r", .fields = {{"range", range}}});
  };
  const S3Reply some = ranged("bytes=70000-140000");
  EXPECT_EQ(some.status, 206);
  EXPECT_EQ(some.fields.at("content-range"), "bytes 70000-140000/200000");
  EXPECT_TRUE(some.body == body.substr(70000, 70001));
  EXPECT_TRUE(ranged("bytes=-5").body == body.substr(199'995));
  EXPECT_EQ(ranged("bytes=0-1,5-6").status, 200);
  const S3Reply behind = ranged("bytes=200000-");
  EXPECT_EQ(behind.status, 416);
  EXPECT_EQ(behind.fields.at("content-range"), "bytes */200000");
  EXPECT_EQ(behind.code(), "InvalidRange");
}

TEST_F(S3EndpointOnce, JudgesConditions) {
  const std::string etag = put("/photos/c", "x").fields.at("etag");
  const auto with = [&](const std::string& name, const std::string& value) {
    return client.ask({.path = "/photos/c", .fields = {{name, value}}}).status;
  };
  EXPECT_EQ(with("if-none-match", etag), 304);
  EXPECT_EQ(with("if-none-match", "\"other\""), 200);
  EXPECT_EQ(with("if-match", "\"other\""), 412);
  EXPECT_EQ(with("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"), 304);
  EXPECT_EQ(with("if-unmodified-since", "Thu, 01 Jan 1970 00:00:10 GMT"), 412);
  const auto put_if = [&](const std::string& name, const std::string& value) {
    return client.ask({.method = "PUT", .path = "/photos/c", .fields = {{name, value}}, .body = "y"}).status;
  };
  EXPECT_EQ(put_if("if-none-match", "*"), 412);
  EXPECT_EQ(put_if("if-match", "\"other\""), 412);
  EXPECT_EQ(put_if("if-match", etag), 200);
}

TEST_F(S3EndpointOnce, TakesSignedChunksWithATrailer) {
  const std::string body = pattern(150'000);
  const std::string checksum =
      s3::checksum_of(s3::ChecksumKind::crc32c, std::as_bytes(std::span(body))).text();
  const std::array<s3::NameValue, 1> trailers{{{"x-amz-checksum-crc32c", checksum}}};
  const auto form = s3::PayloadForm::streaming_signed_trailer;
  const std::string head = client.text(
      {.method = "PUT",
       .path = "/photos/chunked",
       .fields = {{"content-encoding", "aws-chunked"},
                  {"x-amz-trailer", "x-amz-checksum-crc32c"},
                  {"x-amz-decoded-content-length", std::to_string(body.size())},
                  {"content-length",
                   std::to_string(s3::AwsChunkedEncoder::encoded_bytes(form, body.size(), 65536, trailers))}},
       .payload_hash = std::string(s3::kStreamingSignedTrailer)});
  s3::AwsChunkedEncoder encoder(form, client.chunks());
  std::string wire = head;
  for (std::size_t at = 0; at < body.size(); at += 65536) {
    const std::string chunk = body.substr(at, 65536);
    wire += encoder.before(std::as_bytes(std::span(chunk)));
    wire += chunk;
  }
  wire += encoder.end(trailers);
  std::string broken = wire;
  broken[head.size() + 1000] ^= 1;
  const S3Reply reply = client.ask(wire);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.fields.at("x-amz-checksum-crc32c"), checksum);
  const S3Reply got = client.ask({.path = "/photos/chunked", .fields = {{"x-amz-checksum-mode", "ENABLED"}}});
  EXPECT_TRUE(got.body == body);
  EXPECT_EQ(got.fields.at("x-amz-checksum-crc32c"), checksum);
  EXPECT_FALSE(got.fields.contains("content-encoding"));
  S3Client other(server.port());
  const S3Reply refused = other.ask(broken);
  EXPECT_EQ(refused.code(), "SignatureDoesNotMatch") << refused.body;
}

TEST_F(S3EndpointOnce, RefusesWrongChecksums) {
  const auto with = [&](const std::string& name, const std::string& value) {
    return client.ask({.method = "PUT", .path = "/photos/w", .fields = {{name, value}}, .body = "x"}).code();
  };
  EXPECT_EQ(with("content-md5", s3::content_md5(md5(std::as_bytes(std::span(std::string_view("y")))))),
            "BadDigest");
  EXPECT_EQ(with("content-md5", "short"), "InvalidDigest");
  EXPECT_EQ(with("x-amz-checksum-crc32", "AAAAAA=="), "BadDigest");
  EXPECT_EQ(with("x-amz-checksum-crc32", "?"), "InvalidRequest");
  EXPECT_EQ(client
                .ask({.method = "PUT",
                      .path = "/photos/w",
                      .body = "x",
                      .payload_hash = std::string(s3::kEmptyPayload)})
                .code(),
            "XAmzContentSHA256Mismatch");
  EXPECT_EQ(get("/photos/w").code(), "NoSuchKey");
}

TEST_F(S3EndpointOnce, CompletesAMultipartUpload) {
  const S3Reply begun = client.ask({.method = "POST", .path = "/photos/mp", .query = {{"uploads", ""}}});
  ASSERT_EQ(begun.status, 200);
  const auto from = begun.body.find("<UploadId>") + 10;
  const std::string id = begun.body.substr(from, begun.body.find("</UploadId>") - from);
  const std::string first = pattern(5 << 20);
  const std::string last = pattern(1000, 7);
  const auto part = [&](const std::string& number, const std::string& body) {
    return client.ask({.method = "PUT",
                       .path = "/photos/mp",
                       .query = {{"partNumber", number}, {"uploadId", id}},
                       .body = body});
  };
  const std::string one = part("1", first).fields.at("etag");
  const std::string two = part("2", last).fields.at("etag");
  EXPECT_EQ(part("0", "x").code(), "InvalidArgument");
  EXPECT_EQ(part("10001", "x").code(), "InvalidArgument");
  const auto complete = [&](const std::string& parts) {
    return client.ask({.method = "POST",
                       .path = "/photos/mp",
                       .query = {{"uploadId", id}},
                       .body = "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>"});
  };
  const auto said = [](const std::string& number, const std::string& etag) {
    return "<Part><PartNumber>" + number + "</PartNumber><ETag>" + etag + "</ETag></Part>";
  };
  EXPECT_EQ(complete(said("2", two) + said("1", one)).code(), "InvalidPartOrder");
  EXPECT_EQ(complete(said("1", two)).code(), "InvalidPart");
  EXPECT_EQ(complete(said("1", one) + said("3", two)).code(), "InvalidPart");
  EXPECT_EQ(complete("").code(), "MalformedXML");
  EXPECT_EQ(get("/photos/mp").code(), "NoSuchKey");
  const S3Reply done = complete(said("1", one) + said("2", two));
  ASSERT_EQ(done.status, 200) << done.body;
  const S3Reply got = get("/photos/mp");
  EXPECT_TRUE(got.body == first + last);
  EXPECT_TRUE(got.fields.at("etag").ends_with("-2\""));
  EXPECT_EQ(complete(said("1", one)).code(), "NoSuchUpload");
}

TEST_F(S3EndpointOnce, RefusesAPartThatIsTooSmall) {
  const S3Reply begun = client.ask({.method = "POST", .path = "/photos/small", .query = {{"uploads", ""}}});
  const auto from = begun.body.find("<UploadId>") + 10;
  const std::string id = begun.body.substr(from, begun.body.find("</UploadId>") - from);
  std::string parts;
  for (const std::string number : {"1", "2"}) {
    const std::string etag = client
                                 .ask({.method = "PUT",
                                       .path = "/photos/small",
                                       .query = {{"partNumber", number}, {"uploadId", id}},
                                       .body = "small"})
                                 .fields.at("etag");
    parts += "<Part><PartNumber>" + number + "</PartNumber><ETag>" + etag + "</ETag></Part>";
  }
  EXPECT_EQ(client
                .ask({.method = "POST",
                      .path = "/photos/small",
                      .query = {{"uploadId", id}},
                      .body = "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>"})
                .code(),
            "EntityTooSmall");
}

TEST_F(S3EndpointOnce, TakesKeysOfEveryByte) {
  std::string key = "../a/./b//c/";
  for (int c = 1; c < 256; ++c) key.push_back(static_cast<char>(c));
  key += std::string(1024 - key.size(), 'x');
  const std::string path = "/photos/" + http::percent_encoded(key, http::Slash::keep);
  ASSERT_EQ(put(path, "here").status, 200);
  EXPECT_EQ(get(path).body, "here");
  const S3Reply listed =
      client.ask({.path = "/photos", .query = {{"list-type", "2"}, {"encoding-type", "url"}}});
  EXPECT_NE(listed.body.find("<Key>" + http::percent_encoded(key, http::Slash::keep) + "</Key>"),
            std::string::npos)
      << listed.body;
  EXPECT_EQ(put(path + "x", "here").code(), "KeyTooLongError");
}

TEST_F(S3EndpointOnce, ListsPageByPage) {
  for (const char* key : {"a/1", "a/2", "b", "c/1"}) put(std::string("/photos/") + key, key);
  const S3Reply first =
      client.ask({.path = "/photos", .query = {{"list-type", "2"}, {"delimiter", "/"}, {"max-keys", "2"}}});
  EXPECT_NE(first.body.find("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"), std::string::npos);
  EXPECT_NE(first.body.find("<Key>b</Key>"), std::string::npos);
  const auto from = first.body.find("<NextContinuationToken>") + 23;
  const std::string token = first.body.substr(from, first.body.find("</NextContinuationToken>") - from);
  const S3Reply second = client.ask(
      {.path = "/photos", .query = {{"list-type", "2"}, {"delimiter", "/"}, {"continuation-token", token}}});
  EXPECT_NE(second.body.find("<Prefix>c/</Prefix>"), std::string::npos);
  EXPECT_EQ(second.body.find("<Key>b</Key>"), std::string::npos);
  EXPECT_NE(second.body.find("<IsTruncated>false</IsTruncated>"), std::string::npos);
}

TEST_F(S3EndpointOnce, AnswersHeadOfNothingWithoutABody) {
  const S3Reply reply = client.ask({.method = "HEAD", .path = "/photos/none"});
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(get("/photos/none").code(), "NoSuchKey");  // on the same connection
}

TEST_F(S3EndpointOnce, SaysWhatItDoesNotDo) {
  EXPECT_EQ(client.ask({.method = "PUT", .path = "/photos", .query = {{"policy", ""}}, .body = "{}"}).status,
            501);
  EXPECT_EQ(client
                .ask({.method = "PUT",
                      .path = "/photos/e",
                      .fields = {{"x-amz-server-side-encryption", "AES256"}},
                      .body = "x"})
                .code(),
            "NotImplemented");
}

// Were a token not seen, a PUT with it would store an empty object.
TEST_F(S3EndpointOnce, DeclinesPayloadByRdmaWithoutADevice) {
  const auto declined = [](const S3Reply& reply) {
    return reply.status == 501 && reply.code() == "NotImplemented" &&
           reply.fields.contains("x-amz-rdma-reply") && reply.fields.at("x-amz-rdma-reply") == "501";
  };
  EXPECT_TRUE(declined(client.ask({.method = "POST", .path = "/", .query = {{"netstor-rdma", ""}}})));
  EXPECT_TRUE(declined(client.ask({.method = "POST", .path = "/none/", .query = {{"netstor-rdma", ""}}})));
  for (const std::string& token :
       {std::string("00007f0123456000:00800000:0000beef:0000:000123:1:00000000000000000000ffff0a000001"),
        encode(s3::RdmaToken{.sequence = 1, .expires_ms = 1000, .address = 4096, .length = 4096}),
        std::string("x")}) {
    const std::vector<std::pair<std::string, std::string>> fields = {{"x-amz-rdma-token", token}};
    for (const char* method : {"PUT", "GET"}) {
      EXPECT_TRUE(declined(client.ask({.method = method,
                                       .path = "/photos/by-rdma",
                                       .fields = fields,
                                       .payload_hash = "UNSIGNED-PAYLOAD"})))
          << method << " " << token;
    }
  }
  EXPECT_EQ(get("/photos/by-rdma").status, 404);
}

TEST_F(S3EndpointOnce, RightsComeBeforeTokens) {
  const S3Reply reply = client.ask({.method = "PUT",
                                    .path = "/nobodys/k",
                                    .fields = {{"x-amz-rdma-token", "x"}},
                                    .payload_hash = "UNSIGNED-PAYLOAD"});
  EXPECT_EQ(reply.code(), "NoSuchBucket");
}

TEST(S3EndpointStop, EndsIdleConnectionsAndAnswersWhatIsUnderWay) {
  S3Server server;
  S3Client idle(server.port());
  S3Client busy(server.port());
  ASSERT_EQ(idle.ask({.path = "/photos", .query = {{"location", ""}}}).status, 200);
  const std::string request = busy.text({.method = "PUT", .path = "/photos/late", .body = pattern(100'000)});
  ASSERT_TRUE(busy.send(std::string_view(request).substr(0, request.size() - 50'000)));
  ASSERT_TRUE(server.soon([&] { return server.counts().chunks != 0; }));
  std::thread rest([&] {
    EXPECT_TRUE(idle.ended());
    busy.send(std::string_view(request).substr(request.size() - 50'000));
    const S3Reply reply = busy.reply();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.fields.at("connection"), "close");
  });
  server.stop(std::chrono::seconds(30));
  rest.join();
}

}  // namespace
}  // namespace netstor
