// SPDX-License-Identifier: Apache-2.0
#include "transports/posix/driver.h"

#include "transports/posix/port.h"

#include <array>

namespace netstor {
namespace {

class PosixDriver final : public Driver {
 public:
  std::string_view name() const noexcept override { return "posix"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  Abilities abilities() const noexcept override {
    return {.links = true, .devices = true, .kernel_sleep = true};
  }
  std::optional<std::string> probe() const override { return std::nullopt; }
  Result<std::unique_ptr<Port>> make_port(PortContext& context) override {
    auto port = std::make_unique<posix::PosixPort>(context);
    NETSTOR_CHECK_RETURN(port->open_epoll());
    return std::unique_ptr<Port>(std::move(port));
  }

 private:
  static constexpr std::array<std::string_view, 2> kSchemes = {"tcp", "file"};
};

}  // namespace

Driver& posix_driver() noexcept {
  static PosixDriver driver;
  return driver;
}

}  // namespace netstor
