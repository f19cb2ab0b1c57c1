// SPDX-License-Identifier: Apache-2.0
//
// lib/wire/s3/checksum.h and error_code.h.

#include "lib/wire/s3/checksum.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "lib/base/bytes.h"
#include "lib/base/encoding.h"
#include "lib/wire/s3/error_code.h"

namespace netstor::s3 {
namespace {

TEST(S3Checksum, WritesTheCheckValuesMostSignificantByteFirst) {
  const auto of_digits = [](ChecksumKind kind) { return checksum_of(kind, as_bytes("123456789")).text(); };
  EXPECT_EQ(of_digits(ChecksumKind::crc32), "y/Q5Jg==");
  EXPECT_EQ(of_digits(ChecksumKind::crc32c), "4waSgw==");
  EXPECT_EQ(of_digits(ChecksumKind::crc64nvme), "rosUhgp5mIg=");
  EXPECT_EQ(of_digits(ChecksumKind::sha1), "98O8HYCOBHMq32eZZczDTKeuNEE=");
  EXPECT_EQ(of_digits(ChecksumKind::sha256), "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=");
  EXPECT_EQ(of_digits(ChecksumKind::none), "");
}

TEST(S3Checksum, NamesRoundTripInAnyCase) {
  for (const ChecksumKind kind : kChecksumKinds) {
    EXPECT_EQ(checksum_of_name(checksum_name(kind)), kind);
    EXPECT_EQ(checksum_of_header(checksum_header(kind)), kind);
    EXPECT_EQ(checksum_element(kind), "Checksum" + std::string(checksum_name(kind)));
  }
  EXPECT_EQ(checksum_of_name("crc32c"), ChecksumKind::crc32c);
  EXPECT_EQ(checksum_of_header("X-Amz-Checksum-SHA256"), ChecksumKind::sha256);
  EXPECT_EQ(checksum_of_name(""), std::nullopt);
  EXPECT_EQ(checksum_of_header("x-amz-checksum-type"), std::nullopt);
  EXPECT_EQ(checksum_type_of("full_object"), ChecksumType::full_object);
  EXPECT_EQ(checksum_type_of("FULL"), std::nullopt);
}

TEST(S3Checksum, DecodesExactlyItsForm) {
  EXPECT_EQ(decode_checksum(ChecksumKind::crc32, "y/Q5Jg=="),
            checksum_of(ChecksumKind::crc32, as_bytes("123456789")));
  EXPECT_EQ(decode_checksum(ChecksumKind::crc32, "y/Q5Jg"), std::nullopt);
  EXPECT_EQ(decode_checksum(ChecksumKind::crc32, "rosUhgp5mIg="), std::nullopt) << "of another size";
  EXPECT_EQ(decode_checksum(ChecksumKind::none, ""), std::nullopt);
  const auto composite = decode_object_checksum(ChecksumKind::crc32, "y/Q5Jg==-3");
  ASSERT_TRUE(composite);
  EXPECT_EQ(composite->parts, 3u);
  EXPECT_EQ(composite->text(), "y/Q5Jg==-3");
  EXPECT_EQ(decode_object_checksum(ChecksumKind::crc32, "y/Q5Jg==")->parts, 0u);
  for (const std::string_view wrong : {"y/Q5Jg==-", "y/Q5Jg==-0", "y/Q5Jg==-10001", "y/Q5Jg==-1-1", "-1"}) {
    EXPECT_EQ(decode_object_checksum(ChecksumKind::crc32, wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(decode_content_md5("1B2M2Y8AsgTpgAmY7PhCfg=="), md5({}));
  EXPECT_EQ(content_md5(md5({})), "1B2M2Y8AsgTpgAmY7PhCfg==");
  EXPECT_EQ(decode_content_md5("1B2M2Y8AsgTpgAmY7PhCfg="), std::nullopt);
}

TEST(S3Checksum, GoesOnOverPiecesAndBeginsAgain) {
  for (const ChecksumKind kind : kChecksumKinds) {
    Checksummer sum(kind);
    const auto whole = checksum_of(kind, as_bytes("123456789"));
    EXPECT_EQ(sum.update(as_bytes("1234")).update(as_bytes("56789")).finish(), whole);
    EXPECT_EQ(sum.update(as_bytes("123456789")).finish(), whole) << "a second stream";
  }
}

TEST(S3Checksum, FullObjectOfPartsIsThatOfAllBytes) {
  for (const ChecksumKind kind : {ChecksumKind::crc32, ChecksumKind::crc32c, ChecksumKind::crc64nvme}) {
    MultipartChecksum sum(kind, ChecksumType::full_object);
    for (const std::string_view part : {"1234", "5678", "9"}) {
      sum.add(checksum_of(kind, as_bytes(part)), part.size());
    }
    const ObjectChecksum whole = sum.finish();
    EXPECT_EQ(whole.checksum, checksum_of(kind, as_bytes("123456789"))) << checksum_name(kind);
    EXPECT_EQ(whole.parts, 0u);
  }
}

TEST(S3Checksum, CompositeIsThatOfTheChecksums) {
  MultipartChecksum sum(ChecksumKind::sha256, ChecksumType::composite);
  std::string digests;
  for (const std::string_view part : {"1234", "56789"}) {
    const Checksum each = checksum_of(ChecksumKind::sha256, as_bytes(part));
    digests.append(reinterpret_cast<const char*>(each.bytes.data()), 32);
    sum.add(each, part.size());
  }
  EXPECT_EQ(sum.finish().text(), to_base64(sha256(as_bytes(digests))) + "-2");
}

TEST(S3Checksum, KnowsWhichTypesThereAre) {
  EXPECT_FALSE(allowed(ChecksumKind::crc64nvme, ChecksumType::composite));
  EXPECT_FALSE(allowed(ChecksumKind::sha256, ChecksumType::full_object));
  EXPECT_FALSE(allowed(ChecksumKind::none, ChecksumType::full_object));
  for (const ChecksumKind kind : kChecksumKinds) EXPECT_TRUE(allowed(kind, default_type(kind)));
}

TEST(S3Checksum, MakesTheEtagOfAMultipartObject) {
  MultipartEtag etag;
  etag.add(md5(as_bytes("1234")));
  etag.add(md5(as_bytes("56789")));
  std::string digests;
  for (const std::string_view part : {"1234", "56789"}) {
    const auto digest = md5(as_bytes(part));
    digests.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  }
  EXPECT_EQ(etag.finish(), to_hex(md5(as_bytes(digests))) + "-2");
}

TEST(S3ErrorCode, TableIsInTheOrderOfTheEnumAndNamesAreUnique) {
  std::set<std::string_view> names;
  const auto last = static_cast<unsigned>(ErrorCode::x_amz_content_sha256_mismatch);
  for (unsigned i = 0; i <= last; ++i) {
    const auto code = static_cast<ErrorCode>(i);
    const ErrorFacts& each = facts(code);
    EXPECT_EQ(each.code, code) << each.name;
    EXPECT_TRUE(names.insert(each.name).second) << each.name;
    EXPECT_EQ(error_code_of(each.name), code);
    EXPECT_TRUE(each.status >= 300 && each.status < 600) << each.name;
    EXPECT_FALSE(each.message.empty()) << each.name;
  }
}

TEST(S3ErrorCode, CodeHasTheFirstWordAndStatusTheSecond) {
  EXPECT_EQ(meaning_of(503, "SlowDown").kind, ErrorKind::exhausted);
  EXPECT_TRUE(meaning_of(503, "SlowDown").retryable);
  EXPECT_TRUE(meaning_of(200, "InternalError").retryable) << "inside of a 200";
  EXPECT_TRUE(meaning_of(400, "RequestTimeout").retryable);
  EXPECT_FALSE(meaning_of(400, "MalformedXML").retryable);
  for (const auto& [status, code] : {std::pair(503, "SlowDown"),
                                     {429, ""},
                                     {409, "OperationAborted"},
                                     {400, "Throttling"},
                                     {200, "SlowDown"},
                                     {501, ""}}) {
    EXPECT_TRUE(meaning_of(static_cast<unsigned>(status), code).refused) << status << code;
  }
  for (const auto& [status, code] : {std::pair(500, "InternalError"),
                                     {503, ""},
                                     {503, "ServiceUnavailable"},
                                     {502, ""},
                                     {504, ""},
                                     {200, "InternalError"}}) {
    EXPECT_FALSE(meaning_of(static_cast<unsigned>(status), code).refused) << status << code;
  }
  EXPECT_EQ(meaning_of(404, "NoSuchUpload").kind, ErrorKind::not_found);
  EXPECT_EQ(meaning_of(404, "").kind, ErrorKind::not_found) << "HEAD has no body";
  EXPECT_EQ(meaning_of(403, "SomethingNew").kind, ErrorKind::permission_denied);
  EXPECT_EQ(meaning_of(412, "").kind, ErrorKind::compare_failed);
  EXPECT_EQ(meaning_of(416, "").kind, ErrorKind::out_of_range);
  for (const unsigned status : {408u, 429u, 500u, 502u, 503u, 504u, 599u}) {
    EXPECT_TRUE(meaning_of(status, "").retryable) << status;
  }
  for (const unsigned status : {301u, 307u, 400u, 403u, 404u, 409u, 501u, 507u}) {
    EXPECT_FALSE(meaning_of(status, "").retryable) << status;
  }
  EXPECT_EQ(error_code_of("slowdown"), std::nullopt) << "codes have a case";
}

}  // namespace
}  // namespace netstor::s3
