// SPDX-License-Identifier: Apache-2.0
// Bytes against the checksum that a service keeps with an object.

#include <netstor/bucket.h>

#include "lib/wire/s3/checksum.h"

#include <gtest/gtest.h>

#include <string>

namespace netstor {
namespace {

Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

ObjectInfo kept(s3::ChecksumKind kind, const std::string& bytes) {
  ObjectInfo info;
  info.key = "key";
  info.checksum_algorithm = static_cast<ChecksumAlgorithm>(kind);
  info.checksum = s3::checksum_of(kind, bytes_of(bytes)).text();
  return info;
}

class ObjectChecks : public testing::Test {
 protected:
  Runtime runtime_ = *Runtime::start();
  // Nobody is asked.
  Bucket bucket_ =
      Bucket::open(runtime_, "s3://samples", {.endpoint = "http://127.0.0.1:1", .anonymous = true})
          .get()
          .value();
};

TEST_F(ObjectChecks, TakesWhatWasPut) {
  for (const auto kind : {s3::ChecksumKind::crc32c, s3::ChecksumKind::crc64nvme, s3::ChecksumKind::sha256}) {
    ObjectCheck check(bucket_, kept(kind, "one and two"));
    EXPECT_TRUE(check.compares());
    check.update(bytes_of("one and"));
    check.update({});
    check.update(bytes_of(" two"));
    EXPECT_TRUE(check.finish());
  }
}

TEST_F(ObjectChecks, RefusesOtherBytes) {
  for (const char* const other : {"one and twp", "one and tw", "one and two ", ""}) {
    ObjectCheck check(bucket_, kept(s3::ChecksumKind::crc64nvme, "one and two"));
    check.update(bytes_of(other));
    const Result<void> same = check.finish();
    ASSERT_FALSE(same) << other;
    EXPECT_EQ(same.error().kind(), ErrorKind::data_corrupt);
    EXPECT_NE(same.error().text().find("s3://samples/key: "), std::string::npos) << same.error();
    EXPECT_NE(same.error().text().find("CRC64NVME"), std::string::npos) << same.error();
  }
}

TEST_F(ObjectChecks, ComparesNothingWithoutAChecksumOfAllBytes) {
  ObjectInfo of_parts = kept(s3::ChecksumKind::crc32c, "one");
  of_parts.checksum += "-2";
  ObjectInfo torn = kept(s3::ChecksumKind::crc32c, "one");
  torn.checksum.pop_back();
  for (const ObjectInfo& info : {ObjectInfo(), of_parts, torn}) {
    ObjectCheck check(bucket_, info);
    EXPECT_FALSE(check.compares());
    check.update(bytes_of("two"));
    EXPECT_TRUE(check.finish());
  }
}

}  // namespace
}  // namespace netstor
