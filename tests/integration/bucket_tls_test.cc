// SPDX-License-Identifier: Apache-2.0
// Our S3 client over TLS, against servers that others wrote: nginx with files, and openssl's own server. Both
// know nothing of S3, but a GET of a file is a GET of an object.

#include <netstor/netstor.h>

#include "tests/unit/tls_certificates.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

namespace netstor {
namespace {

using std::chrono::milliseconds;

std::string find_program(const char* name) {
  for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/usr/local/bin/"}) {
    if (::access((std::string(folder) + name).c_str(), X_OK) == 0) return std::string(folder) + name;
  }
  return {};
}

int listening_socket(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  socklen_t size = sizeof at;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&at), size), 0);
  EXPECT_EQ(::listen(fd, 16), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size), 0);
  port = ntohs(at.sin_port);
  return fd;
}

std::uint16_t free_port() {
  std::uint16_t port = 0;
  ::close(listening_socket(port));
  return port;
}

bool accepts(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  const bool good = ::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  ::close(fd);
  return good;
}

/// A child that ends with its owner.
class Process {
 public:
  explicit Process(std::vector<std::string> words, const std::string& log) {
    id_ = ::fork();
    if (id_ != 0) return;
    std::vector<char*> list;
    for (std::string& word : words) list.push_back(word.data());
    list.push_back(nullptr);
    if (std::freopen(log.c_str(), "a", stdout) == nullptr || ::dup2(1, 2) < 0) ::_exit(126);
    ::execv(list[0], list.data());
    ::_exit(127);
  }
  ~Process() {
    ::kill(id_, SIGTERM);
    ::waitpid(id_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  bool serves(std::uint16_t port) const {
    for (int i = 0; i < 1000 && !accepts(port); ++i) {
      if (::waitpid(id_, nullptr, WNOHANG) != 0) return false;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return accepts(port);
  }

 private:
  pid_t id_ = -1;
};

class BucketTls : public testing::Test {
 protected:
  static constexpr std::size_t kLarge = 20'000'001;

  BucketTls() {
    files_.make({.name = "ca", .names = ""});
    files_.make({.name = "server", .issuer = "ca"});
    files_.make({.name = "client", .names = "DNS:client", .issuer = "ca"});
    files_.make({.name = "elsewhere", .names = "DNS:elsewhere", .issuer = "ca"});
    std::filesystem::create_directories(files_.folder() + "/www/samples");
    large_.resize(kLarge);
    for (std::size_t i = 0; i < kLarge; ++i) large_[i] = static_cast<char>((i * 2654435761U) >> 17);
    write("large", large_);
    write("small", "hello");
    std::filesystem::permissions(files_.folder(), std::filesystem::perms(0755));
  }
  void write(const std::string& key, const std::string& bytes) {
    std::ofstream(files_.folder() + "/www/samples/" + key, std::ios::binary) << bytes;
  }
  std::string log() const { return files_.folder() + "/log"; }
  std::string log_text() const {
    std::ifstream file(log());
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// False and a skip's reason when there is no nginx.
  bool start_nginx(const std::string& certificate = "server", const std::string& more = "") {
    const std::string program = find_program("nginx");
    if (program.empty()) return false;
    port_ = free_port();
    const std::string folder = files_.folder();
    std::ofstream(folder + "/nginx.conf")
        << "daemon off; master_process off; pid " << folder << "/pid; error_log " << log() << ";\n"
        << "events { worker_connections 64; }\nhttp { access_log off;\n"
        << "client_body_temp_path " << folder << "/t1; proxy_temp_path " << folder << "/t2;"
        << "fastcgi_temp_path " << folder << "/t3; uwsgi_temp_path " << folder << "/t4; scgi_temp_path "
        << folder << "/t5;\n"
        << "server { listen 127.0.0.1:" << port_ << " ssl; root " << folder << "/www;\n"
        << "ssl_certificate " << files_.certificate(certificate) << "; ssl_certificate_key "
        << files_.key(certificate) << ";\n"
        << more << " } }\n";
    server_ = std::make_unique<Process>(
        std::vector<std::string>{program, "-p", folder, "-c", folder + "/nginx.conf"}, log());
    EXPECT_TRUE(server_->serves(port_)) << log_text();
    return true;
  }
  BucketOptions options(const std::string& host = "localhost") const {
    BucketOptions options;
    options.endpoint = "https://" + host + ":" + std::to_string(port_);
    options.anonymous = true;
    options.ca_file = files_.certificate("ca");
    options.retries = 1;
    options.retry_delay = options.retry_delay_max = milliseconds(1);
    options.connect_timeout = std::chrono::seconds(5);
    return options;
  }
  Bucket open(const BucketOptions& options) {
    auto bucket = Bucket::open(runtime_, "s3://samples", options).get();
    EXPECT_TRUE(bucket.ok()) << bucket.error();
    return *bucket;
  }
  void reads_all(const BucketOptions& options) {
    const Bucket bucket = open(options);
    Buffer into = *Buffer::allocate(kLarge);
    const auto read = bucket.get("large", into.bytes()).get();
    ASSERT_TRUE(read.ok()) << read.error() << log_text();
    EXPECT_EQ(read->bytes, kLarge);
    EXPECT_EQ(std::memcmp(into.data(), large_.data(), kLarge), 0);
    const auto small = bucket.get("small").get();
    ASSERT_TRUE(small.ok()) << small.error();
    EXPECT_EQ(small->data.size(), 5U);
    EXPECT_TRUE(bucket.close().get().ok());
  }
  Error fails(const BucketOptions& options) {
    const auto read = open(options).get("small").get();
    EXPECT_FALSE(read.ok());
    return read ? Error(ErrorKind::internal, "it succeeded") : read.error();
  }

  tls::Certificates files_;
  std::string large_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Process> server_;
  Runtime runtime_ = *Runtime::start();
};

#define NETSTOR_NGINX_OR_SKIP(...) \
  if (!start_nginx(__VA_ARGS__)) GTEST_SKIP() << "no nginx (Debian: nginx-light)"

TEST_F(BucketTls, ReadsFromNginxInRangesByNameAndByAddress) {
  NETSTOR_NGINX_OR_SKIP();
  reads_all(options());
  reads_all(options("127.0.0.1"));
  const auto metrics = runtime_.metrics();
  EXPECT_GE(metrics.copied_bytes, 2 * kLarge);  // TLS copies, and says so
}

TEST_F(BucketTls, ReadsFromNginxOverTls12) {
  NETSTOR_NGINX_OR_SKIP("server", "ssl_protocols TLSv1.2;");
  reads_all(options());
}

TEST_F(BucketTls, ReadsRangesAndLearnsThatAKeyIsNotThere) {
  NETSTOR_NGINX_OR_SKIP();
  const Bucket bucket = open(options());
  Buffer into = *Buffer::allocate(1000);
  GetOptions from;
  from.offset = 12'345;
  const auto read = bucket.get("large", into.bytes(), from).get();
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(std::memcmp(into.data(), large_.data() + 12'345, 1000), 0);
  EXPECT_EQ(bucket.head("nothing").get().error().kind(), ErrorKind::not_found);
}

TEST_F(BucketTls, ShowsItsCertificateToAServerThatWantsOne) {
  NETSTOR_NGINX_OR_SKIP("server",
                        "ssl_verify_client on; ssl_client_certificate " + files_.certificate("ca") + ";");
  BucketOptions with = options();
  with.client_certificate_file = files_.certificate("client");
  with.client_key_file = files_.key("client");
  reads_all(with);
  EXPECT_FALSE(open(options()).get("small").get().ok());  // nginx says so by a 400
}

TEST_F(BucketTls, RefusesWhatItDoesNotTrustAndTriesOnce) {
  NETSTOR_NGINX_OR_SKIP("elsewhere");
  const Error name = fails(options());
  EXPECT_EQ(name.kind(), ErrorKind::permission_denied) << name;
  EXPECT_EQ(name.origin(), Origin::tls);
  EXPECT_EQ(name.effect(), Effect::none);
  EXPECT_NE(name.text().find("is for elsewhere, not for localhost"), std::string::npos) << name;
  EXPECT_EQ(name.text().find("tries"), std::string::npos) << name;
  BucketOptions system = options();
  system.ca_file.clear();
  const Error unknown = fails(system);
  EXPECT_EQ(unknown.kind(), ErrorKind::permission_denied) << unknown;
  EXPECT_NE(unknown.text().find("unknown CA"), std::string::npos) << unknown;
}

TEST_F(BucketTls, SaysWhichFileIsWrongWhenItIsOpened) {
  BucketOptions wrong = options();
  wrong.endpoint = "https://localhost:1";
  wrong.ca_file = "/nowhere/ca.pem";
  const auto opened = Bucket::open(runtime_, "s3://samples", wrong).get();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind(), ErrorKind::invalid_argument);
  EXPECT_NE(opened.error().text().find("/nowhere/ca.pem"), std::string::npos) << opened.error();
}

TEST_F(BucketTls, ReadsFromOpenssl) {
  const std::string program = find_program("openssl");
  if (program.empty()) GTEST_SKIP() << "no openssl";
  port_ = free_port();
  const std::string www = files_.folder() + "/www";
  std::filesystem::current_path(www);  // its -WWW serves the current folder
  server_ = std::make_unique<Process>(
      std::vector<std::string>{program, "s_server", "-accept", "127.0.0.1:" + std::to_string(port_), "-cert",
                               files_.certificate("server"), "-key", files_.key("server"), "-HTTP", "-quiet"},
      log());
  write("answer", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
  ASSERT_TRUE(server_->serves(port_)) << log_text();
  Buffer into = *Buffer::allocate(100);
  const auto read = open(options()).get("answer", into.bytes()).get();  // it knows no HEAD
  std::filesystem::current_path("/");
  ASSERT_TRUE(read.ok()) << read.error() << log_text();
  EXPECT_EQ(std::memcmp(into.data(), "hello", 5), 0);
}

/// Sends the same bytes to whoever connects, and closes or stays silent.
class Babbler {
 public:
  Babbler(std::string words, bool close) : words_(std::move(words)), close_(close) {
    listener_ = listening_socket(port_);
    thread_ = std::thread([this] {
      for (;;) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) return;
        char hello[4096];
        if (::recv(fd, hello, sizeof hello, 0) > 0) {
          static_cast<void>(::send(fd, words_.data(), words_.size(), MSG_NOSIGNAL));
        }
        if (close_) {
          ::close(fd);
        } else {
          kept_.push_back(fd);
        }
      }
    });
  }
  ~Babbler() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (const int fd : kept_) ::close(fd);
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }

 private:
  std::string words_;
  bool close_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::vector<int> kept_;
  std::thread thread_;
};

/// A proxy that knows CONNECT alone, and brings everybody to the same port of this machine.
class Tunnels {
 public:
  explicit Tunnels(std::uint16_t to) : to_(to) {
    listener_ = listening_socket(port_);
    thread_ = std::thread([this] {
      for (int fd = -1; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) serve(fd);
    });
  }
  ~Tunnels() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }
  std::string asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void serve(int client) {
    char some[16384];
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(client, some, sizeof some, 0);
      if (got <= 0) break;
      head.append(some, static_cast<std::size_t>(got));
    }
    {
      const std::lock_guard lock(mutex_);
      asked_ += head;
    }
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(to_);
    EXPECT_EQ(::connect(server, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    const std::string_view granted = "HTTP/1.1 200 Connection established\r\n\r\n";
    static_cast<void>(::send(client, granted.data(), granted.size(), MSG_NOSIGNAL));
    std::thread back([&] { pump(server, client); });
    pump(client, server);
    back.join();
    ::close(server);
    ::close(client);
  }
  static void pump(int from, int to) {
    char some[65536];
    for (ssize_t got; (got = ::recv(from, some, sizeof some, 0)) > 0;) {
      for (ssize_t done = 0, sent = 0; done < got; done += sent) {
        sent = ::send(to, some + done, static_cast<std::size_t>(got - done), MSG_NOSIGNAL);
        if (sent <= 0) break;
      }
    }
    ::shutdown(to, SHUT_WR);
  }

  const std::uint16_t to_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  mutable std::mutex mutex_;
  std::string asked_;
  std::thread thread_;
};

TEST_F(BucketTls, GoesThroughAProxyAndIsSureOfTheServerBehindIt) {
  files_.make({.name = "far", .names = "DNS:storage.example", .issuer = "ca"});
  NETSTOR_NGINX_OR_SKIP("far");
  Tunnels proxy(port_);
  ::setenv("https_proxy", ("http://me:word@127.0.0.1:" + std::to_string(proxy.port())).c_str(), 1);
  BucketOptions through = options("storage.example");  // a name that nobody can look up
  through.connections = 1;
  reads_all(through);
  ::unsetenv("https_proxy");
  const std::string place = "storage.example:" + std::to_string(port_);
  EXPECT_EQ(proxy.asked(), "CONNECT " + place + " HTTP/1.1\r\nhost: " + place +
                               "\r\nproxy-authorization: Basic bWU6d29yZA==\r\n\r\n");
}

TEST_F(BucketTls, TellsPlainHttpFromTls) {
  const Babbler plain("HTTP/1.1 400 Bad Request\r\n\r\n", false);
  port_ = plain.port();
  const Error error = fails(options());
  EXPECT_EQ(error.kind(), ErrorKind::protocol) << error;
  EXPECT_EQ(error.origin(), Origin::tls);
  EXPECT_NE(error.text().find("plain HTTP"), std::string::npos) << error;
}

TEST_F(BucketTls, HandshakeThatStopsIsTriedAgainAndEnds) {
  const Babbler cut(std::string("\x16\x03\x03\x00\x7a\x02\x00", 7), true);
  port_ = cut.port();
  const Error error = fails(options());
  EXPECT_EQ(error.kind(), ErrorKind::disconnected) << error;
  EXPECT_NE(error.text().find("2 tries"), std::string::npos) << error;
}

TEST_F(BucketTls, HandshakeThatFallsSilentEndsByItsTimeout) {
  const Babbler silent(std::string("\x16\x03\x03\x00\x7a\x02\x00", 7), false);
  port_ = silent.port();
  BucketOptions soon = options();
  soon.connect_timeout = milliseconds(200);
  const Error error = fails(soon);
  EXPECT_EQ(error.kind(), ErrorKind::timed_out) << error;
  EXPECT_NE(error.text().find("connect_timeout"), std::string::npos) << error;
}

TEST_F(BucketTls, CloseEndsAHandshake) {
  const Babbler silent("", false);
  port_ = silent.port();
  const Bucket bucket = open(options());
  auto reading = bucket.get("small");
  std::this_thread::sleep_for(milliseconds(50));  // most likely it shakes hands by then; right either way
  EXPECT_TRUE(bucket.close().get().ok());
  EXPECT_EQ(reading.get().error().kind(), ErrorKind::cancelled);
}

}  // namespace
}  // namespace netstor
