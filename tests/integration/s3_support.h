// SPDX-License-Identifier: Apache-2.0
#pragma once
// An S3 endpoint in this process, and a client of it that is nothing but a socket and a signer, so that a
// test says every byte itself.

#include "lib/base/encoding.h"
#include "lib/base/hash.h"
#include "lib/wire/http/date.h"
#include "lib/wire/http/text.h"
#include "lib/wire/s3/sigv4.h"
#include "server/s3/endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace netstor {

inline constexpr std::string_view kS3Keys =
    "[all]\naws_access_key_id = ALL\naws_secret_access_key = secret-of-all-0123456789\n"
    "netstor_allow = rwl:*\n"
    "[some]\naws_access_key_id = SOME\naws_secret_access_key = secret-of-some-0123456789\n"
    "netstor_allow = rl:photos/2024/ rwl:logs-*\n";

struct S3Key {
  std::string id = "ALL";
  std::string secret = "secret-of-all-0123456789";
};
inline const S3Key kSomeKey{.id = "SOME", .secret = "secret-of-some-0123456789"};

/// Started with the buckets "photos" and, for everybody to read, "public".
class S3Server {
 public:
  explicit S3Server(s3server::EndpointConfig config = {}, store::ObjectStoreOptions options = {},
                    unsigned shards = 1) {
    std::string pattern = (std::filesystem::temp_directory_path() / "s3-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    runtime_.emplace(Runtime::start({.shards = shards}).value());
    store_ = store::ObjectStore::open(folder_ + "/objects", std::move(options)).value();
    endpoint_ = s3server::Endpoint::start(*runtime_, std::move(config), *store_,
                                          s3server::Keys::parse(kS3Keys, "keys").value())
                    .value();
    endpoint_->prepare_bucket("photos", std::nullopt).get().value();
    endpoint_->prepare_bucket("public", store::AnonymousAccess{.read = true}).get().value();
    port_ = endpoint_->listen({.host = "127.0.0.1", .port = 0}).get().value().port;
  }
  ~S3Server() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;

  std::uint16_t port() const { return port_; }
  s3server::Endpoint& endpoint() { return *endpoint_; }
  store::ObjectStore& store() { return *store_; }
  void stop(Duration grace = std::chrono::seconds(5)) {
    if (!endpoint_) return;
    EXPECT_TRUE(endpoint_->stop(grace).get().ok());
    endpoint_.reset();
    store_.reset();
    runtime_.reset();
  }
  /// Within a bound; what the other end has closed is noticed in a turn or two.
  bool soon(auto condition) {
    for (int i = 0; i < 5000; ++i) {
      if (condition()) return true;
      ::usleep(2000);
    }
    return false;
  }
  s3server::Endpoint::Counts counts() { return endpoint_->counts().get().value(); }

 private:
  std::string folder_;
  std::optional<Runtime> runtime_;
  std::unique_ptr<store::ObjectStore> store_;
  std::unique_ptr<s3server::Endpoint> endpoint_;
  std::uint16_t port_ = 0;
};

struct S3Reply {
  int status = 0;  ///< 0: none came
  std::map<std::string, std::string> fields;
  std::string body;
  std::string code() const {
    const auto from = body.find("<Code>");
    return from == std::string::npos ? "" : body.substr(from + 6, body.find("</Code>") - from - 6);
  }
};

/// A request to be signed.
struct S3Request {
  std::string method = "GET";
  std::string path = "/";                                        ///< encoded
  std::vector<std::pair<std::string, std::string>> query = {};   ///< decoded
  std::vector<std::pair<std::string, std::string>> fields = {};  ///< beside host and what signing adds
  std::string body = {};
  std::string payload_hash = {};  ///< empty: the body's
};

class S3Client {
 public:
  explicit S3Client(std::uint16_t port, S3Key key = {}) : key_(std::move(key)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  ~S3Client() { hang_up(); }
  S3Client(const S3Client&) = delete;
  S3Client& operator=(const S3Client&) = delete;
  void hang_up() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  /// Head and body as they go over the wire. `when`: the time that is signed.
  std::string text(const S3Request& request, http::WallTime when = std::chrono::system_clock::now()) {
    const std::string hash = request.payload_hash.empty()
                                 ? to_hex(sha256(std::as_bytes(std::span(request.body))))
                                 : request.payload_hash;
    const std::string date(http::encode_basic_date(when));
    std::vector<s3::NameValue> query;
    for (const auto& [name, value] : request.query) query.push_back({.name = name, .value = value});
    auto fields = request.fields;
    fields.emplace_back("host", "localhost");
    fields.emplace_back("x-amz-date", date);
    fields.emplace_back("x-amz-content-sha256", hash);
    std::vector<s3::NameValue> to_sign;
    for (const auto& [name, value] : fields) {
      if (http::equal_without_case(name, "host") || name.starts_with("x-amz-"))
        to_sign.push_back({.name = name, .value = value});
    }
    signer_.set_identity({.access_key_id = key_.id, .secret_access_key = key_.secret, .session_token = {}});
    const s3::RequestView view{
        .method = request.method, .path = request.path, .query = query, .headers = to_sign};
    const std::string authorization(signer_.authorization(view, hash, date));
    std::string out = request.method + " " + request.path;
    if (!query.empty()) out += "?" + std::string(signer_.canonical().query());
    out += " HTTP/1.1\r\n";
    bool length = false;
    for (const auto& [name, value] : fields) {
      out.append(name).append(": ").append(value).append("\r\n");
      length = length || http::equal_without_case(name, "content-length") ||
               http::equal_without_case(name, "transfer-encoding");
    }
    out += "authorization: " + authorization + "\r\n";
    if (!length && (!request.body.empty() || request.method == "PUT" || request.method == "POST"))
      out += "content-length: " + std::to_string(request.body.size()) + "\r\n";
    return out + "\r\n" + request.body;
  }
  s3::ChunkSigner chunks() { return signer_.chunks(); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  S3Reply ask(const S3Request& request) {
    send(text(request));
    return reply(request.method == "HEAD");
  }
  S3Reply ask(std::string_view raw, bool head = false) {
    send(raw);
    return reply(head);
  }

  /// The next one; 100 Continue is passed over.
  S3Reply reply(bool to_head = false) {
    S3Reply reply;
    do {
      const std::size_t end = find("\r\n\r\n");
      if (end == std::string::npos) return {};
      reply = parse(buffer_.substr(0, end));
      buffer_.erase(0, end + 4);
    } while (reply.status == 100);
    const auto length = reply.fields.find("content-length");
    if (to_head || length == reply.fields.end()) return reply;
    const std::size_t size = std::stoull(length->second);
    while (buffer_.size() < size && more()) {
    }
    reply.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return reply;
  }
  /// The server has ended the connection, and nothing came before that.
  bool ended() {
    while (more()) {
    }
    return ended_ && buffer_.empty();
  }

 private:
  bool more() {
    pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, 30'000) != 1) return false;
    char bytes[65536];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    ended_ = got <= 0;
    if (got > 0) buffer_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }
  std::size_t find(std::string_view what) {
    std::size_t at = 0;
    while ((at = buffer_.find(what)) == std::string::npos && more()) {
    }
    return at;
  }
  static S3Reply parse(const std::string& head) {
    S3Reply reply;
    reply.status = std::stoi(head.substr(9, 3));
    for (std::size_t at = head.find("\r\n"); at != std::string::npos;) {
      at += 2;
      const std::size_t end = head.find("\r\n", at);
      const std::string line = head.substr(at, end == std::string::npos ? end : end - at);
      std::string name = line.substr(0, line.find(':'));
      for (char& c : name) c = http::lower(c);
      std::string& value = reply.fields[name];
      if (!value.empty()) value += ", ";
      value += line.substr(std::min(line.size(), line.find(':') + 2));
      at = end;
    }
    return reply;
  }
  S3Key key_;
  s3::Signer signer_{"us-east-1"};
  std::string buffer_;
  int fd_ = -1;
  bool ended_ = false;
};

}  // namespace netstor
