// SPDX-License-Identifier: Apache-2.0
//
// lib/wire/s3/xml_list.h: round trips of the listings, the examples of the S3 API Reference, keys of any
// bytes.

#include "lib/wire/s3/xml_list.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/bytes.h"

namespace netstor::s3 {
namespace {

template <class T>
std::string encoded(const T& body) {
  std::string out;
  encode(body, out);
  return out;
}

std::string every_byte() {
  std::string key;
  for (int c = 0; c < 256; ++c) key.push_back(static_cast<char>(c));
  return key + "/../a b+c%20%zz";
}

const http::WallTime kTime = *http::decode_iso_date("2009-10-12T17:50:30.000Z");

ListedObject object(std::string key) {
  ListedObject made;
  made.key = std::move(key);
  made.modified = kTime;
  made.etag = "fba9dede5f27731c9771645a39863328";
  made.size_bytes = 434234;
  made.storage_class = "STANDARD";
  return made;
}

TEST(S3XmlList, ReadsTheDocumentedListing) {
  const auto read = decode_list(R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Name>bucket</Name>
    <Prefix/>
    <KeyCount>205</KeyCount>
    <MaxKeys>1000</MaxKeys>
    <IsTruncated>false</IsTruncated>
    <Contents>
        <Key>my-image.jpg</Key>
        <LastModified>2009-10-12T17:50:30.000Z</LastModified>
        <ETag>"fba9dede5f27731c9771645a39863328"</ETag>
        <Size>434234</Size>
        <StorageClass>STANDARD</StorageClass>
    </Contents>
    <CommonPrefixes><Prefix>photos/</Prefix><Prefix>videos/</Prefix></CommonPrefixes>
</ListBucketResult>)");
  ASSERT_TRUE(read) << read.error();
  EXPECT_TRUE(read->v2);
  EXPECT_EQ(read->name, "bucket");
  EXPECT_EQ(read->key_count, 205u);
  EXPECT_FALSE(read->truncated);
  ASSERT_EQ(read->objects.size(), 1u);
  EXPECT_EQ(read->objects[0], object("my-image.jpg"));
  EXPECT_EQ(read->prefixes, (std::vector<std::string>{"photos/", "videos/"}));
}

TEST(S3XmlList, ListingsOfBothVersionsRoundTripWithKeysOfAllBytes) {
  ListBucketResult body;
  body.name = "b";
  body.url_encoded = true;
  body.prefix = body.delimiter = every_byte();
  body.max_keys = 2;
  body.truncated = true;
  body.start_after = every_byte();
  body.continuation_token = "1+/=";
  body.next_continuation_token = "2+/=";
  body.key_count = 3;
  body.objects = {object(every_byte()), object(" ")};
  body.objects[1].owner = Owner{"id", "name"};
  body.objects[1].checksum_kind = ChecksumKind::crc64nvme;
  body.objects[1].checksum_type = ChecksumType::full_object;
  body.prefixes = {every_byte()};
  EXPECT_EQ(decode_list(encoded(body)).value(), body);

  body.v2 = false;
  body.start_after = body.continuation_token = body.next_continuation_token = "";
  body.key_count = 0;
  body.marker = body.next_marker = every_byte();
  EXPECT_EQ(decode_list(encoded(body)).value(), body);
}

TEST(S3XmlList, VersionsRoundTripInTheirOrder) {
  ListVersionsResult body;
  body.name = "b";
  body.url_encoded = true;
  body.truncated = true;
  body.key_marker = body.next_key_marker = every_byte();
  body.version_id_marker = body.next_version_id_marker = "v";
  ListedObject marker = object("k");
  marker.etag = marker.storage_class = "";
  marker.size_bytes = 0;
  marker.version_id = "m";
  marker.latest = marker.delete_marker = true;
  ListedObject version = object("k");
  version.version_id = "null";
  body.versions = {marker, version, marker};
  body.prefixes = {"p/"};
  EXPECT_EQ(decode_list_versions(encoded(body)).value(), body);
}

TEST(S3XmlList, BucketsPartsAndUploadsRoundTrip) {
  const ListAllMyBucketsResult buckets{
      {"id", "name"}, {{"a", kTime, ""}, {"b", kTime, "eu-west-1"}}, "p", "t"};
  EXPECT_EQ(decode_list_buckets(encoded(buckets)).value(), buckets);

  ListPartsResult parts;
  parts.bucket = "b";
  parts.key = every_byte();
  parts.url_encoded = true;
  parts.upload_id = "u";
  parts.next_part_number_marker = 2;
  parts.truncated = true;
  parts.storage_class = "STANDARD";
  parts.checksum_kind = ChecksumKind::sha256;
  parts.checksum_type = ChecksumType::composite;
  parts.parts = {{1, kTime, "a", 5u << 20, checksum_of(ChecksumKind::sha256, as_bytes("x"))},
                 {2, kTime, "b", 1, std::nullopt}};
  EXPECT_EQ(decode_list_parts(encoded(parts)).value(), parts);

  ListMultipartUploadsResult uploads;
  uploads.bucket = "b";
  uploads.url_encoded = true;
  uploads.key_marker = uploads.next_key_marker = every_byte();
  uploads.next_upload_id_marker = "u";
  uploads.truncated = true;
  uploads.uploads = {{every_byte(), "u", kTime, "STANDARD", ChecksumKind::crc32, ChecksumType::composite}};
  uploads.prefixes = {every_byte()};
  EXPECT_EQ(decode_list_uploads(encoded(uploads)).value(), uploads);
}

TEST(S3XmlList, ReadsPlusAsSpaceInEncodedKeys) {
  const auto read = decode_list(
      "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a+b%2Bc%20d</Key></Contents>"
      "</ListBucketResult>");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->objects[0].key, "a b+c d");
}

TEST(S3XmlList, LeavesKeysAloneWhenTheyAreNotEncoded) {
  const auto read =
      decode_list("<ListBucketResult><Contents><Key>a+b%2Bc%zz</Key></Contents></ListBucketResult>");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->objects[0].key, "a+b%2Bc%zz");
}

TEST(S3XmlList, RefusesWhatWouldMislead) {
  for (const std::string_view wrong :
       {"<IsTruncated>true</IsTruncated>", "<Contents><Size>1</Size></Contents>",
        "<Contents><Key>k</Key><Size>-1</Size></Contents>",
        "<Contents><Key>k</Key><Size>9223372036854775808</Size></Contents>",
        "<Contents><Key>k</Key><LastModified>yesterday</LastModified></Contents>",
        "<EncodingType>url</EncodingType><Contents><Key>%zz</Key></Contents>", "<MaxKeys>many</MaxKeys>"}) {
    EXPECT_FALSE(decode_list("<ListBucketResult>" + std::string(wrong) + "</ListBucketResult>")) << wrong;
  }
  EXPECT_FALSE(decode_list("<ListVersionsResult/>")) << "another listing";
  EXPECT_FALSE(decode_list_parts("<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>"));
  EXPECT_FALSE(decode_list_parts("<ListPartsResult><Part><ETag>a</ETag></Part></ListPartsResult>"));
  EXPECT_FALSE(decode_list_uploads(
      "<ListMultipartUploadsResult><Upload><Key>k</Key></Upload></ListMultipartUploadsResult>"));
  EXPECT_FALSE(
      decode_list_versions("<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>"));
  EXPECT_FALSE(
      decode_list_buckets("<ListAllMyBucketsResult><Buckets><Bucket/></Buckets></ListAllMyBucketsResult>"));
}

TEST(S3XmlList, TakesVersionOneWithoutNextMarker) {
  const auto read = decode_list(
      "<ListBucketResult><Marker></Marker><IsTruncated>true</IsTruncated><Contents><Key>k</Key></Contents>"
      "</ListBucketResult>");
  ASSERT_TRUE(read) << read.error();
  EXPECT_FALSE(read->v2);
  EXPECT_EQ(read->next_marker, "");
}

}  // namespace
}  // namespace netstor::s3
