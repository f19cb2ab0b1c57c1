// SPDX-License-Identifier: Apache-2.0
// The S3 endpoint over TLS: our client, and OpenSSL's own.

#include <netstor/netstor.h>

#include "tests/integration/s3_support.h"
#include "tests/unit/tls_certificates.h"

#include <cstdio>
#include <cstring>

namespace netstor {
namespace {

class S3Tls : public testing::Test {
 protected:
  S3Tls() {
    files_.make({.name = "server"});
    s3server::EndpointConfig config;
    config.http.idle_timeout = std::chrono::seconds(1);
    config.tls = tls::Context::make({.role = tls::Role::server,
                                     .certificate_file = files_.certificate("server"),
                                     .key_file = files_.key("server")})
                     .value();
    server_.emplace(config);
  }
  BucketOptions options() const {
    BucketOptions options;
    options.endpoint = "https://localhost:" + std::to_string(server_->port());
    options.credentials = Credentials{.access_key_id = "ALL",
                                      .secret_access_key = "secret-of-all-0123456789",
                                      .session_token = "",
                                      .expires = {}};
    options.ca_file = files_.certificate("server");
    options.part_bytes = 5 << 20;
    return options;
  }
  std::size_t connections() { return server_->endpoint().counts().get().value().connections; }

  tls::Certificates files_;
  std::optional<S3Server> server_;
  Runtime runtime_ = *Runtime::start();
};

// Nothing is signed where TLS protects it; the checksum goes behind the payload all the same.
TEST_F(S3Tls, TakesAChecksumBehindAPayloadThatIsNotSigned) {
  BucketOptions chunked = options();
  chunked.payload_signing = PayloadSigning::chunks;
  chunked.checksum = ChecksumAlgorithm::crc32c;
  const Bucket bucket = *Bucket::open(runtime_, "s3://photos", chunked).get();
  const Buffer from = *Buffer::allocate(1'000'001);
  const auto put = bucket.put("key", from.bytes()).get();
  ASSERT_TRUE(put.ok()) << put.error();
  EXPECT_EQ(bucket.head("key").get()->checksum, put->checksum);
  EXPECT_TRUE(bucket.close().get().ok());
}

TEST_F(S3Tls, StoresAndAnswersSmallAndLarge) {
  const Bucket bucket = *Bucket::open(runtime_, "s3://photos", options()).get();
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{12'000'001}}) {
    Buffer from = *Buffer::allocate(size + 1);
    for (std::size_t i = 0; i < size; ++i) from.bytes()[i] = static_cast<std::byte>((i * 2654435761U) >> 15);
    const auto put = bucket.put("key", from.bytes().first(size)).get();
    ASSERT_TRUE(put.ok()) << put.error();
    Buffer into = *Buffer::allocate(size + 1);
    const auto read = bucket.get("key", into.bytes().first(size)).get();
    ASSERT_TRUE(read.ok()) << read.error();
    EXPECT_EQ(read->bytes, size);
    EXPECT_EQ(std::memcmp(into.data(), from.data(), size), 0);
  }
  EXPECT_TRUE(bucket.close().get().ok());
  EXPECT_TRUE(server_->soon([&] { return connections() == 0; }));
}

TEST_F(S3Tls, TalksToAnotherClient) {
  const std::string command = "openssl s_client -quiet -verify_return_error -CAfile " +
                              files_.certificate("server") +
                              " -connect localhost:" + std::to_string(server_->port()) + " 2>&1";
  if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no openssl";
  const std::string request =
      "printf 'GET /public/nothing HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n' | ";
  FILE* const pipe = ::popen((request + command).c_str(), "re");
  ASSERT_NE(pipe, nullptr);
  std::string answer(10'000, '\0');
  answer.resize(std::fread(answer.data(), 1, answer.size(), pipe));
  ::pclose(pipe);
  EXPECT_NE(answer.find("HTTP/1.1 404"), std::string::npos) << answer;
  EXPECT_NE(answer.find("NoSuchKey"), std::string::npos) << answer;
}

/// What comes when these bytes are sent by who knows no TLS, and nothing more; empty: it was closed.
std::size_t closed_after(std::uint16_t port, std::string_view bytes) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  std::size_t heard = 0;
  char some[256];
  pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
  for (;;) {
    EXPECT_EQ(::poll(&watched, 1, 20'000), 1) << "the connection stays";
    const ssize_t got = ::recv(fd, some, sizeof some, 0);
    if (got <= 0) break;
    heard += static_cast<std::size_t>(got);
  }
  ::close(fd);
  return heard;
}

TEST_F(S3Tls, EndsWhoSpeaksNoTlsOrStopsInTheHandshake) {
  EXPECT_LE(closed_after(server_->port(), "GET / HTTP/1.1\r\nhost: a\r\n\r\n"), 16U);
  EXPECT_LE(closed_after(server_->port(), std::string_view("\x16\x03\x01\x01\x00\x01", 6)), 16U);
  EXPECT_TRUE(server_->soon([&] { return connections() == 0; }));
}

}  // namespace
}  // namespace netstor
