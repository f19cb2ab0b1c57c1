// SPDX-License-Identifier: Apache-2.0
#pragma once
// A port of the simulated driver without a runtime around it, and operations that count their completions.

#include <netstor/ext/device.h>
#include <netstor/ext/link.h>
#include <netstor/metrics.h>

#include "transports/sim/driver.h"
#include "transports/sim/world.h"

#include <functional>
#include <memory>
#include <string>

namespace netstor::sim {

/// A loop that knows the world's time and no more.
class BareLoop final : public detail::Loop {
 public:
  explicit BareLoop(World& world) : world_(world) {}
  void post(detail::Runnable& task) noexcept override { push(task); }
  Time now() const noexcept override { return world_.now(); }
  void arm(detail::Timer&, Time) noexcept override {}
  void disarm(detail::Timer&) noexcept override {}
  unsigned index() const noexcept override { return 0; }
  bool turn_embedded() noexcept override { return false; }

 private:
  World& world_;
};

class BarePort final : public PortContext {
 public:
  explicit BarePort(World& world, std::string_view host = "localhost") : world_(world), loop_(world) {
    const World::Enter enter(world, host);
    port_ = std::move(sim_driver().make_port(*this)).value();
  }
  detail::Loop& loop() noexcept override { return loop_; }
  std::uint64_t random() noexcept override { return world_.random().next(); }
  Metrics& metrics() noexcept override { return metrics_; }
  Result<Port*> port(std::string_view) override { return port_.get(); }
  void run_blocking(detail::Runnable& work, detail::Runnable& done) noexcept override {
    work.run(work);
    done.run(done);
  }
  Port* operator->() { return port_.get(); }

 private:
  World& world_;
  BareLoop loop_;
  Metrics metrics_;
  std::unique_ptr<Port> port_;
};

/// An operation of any kind that counts how often it was completed.
template <class O>
struct Counted : O {
  Counted() {
    this->complete = [](Op& op) noexcept { ++static_cast<Counted&>(op).completions; };
  }
  unsigned completions = 0;
};

/// Polls the ports and moves the clock until `done` or until nothing will ever happen.
template <class... Ports>
bool run_until(World& world, const std::function<bool()>& done, Ports&... ports) {
  while (!done()) {
    const unsigned completed = (ports->poll(16) + ...);
    if (completed == 0 && !done() && !world.advance()) return false;
  }
  return true;
}

inline iovec piece(std::string& text) { return {text.data(), text.size()}; }

}  // namespace netstor::sim
