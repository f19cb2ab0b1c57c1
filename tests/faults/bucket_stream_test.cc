// SPDX-License-Identifier: Apache-2.0
// What may go wrong in the middle of an object: with readers and writers, uploads in parts, and objects that
// are replaced while they are read.

#include <netstor/netstor.h>

#include "tests/faults/scripted_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

namespace netstor {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kPart = std::size_t{5} << 20;
const std::string kBegun = answer("200 OK", "",
                                  "<InitiateMultipartUploadResult><UploadId>U</UploadId>"
                                  "</InitiateMultipartUploadResult>");
const std::string kPartStored = answer("200 OK", "etag: \"00000000000000000000000000000000\"\r\n");

class BucketStream : public testing::Test {
 protected:
  Bucket open(unsigned retries = 0) { return open(service_.url(), retries); }
  Bucket open(const std::string& endpoint, unsigned retries = 0) {
    BucketOptions options;
    options.endpoint = endpoint;
    options.anonymous = true;
    options.part_bytes = kPart;
    options.parallel = 2;
    options.retries = retries;
    options.retry_delay = options.retry_delay_max = milliseconds(1);
    options.memory_limit_bytes = std::uint64_t{64} << 20;
    options.first_byte_timeout = std::chrono::minutes(10);  // what waits for it hangs
    Result<Bucket> bucket = Bucket::open(runtime_, "s3://samples", options).get();
    EXPECT_TRUE(bucket.ok()) << bucket.error();
    return *bucket;
  }
  std::string last_request() const {
    const std::string request = service_.request(service_.requests() - 1);
    return request.substr(0, request.find(" HTTP/"));
  }

  ScriptedService service_;
  Runtime runtime_ = *Runtime::start({.shards = 1});
  Buffer large_ = *Buffer::allocate(2 * kPart + 1000);
};

TEST_F(BucketStream, WriterThatLostAWriteStoresNothing) {
  const Bucket bucket = open();
  const ObjectWriter writer = *bucket.open_writer("key").get();
  service_.answer(answer("403 Forbidden", ""));
  EXPECT_FALSE(writer.write(large_.bytes().first(kPart + 1)).get().ok());
  const auto written = writer.write(large_.bytes().first(10)).get();
  EXPECT_EQ(written.error().kind(), ErrorKind::permission_denied) << written.error();
  const auto finished = writer.finish().get();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().kind(), ErrorKind::permission_denied) << finished.error();
  EXPECT_EQ(service_.requests(), 1u) << last_request();
}

TEST_F(BucketStream, WhatCannotBeCompletedIsGivenUp) {
  const Bucket bucket = open();
  for (const std::string& each : {kBegun, kPartStored, kPartStored, kPartStored,
                                  answer("412 Precondition Failed", ""), answer("204 No Content", "")}) {
    service_.answer(each);
  }
  PutOptions create_only;
  create_only.conditions.if_none_match = "*";
  const auto put = bucket.put("key", large_.bytes(), create_only).get();
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().kind(), ErrorKind::already_exists) << put.error();
  EXPECT_EQ(put.error().effect(), Effect::none);
  EXPECT_EQ(last_request(), "DELETE /samples/key?uploadId=U");
}

TEST_F(BucketStream, PartThatIsRefusedEndsTheUploadAndSaysWhatS3Said) {
  const Bucket bucket = open();
  service_.answer(kBegun);
  for (int i = 0; i < 2; ++i) {
    service_.answer(
        answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code><RequestId>R7</RequestId></Error>"));
  }
  service_.answer(answer("204 No Content", ""));
  const auto put = bucket.put("key", large_.bytes()).get();
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().code(), "AccessDenied") << put.error();
  EXPECT_EQ(put.error().request_id(), "R7");
  EXPECT_EQ(put.error().effect(), Effect::none);
}

TEST_F(BucketStream, CancelledPutGivesUpWhatItUploaded) {
  const Bucket bucket = open();
  service_.answer(kBegun);
  service_.answer(ScriptedService::kSilent);
  service_.answer(ScriptedService::kSilent);
  service_.answer(answer("204 No Content", ""));
  auto ended = runtime_.shard(0).run_on([&]() -> Task<ErrorKind> {
    auto putting = bucket.put("key", large_.bytes());
    while (service_.requests() < 3) NETSTOR_CHECK(co_await sleep(milliseconds(1)));
    putting.cancel();
    const auto put = co_await std::move(putting);
    while (service_.requests() < 4) NETSTOR_CHECK(co_await sleep(milliseconds(1)));
    co_return put ? ErrorKind::internal : put.error().kind();
  });
  EXPECT_EQ(ended.get().value(), ErrorKind::cancelled);
  EXPECT_EQ(last_request(), "DELETE /samples/key?uploadId=U");
}

TEST_F(BucketStream, CompletionWhoseAnswerWasLostIsFoundByItsEtag) {
  // Of three parts of sixteen zeroes.
  const std::string whole = "etag: \"b203621a65475445e6fcdca717c667b5-3\"\r\n";
  for (const bool ours : {true, false}) {
    const Bucket bucket = open(1);
    for (const std::string& each : {kBegun, kPartStored, kPartStored, kPartStored}) service_.answer(each);
    service_.answer(ScriptedService::kClose);
    service_.answer(answer("404 Not Found", "", "<Error><Code>NoSuchUpload</Code></Error>"));
    service_.answer("HTTP/1.1 200 OK\r\ncontent-length: 10486760\r\n" +
                    (ours ? whole : std::string("etag: \"another\"\r\n")) + "\r\n");
    const auto put = bucket.put("key", large_.bytes()).get();
    EXPECT_EQ(put.ok(), ours) << put.error();
    if (ours || put.ok()) continue;
    EXPECT_EQ(put.error().kind(), ErrorKind::disconnected) << put.error();
    EXPECT_EQ(put.error().effect(), Effect::unknown);
  }
}

TEST_F(BucketStream, OneCallAtATime) {
  const Bucket bucket = open();
  service_.answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\netag: \"e\"\r\n\r\n");
  service_.answer(ScriptedService::kSilent);
  const ObjectReader reader = *bucket.open_reader("key").get();
  auto first = reader.read(large_.bytes().first(3));
  const auto second = reader.read(large_.bytes().last(3)).get();
  EXPECT_EQ(second.error().kind(), ErrorKind::invalid_argument) << second.error();
  const auto closing = reader.close().get();
  EXPECT_EQ(closing.error().kind(), ErrorKind::invalid_argument);
  first.cancel();
  EXPECT_EQ(first.get().error().kind(), ErrorKind::cancelled);
  // What may have been lost with it is not skipped without a word.
  EXPECT_EQ(reader.read(large_.bytes().first(3)).get().error().kind(), ErrorKind::cancelled);
  EXPECT_TRUE(reader.close().get().ok());
}

TEST_F(BucketStream, MemoryThatNobodyGivesBackIsAnErrorAndNoHang) {
  const std::string part(kPart, 'x');
  ScriptedService parts([&](const std::string& request) -> std::string {
    if (request.starts_with("HEAD"))
      return "HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\netag: \"e\"\r\n\r\n";
    const std::size_t from = request.find("range: bytes=0-") != std::string::npos ? 0 : kPart;
    return answer("206 Partial",
                  "etag: \"e\"\r\ncontent-range: bytes " + std::to_string(from) + "-" +
                      std::to_string(from + kPart - 1) + "/10485760\r\n",
                  part);
  });
  BucketOptions options;
  options.endpoint = parts.url();
  options.anonymous = true;
  options.part_bytes = kPart;
  options.memory_limit_bytes = 2 * kPart;
  options.first_byte_timeout = milliseconds(1500);
  const Bucket bucket = *Bucket::open(runtime_, "s3://samples", options).get();
  const ObjectReader keeps = *bucket.open_reader("a").get();
  ASSERT_TRUE(keeps.read(large_.bytes().first(1)).get().ok());
  const ObjectReader waits = *bucket.open_reader("b").get();
  const auto read = waits.read(large_.bytes().first(1)).get();
  EXPECT_EQ(read.error().kind(), ErrorKind::exhausted) << read.error();
  // Who goes on has all of it.
  EXPECT_EQ(keeps.read(large_.bytes()).get().value(), 2 * kPart - 1);
}

TEST_F(BucketStream, PartsOfTwoVersionsAreNotMixed) {
  const std::string range = "content-range: bytes 0-2/2000000\r\n", later = "content-range: bytes 1000000-";
  for (const char* second : {"W/\"a\"", "W/\"b\""}) {
    const Bucket bucket = open();
    service_.answer(answer("206 Partial", range + "etag: W/\"a\"\r\n", "abc"));
    service_.answer(
        answer("206 Partial", later + "1000002/2000000\r\netag: " + std::string(second) + "\r\n", "def"));
    const std::vector<RangeRead> ranges{{.offset = 0, .into = large_.bytes().first(3)},
                                        {.offset = 1'000'000, .into = large_.bytes().subspan(3, 3)}};
    const auto read = bucket.get_ranges("key", ranges).get();
    if (second[3] == 'a') {
      EXPECT_TRUE(read.ok()) << read.error();
    } else {
      EXPECT_EQ(read.error().kind(), ErrorKind::compare_failed) << read.error();
    }
    EXPECT_EQ(service_.field(1, "if-match"), "") << "a weak one never matches";
  }
}

/// The head and the bytes of an object's range, of 2 * kPart + 1000 zeroes.
std::string range_of_zeroes(std::size_t from, const std::string& etag, std::string_view more = "") {
  const std::size_t size = 2 * kPart + 1000, end = std::min(from + kPart, size);
  return answer("206 Partial Content",
                std::string(more) + "etag: \"" + etag + "\"\r\ncontent-range: bytes " + std::to_string(from) +
                    "-" + std::to_string(end - 1) + "/" + std::to_string(size) + "\r\n",
                std::string(end - from, '\0'));
}

std::size_t begin_of_range(const std::string& request) {
  return std::stoul(request.substr(request.find("range: bytes=") + 13));
}

TEST_F(BucketStream, OtherPartsBeginWithTheHeadOfTheFirst) {
  ScriptedService parts([](const std::string& request) {
    const std::size_t from = begin_of_range(request);
    const std::string all = range_of_zeroes(from, "e");
    return from == 0 ? all.substr(0, all.size() / 2) : all;  // the rest of it never comes
  });
  const Bucket bucket = open(parts.url());
  auto ended = runtime_.shard(0).run_on([&]() -> Task<ErrorKind> {
    auto getting = bucket.get("key", large_.bytes());
    while (parts.requests() < 3) NETSTOR_CHECK(co_await sleep(milliseconds(1)));
    getting.cancel();
    const auto got = co_await std::move(getting);
    co_return got ? ErrorKind::internal : got.error().kind();
  });
  EXPECT_EQ(ended.get().value(), ErrorKind::cancelled);
}

TEST_F(BucketStream, PartThatIsRefusedEndsTheFirst) {
  ScriptedService parts([](const std::string& request) {
    const std::size_t from = begin_of_range(request);
    return from == 0 ? range_of_zeroes(0, "e").substr(0, kPart / 2) : answer("403 Forbidden", "");
  });
  const auto read = open(parts.url()).get("key", large_.bytes()).get();
  EXPECT_EQ(read.error().kind(), ErrorKind::permission_denied) << read.error();
}

TEST_F(BucketStream, ObjectThatGotShorterIsNoEmptyOne) {
  ScriptedService parts([](const std::string& request) {
    if (request.starts_with("HEAD")) return answer("200 OK", "etag: \"b\"\r\n", "");
    const std::size_t from = begin_of_range(request);
    return from == 0 ? range_of_zeroes(0, "a") : answer("416 Range Not Satisfiable", "");
  });
  const auto read = open(parts.url()).get("key", large_.bytes()).get();
  ASSERT_FALSE(read.ok()) << read->bytes;
  EXPECT_EQ(read.error().kind(), ErrorKind::compare_failed) << read.error();
}

TEST_F(BucketStream, FirstPartThatIsAskedForAgainIsOfTheSameVersion) {
  for (const std::string again : {"a", "b"}) {
    std::atomic<bool> broken = false;
    ScriptedService parts([&](const std::string& request) {
      const std::size_t from = begin_of_range(request);
      if (from != 0) return range_of_zeroes(from, "a");
      if (broken.exchange(true)) return range_of_zeroes(from, again);
      return range_of_zeroes(from, "a", "connection: close\r\n").substr(0, kPart / 2);
    });
    const auto read = open(parts.url(), 1).get("key", large_.bytes()).get();
    if (again == "a") {
      ASSERT_TRUE(read.ok()) << read.error();
      EXPECT_EQ(read->bytes, large_.size());
    } else {
      EXPECT_EQ(read.error().kind(), ErrorKind::compare_failed) << read.error();
    }
  }
}

TEST_F(BucketStream, RangeThatIsAnsweredInPartIsNotTheObjectsEnd) {
  service_.answer(answer("206 Partial", "content-range: bytes 0-1/9\r\netag: \"e\"\r\n", "ab"));
  const auto read = open().get("key", large_.bytes().first(3)).get();
  EXPECT_EQ(read.error().kind(), ErrorKind::protocol) << read.error();
}

TEST_F(BucketStream, CopyUnderAConditionIsNotRepeatedWhenItsAnswerIsLost) {
  CopyOptions create_only;
  create_only.put.conditions.if_none_match = "*";
  const Bucket bucket = open(3);
  service_.answer(ScriptedService::kClose);
  const auto lost = bucket.copy("a", "b", create_only).get();
  EXPECT_EQ(lost.error().effect(), Effect::unknown) << lost.error();
  EXPECT_EQ(service_.requests(), 1u);
  service_.answer(answer("412 Precondition Failed", ""));
  EXPECT_EQ(bucket.copy("a", "b", create_only).get().error().kind(), ErrorKind::already_exists);
}

TEST_F(BucketStream, RemovalThatStopsHalfwaySaysSo) {
  const Bucket bucket = open();
  service_.answer(answer("200 OK", "", "<DeleteResult></DeleteResult>"));
  service_.answer(answer("403 Forbidden", ""));
  const auto removed = bucket.remove_many(std::vector<std::string>(1500, "key")).get();
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().effect(), Effect::unknown);
  EXPECT_NE(removed.error().text().find("keys were removed before"), std::string::npos) << removed.error();
}

TEST_F(BucketStream, ListsThatGoNowhereEnd) {
  const Bucket bucket = open();
  ListOptions versions;
  versions.versions = true;
  service_.answer(
      answer("200 OK", "", "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>"));
  EXPECT_EQ(bucket.list(versions).get().error().kind(), ErrorKind::protocol);
  const std::string page = answer("200 OK", "",
                                  "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>"
                                  "<NextKeyMarker>k</NextKeyMarker></ListMultipartUploadsResult>");
  service_.answer(page);
  service_.answer(page);
  EXPECT_EQ(bucket.uploads().get().error().kind(), ErrorKind::protocol);
}

}  // namespace
}  // namespace netstor
