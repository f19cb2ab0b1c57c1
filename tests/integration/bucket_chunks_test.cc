// SPDX-License-Identifier: Apache-2.0
// Payloads in signed chunks, PayloadSigning::chunks: our client, and our endpoint that checks each of them.

#include <netstor/netstor.h>

#include "tests/integration/s3_support.h"

#include <algorithm>

namespace netstor {
namespace {

constexpr std::size_t kChunk = 256 << 10;

class BucketChunks : public testing::TestWithParam<ChecksumAlgorithm> {
 protected:
  Bucket open() {
    BucketOptions options;
    options.endpoint = "http://127.0.0.1:" + std::to_string(server_.port());
    options.credentials = Credentials{.access_key_id = "ALL",
                                      .secret_access_key = "secret-of-all-0123456789",
                                      .session_token = "",
                                      .expires = {}};
    options.part_bytes = 5 << 20;
    options.payload_signing = PayloadSigning::chunks;
    options.checksum = GetParam();
    return *Bucket::open(runtime_, "s3://photos", options).get();
  }
  static Buffer filled(std::size_t size) {
    Buffer buffer = *Buffer::allocate(size);
    for (std::size_t i = 0; i < size; ++i)
      buffer.bytes()[i] = static_cast<std::byte>((i * 2654435761U) >> 15);
    return buffer;
  }
  void comes_back(const Bucket& bucket, const std::string& key, Bytes bytes) {
    const auto object = bucket.get(key).get();
    ASSERT_TRUE(object) << object.error();
    EXPECT_TRUE(std::ranges::equal(object->data.bytes(), bytes)) << key;
  }

  S3Server server_;
  Runtime runtime_ = *Runtime::start();
};

TEST_P(BucketChunks, StoreEverySize) {
  const Bucket bucket = open();
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kChunk - 1, kChunk, kChunk + 1, 3 * kChunk,
                                 std::size_t{12'000'001}}) {
    const Buffer from = filled(std::max<std::size_t>(size, 1));
    const auto put = bucket.put("key", from.bytes().first(size)).get();
    ASSERT_TRUE(put) << size << ": " << put.error();
    comes_back(bucket, "key", from.bytes().first(size));
    if (size != 0 && size <= 5 << 20 && GetParam() != ChecksumAlgorithm::md5) {
      const auto head = bucket.head("key").get();
      ASSERT_TRUE(head) << head.error();
      EXPECT_EQ(head->checksum_algorithm, GetParam()) << size;
      EXPECT_EQ(head->checksum, put->checksum) << size;
    }
  }
  EXPECT_EQ(runtime_.metrics().copied_bytes, 0u);
}

TEST_P(BucketChunks, GatherPiecesAcrossTheirEdges) {
  const Bucket bucket = open();
  const Buffer from = filled(2 * kChunk + 1000);
  std::vector<Bytes> pieces;
  for (std::size_t at = 0, size = 1; at < from.size(); at += size, size = size * 3 + 1) {
    size = std::min(size, from.size() - at);
    pieces.push_back(from.bytes().subspan(at, size));
    pieces.emplace_back();
  }
  const auto put = bucket.put("pieces", pieces).get();
  ASSERT_TRUE(put) << put.error();
  comes_back(bucket, "pieces", from.bytes());
}

TEST_P(BucketChunks, KeepTheObjectsOwnContentEncoding) {
  const Bucket bucket = open();
  const Buffer from = filled(100);
  PutOptions options;
  options.content_encoding = "gzip";
  ASSERT_TRUE(bucket.put("packed", from.bytes(), options).get());
  EXPECT_EQ(bucket.head("packed").get()->content_encoding, "gzip");
  ASSERT_TRUE(bucket.put("plain", from.bytes()).get());
  EXPECT_EQ(bucket.head("plain").get()->content_encoding, "");
}

INSTANTIATE_TEST_SUITE_P(Checksums, BucketChunks,
                         testing::Values(ChecksumAlgorithm::none, ChecksumAlgorithm::crc32c,
                                         ChecksumAlgorithm::crc64nvme, ChecksumAlgorithm::sha256,
                                         ChecksumAlgorithm::md5));

}  // namespace
}  // namespace netstor
