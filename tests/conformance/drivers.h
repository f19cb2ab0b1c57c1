// SPDX-License-Identifier: Apache-2.0
#pragma once
// Every driver that is held to the contract (include/netstor/ext/driver.h). To add one: a Site that says how
// it is reached, when none here will do, and a line in kSubjects.

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

inline const Subject kSubjects[] = {
    {"uring", []() -> std::unique_ptr<Site> { return std::make_unique<KernelSite>("uring"); }, true},
    {"posix", []() -> std::unique_ptr<Site> { return std::make_unique<KernelSite>("posix"); }, true},
    {"sim", []() -> std::unique_ptr<Site> { return std::make_unique<SimSite>(); }, false},
};

inline void Conformance::SetUp() {
  const std::string name = GetParam().tls ? std::string(GetParam().name).substr(4) : GetParam().name;
  if (!is_in_build(name)) GTEST_SKIP() << "the driver '" << name << "' is not in this build";
  if (GetParam().kernel) {
    if (const auto why_not = driver_named(name).probe()) GTEST_SKIP() << name << ": " << *why_not;
  }
  site_ = GetParam().make();
}

}  // namespace netstor::conformance
