// SPDX-License-Identifier: Apache-2.0
//
// Opens and discoveries, given up while nobody answers below NVMe: TCP's connect, the handshake of TLS.

#include <fcntl.h>
#include <poll.h>

#include "lib/wire/fabrics/tls_key.h"
#include "tests/faults/host_fault_support.h"

namespace netstor::faults {
namespace {

/// A listening socket that nobody serves: the kernel answers a connect while there is room in the backlog.
class Silence {
 public:
  Silence() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    at_.sin_family = AF_INET;
    at_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at_;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&at_), size), 0);
    EXPECT_EQ(::listen(listener_, 0), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at_), &size), 0);
  }
  ~Silence() {
    for (const int fd : fill_) ::close(fd);
    ::close(listener_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  std::string service() const { return "nvme+tcp://127.0.0.1:" + std::to_string(ntohs(at_.sin_port)); }
  std::string uri() const { return service() + "/" + std::string(kFakeNqn); }

  /// From now on no connect is answered.
  void fill_backlog() {
    for (int i = 0; i < 8; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      fill_.push_back(fd);
      if (::connect(fd, reinterpret_cast<const sockaddr*>(&at_), sizeof at_) == 0) continue;
      pollfd connected{.fd = fd, .events = POLLOUT, .revents = 0};
      if (::poll(&connected, 1, 100) == 0) return;
    }
    FAIL() << "the backlog does not fill";
  }
  /// Until the host has connected and said something.
  void hear() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    ASSERT_GE(fd, 0);
    fill_.push_back(fd);
    std::byte first{};
    ASSERT_EQ(::recv(fd, &first, 1, 0), 1);
  }

 private:
  int listener_;
  sockaddr_in at_{};
  std::vector<int> fill_;
};

class HostSilence : public ::testing::Test {
 protected:
  void TearDown() override {
    runtime.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  }
  static VolumeOptions options() {
    VolumeOptions options;
    options.connect_timeout = std::chrono::seconds(60);
    return options;
  }
  /// What was begun has run until it waits.
  void settle() {
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(runtime->shard(0).run_on([] {}).get().ok());
  }
  template <class T>
  static void expect_cancelled(Future<T> future) {
    const auto result = future.get();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind(), ErrorKind::cancelled) << result.error();
  }
  Silence silence;
  std::optional<Runtime> runtime{*Runtime::start()};
  const std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
};

TEST_F(HostSilence, OpenIsCancelledWhileItConnects) {
  ASSERT_NO_FATAL_FAILURE(silence.fill_backlog());
  auto opening = Volume::open(*runtime, silence.uri(), options());
  settle();
  opening.cancel();
  expect_cancelled(std::move(opening));
}
TEST_F(HostSilence, DiscoveryIsCancelledWhileItConnects) {
  ASSERT_NO_FATAL_FAILURE(silence.fill_backlog());
  auto asking = discover(*runtime, silence.service(), options());
  settle();
  asking.cancel();
  expect_cancelled(std::move(asking));
}
TEST_F(HostSilence, RuntimeEndsWhileAnOpenConnects) {
  ASSERT_NO_FATAL_FAILURE(silence.fill_backlog());
  auto opening = Volume::open(*runtime, silence.uri(), options());
  settle();
  runtime.reset();
  expect_cancelled(std::move(opening));
}
TEST_F(HostSilence, RuntimeEndsWhileADiscoveryConnects) {
  ASSERT_NO_FATAL_FAILURE(silence.fill_backlog());
  auto asking = discover(*runtime, silence.service(), options());
  settle();
  runtime.reset();
  expect_cancelled(std::move(asking));
}
TEST_F(HostSilence, TlsHandshakeThatDoesNotMove) {
  VolumeOptions secure = options();
  nvme::TlsKey key;
  key.size = 32;
  key.bytes.fill(std::byte{1});
  secure.tls_key = nvme::format_tls_key(key);
  auto opening = Volume::open(*runtime, silence.uri(), secure);
  ASSERT_NO_FATAL_FAILURE(silence.hear());
  opening.cancel();
  expect_cancelled(std::move(opening));
}

}  // namespace
}  // namespace netstor::faults
