// SPDX-License-Identifier: Apache-2.0
#pragma once
// Every driver that is held to the contract (include/netstor/ext/driver.h). To add one: a Site that says how
// it is reached, when none here will do, and a line in kLinks,
// kMessageLinks or devices().

#include "lib/base/clock.h"
#include "tests/conformance/site.h"
#include "tests/conformance/tls_port.h"
#include "transports/sim/world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace netstor::conformance {

inline Driver& driver_named(std::string_view name) {
  for (Driver* driver : drivers()) {
    if (driver->name() == name) return *driver;
  }
  detail::panic("no such driver in this build");
}

inline bool is_in_build(std::string_view name) {
  return std::any_of(drivers().begin(), drivers().end(), [&](Driver* each) { return each->name() == name; });
}

/// The kernel's sockets and files.
class KernelSite : public Site {
 public:
  explicit KernelSite(std::string_view driver) {
    start(driver_named(driver), SteadyClock::instance(), false);
  }
  ~KernelSite() override {
    end();
    for (const int fd : fds_) ::close(fd);
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string host() const override { return "127.0.0.1"; }

  /// A listener whose queue is full: the system drops whoever else knocks.
  std::optional<Address> silent_address() override {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    fds_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(fds_.back(), generic, length) != 0 || ::listen(fds_.back(), 0) != 0 ||
        ::getsockname(fds_.back(), generic, &length) != 0) {
      return std::nullopt;
    }
    for (int i = 0; i < 4; ++i) {
      fds_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      static_cast<void>(::connect(fds_.back(), generic, length));
    }
    return Address{"127.0.0.1", ntohs(address.sin_port)};
  }

  bool reset(const Ticket& ticket) override {
    const int fd = static_cast<int>(ticket.words[0]);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(fd);
    return true;
  }

  std::string new_device_uri() override {
    if (folder_.empty()) {
      std::string name = std::filesystem::temp_directory_path() / "netstor-conformance-XXXXXX";
      folder_ = ::mkdtemp(name.data());
    }
    return "file://" + folder_ + "/device" + std::to_string(devices_++);
  }
  std::string path_of(const std::string& uri) const override { return uri.substr(7); }

 private:
  std::string folder_;
  unsigned devices_ = 0;
  std::vector<int> fds_;
};

/// One disk of this machine, as large as the suite wants it; wiped before each test.
class DiskSite final : public Site {
 public:
  DiskSite(std::string_view driver, std::string uri) : uri_(std::move(uri)) {
    start(driver_named(driver), SteadyClock::instance(), false, uri_.substr(0, uri_.find(':')));
  }
  ~DiskSite() override { end(); }
  std::string host() const override { return {}; }
  bool makes_devices() const override { return false; }

  std::string new_device_uri() override {
    OpenOp open;
    open.uri = uri_;
    until_done([&] { port().open(open); }, open);
    if (!open.result.ok) {
      ADD_FAILURE() << open.result.error("open") << "; " << open.detail;
      return uri_;
    }
    const std::vector<std::byte> zeroes(64 << 10);
    const iovec piece{const_cast<std::byte*>(zeroes.data()), zeroes.size()};
    DeviceOp write;
    write.verb = DeviceVerb::write;
    write.length = zeroes.size();
    write.pieces = &piece;
    write.piece_count = 1;
    const std::uint64_t size = open.device->limits().size_bytes;
    for (write.offset = 0; write.offset + write.length <= size; write.offset += write.length) {
      until_done([&] { EXPECT_EQ(open.device->submit(write), Submit::accepted); }, write);
      EXPECT_TRUE(write.result.ok) << write.result.error("wipe");
    }
    Op closed;
    until_done([&] { open.device->close(closed); }, closed);
    return uri_;
  }

 private:
  template <class Start>
  void until_done(Start start_it, Op& op) {
    bool done = false;
    op.user = &done;
    op.complete = [](Op& completed) noexcept { *static_cast<bool*>(completed.user) = true; };
    start_it();
    EXPECT_TRUE(wait([&] { return done; }));
  }

  const std::string uri_;
};

class SimSite : public Site {
 public:
  SimSite() { start(driver_named("sim"), world_, true); }
  ~SimSite() override { end(); }
  std::string host() const override { return "localhost"; }
  std::string new_device_uri() override { return "sim://device" + std::to_string(devices_++); }

 protected:
  void idle(Time latest) override { world_.advance(latest); }

 private:
  sim::World world_{1};
  sim::World::Enter enter_{world_};
  unsigned devices_ = 0;
};

/// Any other site, with TLS over its links.
template <class Below>
class TlsSite final : public Below {
 public:
  template <class... Arguments>
  explicit TlsSite(Arguments... arguments) : Below(arguments...) {
    certificates_.make({.name = "alone"});
    for (unsigned i = 0; i < 2; ++i) {
      ports_.push_back(
          std::make_unique<TlsPort>(Below::port(i), this->loop(i), this->metrics(i), certificates_));
    }
  }
  Port& port(unsigned shard = 0) override { return *ports_[shard]; }
  void settle(Link& near, Link& far) override {
    const auto ready = [](Link& link) { return static_cast<TlsLink&>(link).session().established(); };
    EXPECT_TRUE(this->wait([&] { return ready(near) && ready(far); }));
    this->turns(5);
  }

 private:
  tls::Certificates certificates_;
  std::vector<std::unique_ptr<TlsPort>> ports_;
};

/// An RDMA device of this machine, by its address: the environment's NETSTOR_CONFORMANCE_RDMA names it, since
/// no address is every machine's.
class MessageSite final : public Site {
 public:
  explicit MessageSite(bool shared) : shared_(shared) {
    start(driver_named("rdma"), SteadyClock::instance(), false, "rdma");
  }
  ~MessageSite() override { end(); }
  static const char* address() { return std::getenv("NETSTOR_CONFORMANCE_RDMA"); }
  std::string host() const override { return address(); }
  bool shares_receives() const override { return shared_; }
  std::string new_device_uri() override { return {}; }

 private:
  const bool shared_;
};

inline const Subject kMessageLinks[] = {
    {"rdma", []() -> std::unique_ptr<Site> { return std::make_unique<MessageSite>(false); }, true},
    {"rdma_shared", []() -> std::unique_ptr<Site> { return std::make_unique<MessageSite>(true); }, true},
};

inline const Subject kLinks[] = {
    {"uring", []() -> std::unique_ptr<Site> { return std::make_unique<KernelSite>("uring"); }, true},
    {"posix", []() -> std::unique_ptr<Site> { return std::make_unique<KernelSite>("posix"); }, true},
    {"sim", []() -> std::unique_ptr<Site> { return std::make_unique<SimSite>(); }, false},
    {"tls_uring", []() -> std::unique_ptr<Site> { return std::make_unique<TlsSite<KernelSite>>("uring"); },
     true, true},
    {"tls_posix", []() -> std::unique_ptr<Site> { return std::make_unique<TlsSite<KernelSite>>("posix"); },
     true, true},
    {"tls_sim", []() -> std::unique_ptr<Site> { return std::make_unique<TlsSite<SimSite>>(); }, false, true},
};

/// Disks that are there, and may be wiped: the environment's NETSTOR_CONFORMANCE_DISKS names them by URI,
/// with "driver=uri" between spaces. tests/interop has a machine with such disks.
inline std::vector<Subject> disks() {
  std::vector<Subject> found;
  const char* const names = std::getenv("NETSTOR_CONFORMANCE_DISKS");
  std::istringstream words(names != nullptr ? names : "");
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    const std::string driver = word.substr(0, equals), uri = word.substr(equals + 1);
    std::string name = driver + "_disk" + std::to_string(found.size());
    found.push_back({name, [driver, uri] { return std::make_unique<DiskSite>(driver, uri); }, true});
  }
  return found;
}

inline std::vector<Subject> devices() {
  std::vector<Subject> all = {
      {"uring", []() -> std::unique_ptr<Site> { return std::make_unique<KernelSite>("uring"); }, true},
      {"posix", []() -> std::unique_ptr<Site> { return std::make_unique<KernelSite>("posix"); }, true},
      {"sim", []() -> std::unique_ptr<Site> { return std::make_unique<SimSite>(); }, false},
  };
  for (Subject& disk : disks()) all.push_back(std::move(disk));
  return all;
}

inline void Conformance::SetUp() {
  std::string name = GetParam().tls ? GetParam().name.substr(4) : GetParam().name;
  name = name.substr(0, name.find('_'));
  if (!is_in_build(name)) GTEST_SKIP() << "the driver '" << name << "' is not in this build";
  if (GetParam().kernel) {
    if (const auto why_not = driver_named(name).probe()) GTEST_SKIP() << name << ": " << *why_not;
  }
  if (name == "rdma" && MessageSite::address() == nullptr)
    GTEST_SKIP() << "NETSTOR_CONFORMANCE_RDMA does not say which address an RDMA device has here";
  site_ = GetParam().make();
}

}  // namespace netstor::conformance
