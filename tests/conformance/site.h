// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a driver is held to its contract: two shards on one thread, turned by hand, so that a test sees what
// happened between two calls. The loops are the engine's own.

#include <netstor/ext/device.h>
#include <netstor/ext/driver.h>
#include <netstor/ext/link.h>

#include "lib/engine/blocking.h"
#include "lib/engine/shard_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace netstor::conformance {

inline unsigned last_order = 0;

/// An operation that counts how often it was completed, and in which order among all.
template <class Operation>
struct Counted : Operation {
  Counted() {
    this->complete = [](Op& op) noexcept {
      auto& self = static_cast<Counted&>(op);
      ++self.completions;
      self.order = ++last_order;
    };
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  bool done() const noexcept { return completions > 0; }
  unsigned completions = 0;
  unsigned order = 0;
};

class Site {
 public:
  virtual ~Site() = default;
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  /// Where links are listened on.
  virtual std::string host() const = 0;
  /// An address where nobody answers, not even with a refusal; nothing when the driver cannot have one.
  virtual std::optional<Address> silent_address() { return std::nullopt; }
  /// Ends an accepted connection so that the peer hears a reset; false when the driver cannot.
  virtual bool reset(const Ticket&) { return false; }
  /// The name of a device that is not there yet: OpenOp::create makes it. A site that cannot make one wipes
  /// the one that it has.
  virtual std::string new_device_uri() = 0;
  virtual bool makes_devices() const { return true; }
  /// Message links take their messages from one queue with the shard's others.
  virtual bool shares_receives() const { return false; }
  /// The file behind the URI; empty when there is none.
  virtual std::string path_of(const std::string&) const { return {}; }

  virtual Port& port(unsigned shard = 0) { return *ports_[shard]; }
  /// Turns until both ends of a new link are ready for what the test does.
  virtual void settle(Link& /*near*/, Link& /*far*/) {}
  Metrics& metrics(unsigned shard = 0) { return loops_[shard]->metrics(); }
  Time now(unsigned shard = 0) { return loops_[shard]->now(); }

  bool turn() {
    bool busy = false;
    for (auto& loop : loops_) {
      detail::current_loop = loop.get();
      busy = loop->turn() || busy;
    }
    detail::current_loop = loops_[0].get();
    if (!busy) idle(std::min(loops_[0]->next_deadline(), loops_[1]->next_deadline()));
    return busy;
  }
  void turns(unsigned count) {
    for (unsigned i = 0; i < count; ++i) turn();
  }
  /// Turns until it is so; false when it has not come to that in half a minute.
  bool wait(const std::function<bool()>& so) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!so()) {
      turn();
      if (std::chrono::steady_clock::now() > give_up) return false;
    }
    return true;
  }

 protected:
  Site() = default;
  void start(Driver& driver, const Clock& clock, bool simulated, std::string_view scheme = "tcp") {
    for (unsigned i = 0; i < 2; ++i) {
      loops_.push_back(std::make_unique<detail::ShardLoop>(detail::ShardLoop::Config{
          .index = i,
          .seed = 1 + i,
          .io_driver = &driver,
          .clock = &clock,
          .blocking = simulated ? nullptr : &blocking_,
      }));
      detail::current_loop = loops_.back().get();
      auto port = loops_.back()->port(scheme);
      if (!port) {
        ADD_FAILURE() << port.error();
        std::abort();
      }
      ports_.push_back(port.value());
    }
    detail::current_loop = loops_[0].get();
  }
  detail::Loop& loop(unsigned shard) { return *loops_[shard]; }
  /// Before what the ports live on goes.
  void end() {
    blocking_.end();
    for (auto& loop : loops_) {
      detail::current_loop = loop.get();
      loop->drop_ports();
    }
    detail::current_loop = nullptr;
    loops_.clear();
  }
  /// Nothing happened in a turn; the next timer is at `latest`.
  virtual void idle(Time /*latest*/) {}

 private:
  detail::BlockingThread blocking_;
  std::vector<std::unique_ptr<detail::ShardLoop>> loops_;
  std::vector<Port*> ports_;
};

/// A driver in the table of drivers.h.
struct Subject {
  std::string name;
  std::function<std::unique_ptr<Site>()> make;
  bool kernel;       ///< sockets and files of this system: what only they can show is tested
  bool tls = false;  ///< links alone, over those of the driver `name` ends with
};

inline std::string name_of(const testing::TestParamInfo<Subject>& info) { return info.param.name; }
inline void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.name; }

/// For each test: the site, or a skip that says why there is none.
class Conformance : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override;
  Site& site() { return *site_; }
  bool has_site() const { return site_ != nullptr; }
  Port& port(unsigned shard = 0) { return site_->port(shard); }
  bool wait(const std::function<bool()>& so) { return site_->wait(so); }
  void TearDown() override { site_.reset(); }
  /// An operation that outlives the test's body: one that fails half-way leaves some in flight.
  template <class T, class... Arguments>
  T& keep(Arguments... arguments) {
    auto made = std::make_shared<T>(arguments...);
    T& kept = *made;
    kept_.push_back(std::move(made));
    return kept;
  }
  /// A listener takes one accept at a time, and completes it as cancelled when it is closed, not inside that.
  void expect_accept_cancelled(std::unique_ptr<Listener>& listener) {
    auto& accept = keep<Counted<AcceptOp>>();
    auto& second = keep<Counted<AcceptOp>>();
    ASSERT_EQ(listener->submit(accept), Submit::accepted);
    EXPECT_EQ(listener->submit(second), Submit::full);
    site().turns(5);
    listener->close();
    EXPECT_FALSE(accept.done()) << "completed inside close()";
    listener.reset();
    ASSERT_TRUE(wait([&] { return accept.done(); }));
    EXPECT_EQ(accept.completions, 1U);
    EXPECT_EQ(accept.result.kind, ErrorKind::cancelled);
  }

  std::vector<std::shared_ptr<void>> kept_;

 private:
  std::unique_ptr<Site> site_;
};

}  // namespace netstor::conformance
