// SPDX-License-Identifier: Apache-2.0
//
// lib/wire/s3/sigv4.h against the examples that the S3 API Reference works through, with the keys that it
// uses there.

#include "lib/wire/s3/sigv4.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/encoding.h"
#include "lib/wire/s3/checksum.h"

namespace netstor::s3 {
namespace {

constexpr Identity kIdentity{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
constexpr std::string_view kDate = "20130524T000000Z";
constexpr std::string_view kHost = "examplebucket.s3.amazonaws.com";

using Pairs = std::vector<NameValue>;

Signer signer() {
  Signer made("us-east-1");
  made.set_identity(kIdentity);
  return made;
}

std::string authorization(std::string_view signed_headers, std::string_view signature) {
  return "AWS4-HMAC-SHA256 "
         "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
         std::string(signed_headers) + ",Signature=" + std::string(signature);
}

TEST(SigV4, SignsTheDocumentedGetObject) {
  const Pairs headers{{"Host", kHost},
                      {"Range", "bytes=0-9"},
                      {"x-amz-content-sha256", kEmptyPayload},
                      {"x-amz-date", kDate}};
  Signer made = signer();
  EXPECT_EQ(made.authorization({"GET", "/test.txt", {}, headers}, kEmptyPayload, kDate),
            authorization("host;range;x-amz-content-sha256;x-amz-date",
                          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
  EXPECT_EQ(made.canonical().request(),
            "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
            "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
            "x-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(made.canonical().string_to_sign(),
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
            "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
}

TEST(SigV4, SignsTheDocumentedPutObject) {
  const std::string hash = to_hex(sha256(as_bytes("Welcome to Amazon S3.")));
  const Pairs headers{{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                      {"Host", kHost},
                      {"x-amz-date", kDate},
                      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                      {"x-amz-content-sha256", hash}};
  EXPECT_EQ(signer().authorization({"PUT", "/test%24file.text", {}, headers}, hash, kDate),
            authorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(SigV4, SignsTheDocumentedQueries) {
  const Pairs headers{{"Host", kHost}, {"x-amz-content-sha256", kEmptyPayload}, {"x-amz-date", kDate}};
  const Pairs lifecycle{{"lifecycle", ""}};
  Signer made = signer();
  EXPECT_EQ(made.authorization({"GET", "/", lifecycle, headers}, kEmptyPayload, kDate),
            authorization("host;x-amz-content-sha256;x-amz-date",
                          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  const Pairs list{{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(made.authorization({"GET", "", list, headers}, kEmptyPayload, kDate),
            authorization("host;x-amz-content-sha256;x-amz-date",
                          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(SigV4, PresignsTheDocumentedUrl) {
  const Pairs headers{{"host", kHost}};
  EXPECT_EQ(
      signer().presigned_query({"GET", "/test.txt", {}, headers}, kDate, std::chrono::seconds(86400)),
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%"
      "2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-"
      "Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(SigV4, SignsTheDocumentedChunks) {
  const Pairs headers{{"content-encoding", "aws-chunked"},
                      {"content-length", "66824"},
                      {"host", "s3.amazonaws.com"},
                      {"x-amz-content-sha256", kStreamingSigned},
                      {"x-amz-date", kDate},
                      {"x-amz-decoded-content-length", "66560"},
                      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  Signer made = signer();
  const RequestView request{"PUT", "/examplebucket/chunkObject.txt", {}, headers};
  EXPECT_TRUE(made.authorization(request, kStreamingSigned, kDate)
                  .ends_with("Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"));
  ChunkSigner chunks = made.chunks();
  EXPECT_EQ(chunks.chunk(sha256(as_bytes(std::string(65536, 'a')))),
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
  EXPECT_EQ(chunks.chunk(sha256(as_bytes(std::string(1024, 'a')))),
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
  EXPECT_EQ(chunks.chunk(sha256({})), "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
}

TEST(SigV4, SignsTheDocumentedTrailer) {
  const Pairs headers{{"content-encoding", "aws-chunked"},
                      {"host", "s3.amazonaws.com"},
                      {"x-amz-content-sha256", kStreamingSignedTrailer},
                      {"x-amz-date", kDate},
                      {"x-amz-decoded-content-length", "66560"},
                      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                      {"x-amz-trailer", "x-amz-checksum-crc32c"}};
  Signer made = signer();
  const RequestView request{"PUT", "/examplebucket/chunkObject.txt", {}, headers};
  EXPECT_TRUE(made.authorization(request, kStreamingSignedTrailer, kDate)
                  .ends_with("Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"));
  ChunkSigner chunks = made.chunks();
  EXPECT_EQ(chunks.chunk(sha256(as_bytes(std::string(65536, 'a')))),
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
  EXPECT_EQ(chunks.chunk(sha256(as_bytes(std::string(1024, 'a')))),
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
  EXPECT_EQ(chunks.chunk(sha256({})), "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
  const std::string body(66560, 'a');
  const std::string trailer =
      "x-amz-checksum-crc32c:" + checksum_of(ChecksumKind::crc32c, as_bytes(body)).text() + "\n";
  EXPECT_EQ(trailer, "x-amz-checksum-crc32c:sOO8/Q==\n");
  EXPECT_EQ(chunks.trailer(sha256(as_bytes(trailer))),
            "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
}

TEST(SigV4, DerivesTheDocumentedKey) {
  // The example of "Deriving a signing key" in the AWS General Reference.
  HmacSha256 hmac;
  const auto key =
      signing_key(hmac, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam");
  EXPECT_EQ(to_hex(key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
}

TEST(SigV4, SortsQueriesAsTheyAreEncoded) {
  const Pairs headers{{"host", "h"}};
  // By code point "b" < "b-" and "b" < "é"; "%C3" is before "-" only when encoded names are compared.
  const Pairs query{{"b-", "1"}, {"b", "2"}, {"b", "1 +/"}, {"\xC3\xA9", ""}, {"B", ""}};
  Signer made = signer();
  (void)made.authorization({"GET", "/", query, headers}, kUnsignedPayload, kDate);
  EXPECT_EQ(made.canonical().query(), "%C3%A9=&B=&b=1%20%2B%2F&b=2&b-=1");
}

TEST(SigV4, TrimsJoinsAndSortsHeaders) {
  const Pairs headers{{"X-Amz-Meta-B", "  two \t  spaces  "},
                      {"host", "h"},
                      {"x-amz-meta-b", "again"},
                      {"X-AMZ-META-A", ""},
                      {"x-amz-meta-b", " \t "}};
  Signer made = signer();
  (void)made.authorization({"GET", "/a", {}, headers}, kUnsignedPayload, kDate);
  EXPECT_EQ(made.canonical().request(),
            "GET\n/a\n\nhost:h\nx-amz-meta-a:\nx-amz-meta-b:two spaces,again,\n\n"
            "host;x-amz-meta-a;x-amz-meta-b\nUNSIGNED-PAYLOAD");
}

TEST(SigV4, LeavesThePathAsItIs) {
  const Pairs headers{{"host", "h"}};
  Signer made = signer();
  (void)made.authorization({"GET", "//a/../b/./%2520", {}, headers}, kUnsignedPayload, kDate);
  EXPECT_TRUE(made.canonical().request().starts_with("GET\n//a/../b/./%2520\n"));
}

TEST(SigV4, MakesANewKeyForAnotherDayRegionAndIdentity) {
  const Pairs headers{{"host", "h"}};
  const RequestView request{"GET", "/", {}, headers};
  Signer made = signer();
  const auto sign = [&](std::string_view date) {
    return std::string(made.authorization(request, kUnsignedPayload, date));
  };
  const std::string first = sign("20130524T000000Z");
  EXPECT_NE(sign("20130524T000001Z"), first);
  EXPECT_EQ(sign("20130524T000000Z"), first);
  EXPECT_TRUE(sign("20130525T000000Z").find("/20130525/") != std::string::npos);
  EXPECT_EQ(sign("20130524T000000Z"), first);
  made.set_region("eu-central-1");
  EXPECT_NE(sign("20130524T000000Z"), first);
  made.set_region("us-east-1");
  EXPECT_EQ(sign("20130524T000000Z"), first);
  made.set_identity({kIdentity.access_key_id, "another", ""});
  EXPECT_NE(sign("20130524T000000Z"), first);
}

TEST(SigV4, PutsTheSessionTokenIntoAPresignedUrl) {
  Signer made = signer();
  made.set_identity({kIdentity.access_key_id, kIdentity.secret_access_key, "to/ken="});
  const Pairs headers{{"host", "h"}};
  const Pairs query{{"versionId", "7"}};
  const std::string url(made.presigned_query({"GET", "/a", query, headers}, kDate, std::chrono::seconds(60)));
  EXPECT_NE(url.find("&X-Amz-Security-Token=to%2Fken%3D&"), std::string::npos) << url;
  EXPECT_NE(url.find("&versionId=7&X-Amz-Signature="), std::string::npos) << url;
}

TEST(SigV4, KnowsTheFormsOfAPayload) {
  EXPECT_EQ(payload_form(kEmptyPayload), PayloadForm::hashed);
  EXPECT_EQ(payload_form("UNSIGNED-PAYLOAD"), PayloadForm::unsigned_payload);
  EXPECT_EQ(payload_form("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), PayloadForm::streaming_unsigned_trailer);
  EXPECT_EQ(payload_form("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), std::nullopt);
  EXPECT_EQ(payload_form(""), std::nullopt);
  EXPECT_EQ(payload_form(std::string(64, 'A')), std::nullopt) << "capital digits";
  EXPECT_FALSE(is_streaming(PayloadForm::unsigned_payload));
  EXPECT_TRUE(is_streaming(PayloadForm::streaming_signed));
  EXPECT_FALSE(has_trailer(PayloadForm::streaming_signed));
  EXPECT_TRUE(has_trailer(PayloadForm::streaming_unsigned_trailer));
}

}  // namespace
}  // namespace netstor::s3
