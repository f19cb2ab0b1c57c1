// SPDX-License-Identifier: Apache-2.0
#include "transports/sim/driver.h"

#include "transports/sim/port.h"

#include <array>

namespace netstor {
namespace {

class SimDriver final : public Driver {
 public:
  std::string_view name() const noexcept override { return "sim"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  Abilities abilities() const noexcept override {
    return {.links = true, .devices = true, .registered_memory = false, .kernel_sleep = true};
  }
  std::optional<std::string> probe() const override {
    if (sim::World::current() != nullptr) return std::nullopt;
    return "only inside a simulated world (sim::World::Enter): it carries nothing to the outside";
  }
  Result<std::unique_ptr<Port>> make_port(PortContext& context) override {
    return sim::SimPort::make(context);
  }

 private:
  static constexpr std::array<std::string_view, 3> kSchemes = {"tcp", "file", "sim"};
};

}  // namespace

Driver& sim_driver() noexcept {
  static SimDriver driver;
  return driver;
}

}  // namespace netstor
