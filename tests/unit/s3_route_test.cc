// SPDX-License-Identifier: Apache-2.0
// Which operation a request is.

#include "server/s3/route.h"

#include <gtest/gtest.h>

namespace netstor::s3server {
namespace {

Result<Route> of(const std::string& method, const std::string& target, const std::string& host = "localhost",
                 const std::string& fields = "") {
  static std::string head;
  head = method + " " + target + " HTTP/1.1\r\nhost: " + host + "\r\n" + fields + "\r\n";
  static http::RequestHead request;
  EXPECT_EQ(http::decode_request(head, request), http::HeadError::none);
  return route(request, "s3.example.org");
}

Operation operation(const std::string& method, const std::string& target, const std::string& fields = "") {
  return of(method, target, "localhost", fields).value().operation;
}

TEST(S3Route, PathStyleAndVirtualHostsNameTheSame) {
  const Route path = of("GET", "/photos/a%20b/c").value();
  EXPECT_EQ(path.bucket, "photos");
  EXPECT_EQ(path.key, "a b/c");
  for (const char* host : {"photos.s3.example.org", "photos.S3.Example.ORG:9000"}) {
    const Route virtual_host = of("GET", "/a%20b/c", host).value();
    EXPECT_EQ(virtual_host.bucket, "photos");
    EXPECT_EQ(virtual_host.key, "a b/c");
    EXPECT_EQ(virtual_host.operation, Operation::get_object);
  }
  EXPECT_EQ(of("GET", "/", "photos.s3.example.org").value().operation, Operation::list_objects);
  EXPECT_EQ(of("GET", "/photos", "s3.example.org").value().bucket, "photos");
  EXPECT_EQ(of("GET", "/xyz/y", "evils3.example.org").value().bucket, "xyz");
}

TEST(S3Route, KeysAreNotPaths) {
  EXPECT_EQ(of("GET", "/photos/../a/./b//").value().key, "../a/./b//");
  EXPECT_EQ(of("GET", "/photos//").value().key, "/");
  EXPECT_EQ(of("GET", "/photos/").value().key, "");
  EXPECT_EQ(of("GET", "/photos/a+b").value().key, "a+b");
  EXPECT_EQ(of("GET", "/photos/%00%2F").value().key, std::string("\0/", 2));
}

TEST(S3Route, MethodAndQueryMakeTheOperation) {
  EXPECT_EQ(operation("GET", "/"), Operation::list_buckets);
  EXPECT_EQ(operation("PUT", "/abc"), Operation::create_bucket);
  EXPECT_EQ(operation("PUT", "/abc?versioning"), Operation::put_bucket_versioning);
  EXPECT_EQ(operation("GET", "/abc?list-type=2"), Operation::list_objects_v2);
  EXPECT_EQ(operation("GET", "/abc?uploads"), Operation::list_multipart_uploads);
  EXPECT_EQ(operation("POST", "/abc?delete="), Operation::delete_objects);
  EXPECT_EQ(operation("PUT", "/abc/k"), Operation::put_object);
  EXPECT_EQ(operation("PUT", "/abc/k", "x-amz-copy-source: /a/b\r\n"), Operation::copy_object);
  EXPECT_EQ(operation("PUT", "/abc/k?uploadId=1&partNumber=1"), Operation::upload_part);
  EXPECT_EQ(operation("PUT", "/abc/k?partNumber=1"), Operation::upload_part);
  EXPECT_EQ(operation("POST", "/abc/k?uploads"), Operation::create_multipart_upload);
  EXPECT_EQ(operation("POST", "/abc/k?uploadId=1"), Operation::complete_multipart_upload);
  EXPECT_EQ(operation("DELETE", "/abc/k?uploadId=1"), Operation::abort_multipart_upload);
  EXPECT_EQ(operation("GET", "/abc/k?x-id=GetObject"), Operation::get_object);
  EXPECT_EQ(operation("POST", "/?netstor-rdma"), Operation::open_rdma_session);
  EXPECT_EQ(operation("POST", "/abc/?netstor-rdma="), Operation::open_rdma_session);
  EXPECT_EQ(operation("POST", "/abc/k?netstor-rdma"), Operation::not_implemented);
  EXPECT_EQ(operation("GET", "/?netstor-rdma"), Operation::list_buckets);
}

TEST(S3Route, WhatIsNotKnownChangesNothing) {
  for (const char* target :
       {"/abc?policy", "/abc?acl", "/abc?lifecycle=", "/abc/k?acl", "/abc/k?retention"}) {
    for (const char* method : {"GET", "PUT", "DELETE", "POST"})
      EXPECT_EQ(operation(method, target), Operation::not_implemented) << method << target;
  }
  EXPECT_EQ(operation("PATCH", "/abc/k"), Operation::not_implemented);
  EXPECT_EQ(operation("DELETE", "/"), Operation::not_implemented);
  EXPECT_EQ(operation("DELETE", "/abc?tagging"), Operation::not_implemented);
}

TEST(S3Route, RefusesBadNames) {
  const auto code = [](const std::string& target) {
    return static_cast<s3::ErrorCode>(of("GET", target).error().native());
  };
  for (const char* target : {"/ab", "/Abc", "/a_b", "/abc-", "/a..b", "/1.2.3.4", "//key", "/%2E%2E%2E/a"})
    EXPECT_EQ(code(target), s3::ErrorCode::invalid_bucket_name) << target;
  EXPECT_EQ(code("/abc/%zz"), s3::ErrorCode::invalid_uri);
  EXPECT_EQ(code("/abc?a=%"), s3::ErrorCode::invalid_uri);
  EXPECT_EQ(code("/abc/" + std::string(1025, 'a')), s3::ErrorCode::key_too_long);
  EXPECT_TRUE(of("GET", "/abc/" + std::string(1024, 'a')).ok());
}

TEST(S3Route, ReadsTheSourceOfACopy) {
  for (const char* text : {"/abc/a%20b?versionId=3", "abc/a%20b?versionId=3", "abc%2Fa%20b?versionId=3"}) {
    const auto source = decode_copy_source(text);
    ASSERT_TRUE(source) << text;
    EXPECT_EQ(source->bucket, "abc");
    EXPECT_EQ(source->key, "a b");
    EXPECT_EQ(source->version_id, "3");
  }
  for (const char* text : {"", "/", "abc", "abc/", "/abc/%z", "abc/a?other=3"})
    EXPECT_FALSE(decode_copy_source(text)) << text;
}

}  // namespace
}  // namespace netstor::s3server
