// SPDX-License-Identifier: Apache-2.0
// What a service may do wrong to a bucket's client, one small test each.

#include <netstor/netstor.h>

#include "lib/wire/s3/aws_chunked.h"
#include "tests/faults/scripted_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>

namespace netstor {
namespace {

using std::chrono::milliseconds;

std::string error_body(std::string_view code) {
  return "<?xml version=\"1.0\"?><Error><Code>" + std::string(code) +
         "</Code><Message>why</Message><RequestId>R1</RequestId></Error>";
}

class BucketFault : public testing::Test {
 protected:
  Bucket open(unsigned retries = 2, PayloadSigning signing = PayloadSigning::automatic) {
    BucketOptions options;
    options.payload_signing = signing;
    options.endpoint = service_.url();
    options.credentials = Credentials{
        .access_key_id = "id", .secret_access_key = "the-secret", .session_token = "", .expires = {}};
    options.retries = retries;
    options.retry_delay = milliseconds(1);
    options.retry_delay_max = milliseconds(5);
    options.connect_timeout = milliseconds(500);
    options.first_byte_timeout = milliseconds(300);
    Result<Bucket> bucket = Bucket::open(runtime_, "s3://samples", options).get();
    EXPECT_TRUE(bucket.ok()) << bucket.error();
    return *bucket;
  }
  /// The error of a GET of 100 bytes.
  Error get_fails(unsigned retries = 0) {
    const Bucket bucket = open(retries);
    auto read = bucket.get("key", into_.bytes().first(100)).get();
    EXPECT_FALSE(read.ok());
    EXPECT_TRUE(bucket.close().get().ok());
    return read ? Error(ErrorKind::internal, "it succeeded") : read.error();
  }

  ScriptedService service_;
  Runtime runtime_ = *Runtime::start();
  Buffer into_ = *Buffer::allocate(4096);
};

TEST_F(BucketFault, BusyServiceIsAskedAgain) {
  service_.answer(answer("503 Slow Down", "retry-after: 0\r\n", error_body("SlowDown")));
  service_.answer(answer("206 Partial", "content-range: bytes 0-2/3\r\netag: \"e\"\r\n", "abc"));
  const Bucket bucket = open();
  const auto read = bucket.get("key", into_.bytes()).get();
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(read->bytes, 3u);
  EXPECT_EQ(service_.requests(), 2u);
}

TEST_F(BucketFault, BusyServiceIsNotAskedForEver) {
  for (int i = 0; i < 3; ++i) service_.answer(answer("503 Slow Down", "", error_body("SlowDown")));
  const Error error = get_fails(2);
  EXPECT_EQ(error.kind(), ErrorKind::exhausted) << error;
  EXPECT_EQ(error.origin(), Origin::s3);
  EXPECT_EQ(error.native(), 503);
  EXPECT_NE(error.text().find("SlowDown"), std::string::npos) << error;
  EXPECT_EQ(error.code(), "SlowDown");
  EXPECT_EQ(error.request_id(), "R1");
  EXPECT_EQ(service_.requests(), 3u);
}

TEST_F(BucketFault, ConnectionThatEndsUnansweredIsMadeAnew) {
  service_.answer(ScriptedService::kClose);
  service_.answer(answer("206 Partial", "content-range: bytes 0-2/3\r\n", "abc"));
  EXPECT_TRUE(open().get("key", into_.bytes()).get().ok());
}

TEST_F(BucketFault, PutUnderAConditionIsNotRepeatedWhenItsAnswerIsLost) {
  service_.answer(ScriptedService::kClose);
  const Bucket bucket = open();
  PutOptions options;
  options.conditions.if_none_match = "*";
  const auto put = bucket.put("key", into_.bytes(), options).get();
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().kind(), ErrorKind::disconnected) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::unknown);
  EXPECT_EQ(service_.requests(), 1u);
}

TEST_F(BucketFault, PutUnderAConditionIsNotRepeatedAfterABreakInTheService) {
  PutOptions options;
  options.conditions.if_none_match = "*";
  for (const char* status : {"500 Error", "502 Bad Gateway", "503 Unavailable", "504 Timeout"}) {
    const unsigned before = service_.requests();
    service_.answer(answer(status, ""));
    const auto put = open().put("key", into_.bytes(), options).get();
    ASSERT_FALSE(put.ok()) << status;
    EXPECT_EQ(put.error().effect(), Effect::unknown) << put.error();
    EXPECT_EQ(service_.requests(), before + 1) << status;
  }
}

TEST_F(BucketFault, PutUnderAConditionIsRepeatedWhenTheServiceIsBusy) {
  service_.answer(answer("503 Slow Down", "", error_body("SlowDown")));
  service_.answer(answer("429 Too Many Requests", ""));
  service_.answer(answer("200 OK", "etag: \"e\"\r\n"));
  PutOptions options;
  options.conditions.if_none_match = "*";
  EXPECT_TRUE(open().put("key", into_.bytes(), options).get().ok());
  EXPECT_EQ(service_.requests(), 3u);
}

TEST_F(BucketFault, PayloadInChunksThatIsSentAgainIsSignedAnew) {
  service_.answer(answer("503 Slow Down", "retry-after: 0\r\n", error_body("SlowDown")));
  service_.answer(answer("200 OK", "etag: \"e\"\r\n"));
  const Bucket bucket = open(2, PayloadSigning::chunks);
  const Buffer from = *Buffer::allocate(300'000);
  const auto put = bucket.put("key", from.bytes()).get();
  ASSERT_TRUE(put.ok()) << put.error();
  ASSERT_EQ(service_.requests(), 2u);
  for (const std::size_t index : {0u, 1u}) {
    const std::string request = service_.request(index);
    const std::string authorization = service_.field(index, "authorization");
    const std::string date = service_.field(index, "x-amz-date");
    s3::SignatureText seed{};
    ASSERT_GT(authorization.size(), seed.size());
    std::ranges::copy(authorization.substr(authorization.size() - seed.size()), seed.begin());
    HmacSha256 hmac;
    const s3::SigningKey key = s3::signing_key(hmac, "the-secret", date.substr(0, 8), "us-east-1", "s3");
    s3::AwsChunkedDecoder decoder(
        s3::PayloadForm::streaming_signed, from.size(),
        s3::ChunkSigner(key, date, date.substr(0, 8) + "/us-east-1/s3/aws4_request", seed));
    const std::string body = request.substr(request.find("\r\n\r\n") + 4);
    auto left = std::as_bytes(std::span(body));
    auto step = decoder.next(left);
    for (; step.event == s3::AwsChunkedDecoder::Event::payload; step = decoder.next(left))
      left = left.subspan(step.consumed);
    EXPECT_EQ(step.event, s3::AwsChunkedDecoder::Event::end) << index << ": " << decoder.fault().text;
    EXPECT_EQ(step.consumed, left.size()) << index;
  }
}

TEST_F(BucketFault, CreateOnlyPutSaysThatTheObjectIsThere) {
  service_.answer(answer("412 Precondition Failed", "", error_body("PreconditionFailed")));
  PutOptions options;
  options.conditions.if_none_match = "*";
  const auto put = open().put("key", into_.bytes(), options).get();
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().kind(), ErrorKind::already_exists) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::none);
}

TEST_F(BucketFault, BodyThatEndsEarlyIsAnError) {
  service_.answer(
      "HTTP/1.1 206 P\r\ncontent-range: bytes 0-99/100\r\ncontent-length: 100\r\nconnection: "
      "close\r\n\r\nabc");
  const Error error = get_fails();
  EXPECT_EQ(error.kind(), ErrorKind::disconnected) << error;
}

TEST_F(BucketFault, AnswerThatIsLongerThanItsPlaceIsRefusedBeforeAByteIsWritten) {
  std::memset(into_.data(), 7, into_.size());
  service_.answer(answer("200 OK", "", std::string(5000, 'x')));
  const Error error = get_fails();
  EXPECT_EQ(error.kind(), ErrorKind::protocol) << error;
  EXPECT_EQ(into_.bytes()[0], std::byte{7});
}

TEST_F(BucketFault, AnotherRangeThanTheOneAskedForIsRefused) {
  service_.answer(answer("206 Partial", "content-range: bytes 50-52/1000\r\n", "abc"));
  EXPECT_EQ(get_fails().kind(), ErrorKind::protocol);
}

TEST_F(BucketFault, IgnoredRangeIsRefused) {
  service_.answer(answer("200 OK", "", "abc"));
  GetOptions options;
  options.offset = 10;
  const auto read = open(0).get("key", into_.bytes(), options).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind(), ErrorKind::protocol) << read.error();
}

// What is kept of "abc", and of something else.
const std::string kKept = "x-amz-checksum-crc32c: Nks/tw==\r\n";
const std::string kKeptOther = "x-amz-checksum-crc32c: AAAAAA==\r\n";
const std::string kAbcHead = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\netag: \"e\"\r\n";
const std::string kAbcRange = "content-range: bytes 0-2/3\r\netag: \"e\"\r\n";

TEST_F(BucketFault, BytesThatAreNotThoseThatWerePutAreNotedByEveryGet) {
  const Bucket bucket = open(0);
  for (const auto& [kept, kind] : {std::pair(kKept, std::optional<ErrorKind>()),
                                   std::pair(kKeptOther, std::optional(ErrorKind::data_corrupt))}) {
    const auto outcome = [](const auto& result) {
      return result.ok() ? std::nullopt : std::optional(result.error().kind());
    };
    service_.answer(answer("206 Partial", kAbcRange + kept, "abc"));
    EXPECT_EQ(outcome(bucket.get("key", into_.bytes()).get()), kind);
    service_.answer(kAbcHead + kept + "\r\n");
    service_.answer(answer("206 Partial", kAbcRange, "abc"));
    EXPECT_EQ(outcome(bucket.get("key").get()), kind);
    service_.answer(kAbcHead + kept + "\r\n");
    service_.answer(answer("206 Partial", kAbcRange, "abc"));
    const auto reader = bucket.open_reader("key").get();
    ASSERT_TRUE(reader.ok()) << reader.error();
    EXPECT_TRUE(reader->read(into_.bytes().first(2)).get().ok());
    EXPECT_EQ(outcome(reader->read(into_.bytes()).get()), kind);
    EXPECT_EQ(outcome(reader->read(into_.bytes()).get()), kind);
  }
  EXPECT_EQ(service_.field(0, "x-amz-checksum-mode"), "ENABLED");
}

TEST_F(BucketFault, ChecksumOfMoreThanWasReadIsNotComparedWithIt) {
  const Bucket bucket = open(0);
  service_.answer(answer("206 Partial", "content-range: bytes 0-2/9\r\netag: \"e\"\r\n" + kKeptOther, "abc"));
  EXPECT_TRUE(bucket.get("key", into_.bytes().first(3)).get().ok());
  service_.answer(answer("206 Partial", kAbcRange + "x-amz-checksum-crc32c: AAAAAA==-2\r\n", "abc"));
  EXPECT_TRUE(bucket.get("key", into_.bytes()).get().ok()) << "of parts";
}

TEST_F(BucketFault, Md5GoesWithThePayload) {
  const Bucket bucket = open(0);
  service_.answer(answer("200 OK", "etag: \"e\"\r\n"));
  PutOptions options;
  options.checksum = ChecksumAlgorithm::md5;
  ASSERT_TRUE(bucket.put("key", Bytes(reinterpret_cast<const std::byte*>("abc"), 3), options).get().ok());
  EXPECT_EQ(service_.field(0, "content-md5"), "kAFQmDzST7DWlj99KOF/cg==");
  EXPECT_EQ(service_.request(0).find("x-amz-checksum"), std::string::npos);
}

TEST_F(BucketFault, PauseThatIsAskedForByADateIsKept) {
  service_.answer(answer("503 Slow Down", "retry-after: Fri, 01 Jan 2100 00:00:00 GMT\r\n"));
  service_.answer(answer("206 Partial", kAbcRange, "abc"));
  BucketOptions options;
  options.endpoint = service_.url();
  options.anonymous = true;
  options.retry_delay = milliseconds(1);
  options.retry_delay_max = milliseconds(200);  // what a service may ask for
  const Bucket bucket = *Bucket::open(runtime_, "s3://samples", options).get();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(bucket.get("key", into_.bytes()).get().ok());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(200));
}

TEST_F(BucketFault, ACopySaysWhatItsSourceMustBe) {
  service_.answer(answer("200 OK", "", "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"));
  CopyOptions options;
  options.source_version_id = "a/b+c&d";
  options.source_conditions.if_match = "x";
  options.source_conditions.if_modified_since = WallTime(std::chrono::seconds(1'000'000'000));
  options.source_conditions.if_unmodified_since = WallTime(std::chrono::seconds(1'100'000'000));
  const auto copied = open(0).copy("a b", "c", options).get();
  ASSERT_TRUE(copied.ok()) << copied.error();
  EXPECT_EQ(service_.field(0, "x-amz-copy-source"), "/samples/a%20b?versionId=a%2Fb%2Bc%26d");
  EXPECT_EQ(service_.field(0, "x-amz-copy-source-if-match"), "\"x\"");
  EXPECT_EQ(service_.field(0, "x-amz-copy-source-if-modified-since"), "Sun, 09 Sep 2001 01:46:40 GMT");
  EXPECT_EQ(service_.field(0, "x-amz-copy-source-if-unmodified-since"), "Tue, 09 Nov 2004 11:33:20 GMT");
}

TEST_F(BucketFault, EncryptionByTheServiceIsAskedForWhereItIsChosen) {
  service_.answer(answer("200 OK", "etag: \"e\"\r\n"));
  service_.answer(answer("200 OK", "etag: \"e\"\r\n"));
  service_.answer(answer("200 OK", "", "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"));
  const Bucket bucket = open(0);
  PutOptions options;
  options.encryption.kind = Encryption::Kind::sse_s3;
  EXPECT_TRUE(bucket.put("key", into_.bytes(), options).get().ok());
  options.encryption = {.kind = Encryption::Kind::sse_kms, .kms_key_id = "a-key", .customer_key = {}};
  EXPECT_TRUE(bucket.put("key", into_.bytes(), options).get().ok());
  EXPECT_TRUE(bucket.copy("key", "other", {.put = options}).get().ok());
  EXPECT_EQ(service_.field(0, "x-amz-server-side-encryption"), "AES256");
  for (const std::size_t i : {1u, 2u}) {
    EXPECT_EQ(service_.field(i, "x-amz-server-side-encryption"), "aws:kms");
    EXPECT_EQ(service_.field(i, "x-amz-server-side-encryption-aws-kms-key-id"), "a-key");
  }
}

TEST_F(BucketFault, ACustomersKeyIsNotSentInTheClear) {
  const Bucket bucket = open(0);
  const Encryption encryption{
      .kind = Encryption::Kind::sse_c, .kms_key_id = {}, .customer_key = std::string(32, 'k')};
  const Encryption shorter{
      .kind = Encryption::Kind::sse_c, .kms_key_id = {}, .customer_key = std::string(31, 'k')};
  for (const Encryption& one : {encryption, shorter}) {
    PutOptions put;
    put.encryption = one;
    GetOptions get;
    get.encryption = one;
    EXPECT_EQ(bucket.put("key", into_.bytes(), put).get().error().kind(), ErrorKind::invalid_argument);
    EXPECT_EQ(bucket.get("key", into_.bytes(), get).get().error().kind(), ErrorKind::invalid_argument);
    EXPECT_EQ(bucket.head("key", get).get().error().kind(), ErrorKind::invalid_argument);
    EXPECT_EQ(bucket.start_upload("key", put).get().error().kind(), ErrorKind::invalid_argument);
    EXPECT_EQ(bucket.copy("key", "b", {.source_encryption = one}).get().error().kind(),
              ErrorKind::invalid_argument);
  }
  EXPECT_EQ(service_.requests(), 0u);
}

TEST_F(BucketFault, WhoAsksPaysWhereThatIsChosen) {
  service_.answer(answer("206 Partial", "content-range: bytes 0-2/3\r\n", "abc"));
  BucketOptions options;
  options.endpoint = service_.url();
  options.anonymous = true;
  options.requester_pays = true;
  const Bucket bucket = *Bucket::open(runtime_, "s3://samples", options).get();
  EXPECT_TRUE(bucket.get("key", into_.bytes()).get().ok());
  EXPECT_EQ(service_.field(0, "x-amz-request-payer"), "requester");
}

TEST_F(BucketFault, ErrorInsideOfASuccessIsAnError) {
  service_.answer(answer("200 OK", "", error_body("InternalError")));
  const auto copied = open(0).copy("a", "b").get();
  ASSERT_FALSE(copied.ok());
  EXPECT_NE(copied.error().text().find("InternalError"), std::string::npos) << copied.error();
}

TEST_F(BucketFault, PageOfAProxyIsNoXml) {
  service_.answer(answer("502 Bad Gateway", "content-type: text/html\r\n", "<html><body>no & no</html>"));
  const Error error = get_fails();
  EXPECT_EQ(error.native(), 502) << error;
  EXPECT_EQ(error.code(), "");
}

TEST_F(BucketFault, XmlBombIsRefused) {
  std::string bomb =
      "<!DOCTYPE lol [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b "
      "\"&a;&a;&a;\">]><ListBucketResult>&b;</ListBucketResult>";
  service_.answer(answer("200 OK", "", bomb));
  const auto page = open(0).list().get();
  ASSERT_FALSE(page.ok());
  EXPECT_EQ(page.error().kind(), ErrorKind::protocol) << page.error();
}

TEST_F(BucketFault, HeadThatIsNone) {
  service_.answer("ICY 200 OK\r\n\r\n");
  EXPECT_EQ(get_fails().kind(), ErrorKind::protocol);
}

TEST_F(BucketFault, HeadWithoutAnEnd) {
  service_.answer("HTTP/1.1 200 OK\r\nx: " + std::string(100'000, 'a'));
  EXPECT_EQ(get_fails().kind(), ErrorKind::protocol);
}

TEST_F(BucketFault, TwoLengths) {
  service_.answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd");
  EXPECT_EQ(get_fails().kind(), ErrorKind::protocol);
}

TEST_F(BucketFault, SilenceEndsByItsTimeout) {
  service_.answer(ScriptedService::kSilent);
  const Error error = get_fails();
  EXPECT_EQ(error.kind(), ErrorKind::timed_out) << error;
}

TEST_F(BucketFault, WholeOperationEndsByItsTimeout) {
  for (int i = 0; i < 20; ++i) service_.answer(answer("503 Slow Down", "", error_body("SlowDown")));
  BucketOptions options;
  options.endpoint = service_.url();
  options.anonymous = true;
  options.retries = 20;
  options.retry_delay = options.retry_delay_max = std::chrono::seconds(10);
  options.operation_timeout = milliseconds(100);
  const Bucket bucket = *Bucket::open(runtime_, "s3://samples", options).get();
  const auto read = bucket.get("key", into_.bytes()).get();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().kind(), ErrorKind::timed_out) << read.error();
}

TEST_F(BucketFault, NobodyListens) {
  BucketOptions options;
  options.endpoint = "http://127.0.0.1:1";
  options.anonymous = true;
  options.retries = 1;
  options.retry_delay = milliseconds(1);
  const Bucket bucket = *Bucket::open(runtime_, "s3://samples", options).get();
  const auto put = bucket.put("key", into_.bytes()).get();
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().kind(), ErrorKind::disconnected) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::none);
  EXPECT_NE(put.error().text().find("2 tries"), std::string::npos) << put.error();
}

TEST_F(BucketFault, CancelledRequestGivesItsBytesBack) {
  service_.answer(ScriptedService::kSilent);
  const Bucket bucket = open();
  auto ended = runtime_.shard(0).run_on([&]() -> Task<ErrorKind> {
    auto reading = bucket.get("key", into_.bytes());
    NETSTOR_CHECK(co_await sleep(milliseconds(20)));
    reading.cancel();
    const auto read = co_await std::move(reading);
    co_return read ? ErrorKind::internal : read.error().kind();
  });
  EXPECT_EQ(ended.get().value(), ErrorKind::cancelled);
}

TEST_F(BucketFault, CloseAnswersWhatIsUnderWay) {
  service_.answer(ScriptedService::kSilent);
  const Bucket bucket = open();
  auto reading = bucket.get("key", into_.bytes());
  while (service_.requests() == 0) std::this_thread::yield();
  EXPECT_TRUE(bucket.close().get().ok());
  EXPECT_EQ(reading.get().error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(bucket.head("key").get().error().kind(), ErrorKind::cancelled);
}

TEST_F(BucketFault, SecretIsInNoError) {
  service_.answer(answer("403 Forbidden", "", error_body("SignatureDoesNotMatch")));
  const Error error = get_fails();
  EXPECT_EQ(error.kind(), ErrorKind::permission_denied);
  EXPECT_EQ(error.to_string().find("the-secret"), std::string::npos);
}

}  // namespace
}  // namespace netstor
