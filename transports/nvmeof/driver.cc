// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/driver.h"

#include <array>

#include "transports/nvmeof/port.h"

namespace netstor {
namespace {

class NvmeofDriver final : public Driver {
 public:
  std::string_view name() const noexcept override { return "nvmeof"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  Abilities abilities() const noexcept override { return {.devices = true, .kernel_sleep = true}; }
  std::optional<std::string> probe() const override { return std::nullopt; }
  Result<std::unique_ptr<Port>> make_port(PortContext& context) override {
    NETSTOR_TRY_RETURN(Port * links, context.port("tcp"));
    return std::unique_ptr<Port>(std::make_unique<nvmeof::NvmeofPort>(context, *links));
  }

 private:
  static constexpr std::array<std::string_view, 1> kSchemes = {"nvme+tcp"};
};

}  // namespace

Driver& nvmeof_driver() noexcept {
  static NvmeofDriver driver;
  return driver;
}

}  // namespace netstor
