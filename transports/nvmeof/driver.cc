// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/driver.h"

#include <algorithm>
#include <array>

#include "transports/message_link.h"
#include "transports/nvmeof/port.h"

namespace netstor {
namespace {

/// One for each transport, so that a shard has what it uses, below what uses it.
class NvmeofDriver : public Driver {
 public:
  Abilities abilities() const noexcept override { return {.devices = true, .kernel_sleep = true}; }
};

class NvmeTcpDriver final : public NvmeofDriver {
 public:
  std::string_view name() const noexcept override { return "nvmeof"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  std::optional<std::string> probe() const override { return std::nullopt; }
  Result<std::unique_ptr<Port>> make_port(PortContext& context) override {
    NETSTOR_TRY_RETURN(Port * links, context.port("tcp"));
    return std::unique_ptr<Port>(std::make_unique<nvmeof::NvmeofPort>(context, links, nullptr));
  }

 private:
  static constexpr std::array<std::string_view, 1> kSchemes = {"nvme+tcp"};
};

class NvmeRdmaDriver final : public NvmeofDriver {
 public:
  std::string_view name() const noexcept override { return "nvmerdma"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  std::optional<std::string> probe() const override {
    for (const Driver* const each : drivers()) {
      if (std::ranges::count(each->schemes(), "rdma") != 0) return each->probe();
    }
    return "no RDMA transport in this build";
  }
  Result<std::unique_ptr<Port>> make_port(PortContext& context) override {
    NETSTOR_TRY_RETURN(Port * cards, context.port("rdma"));
    MessagePort* const messages = cards->messages();
    if (messages == nullptr) return Error(ErrorKind::unsupported, "the driver for RDMA has no messages");
    return std::unique_ptr<Port>(std::make_unique<nvmeof::NvmeofPort>(context, nullptr, messages));
  }

 private:
  static constexpr std::array<std::string_view, 1> kSchemes = {"nvme+rdma"};
};

}  // namespace

Driver& nvmeof_driver() noexcept {
  static NvmeTcpDriver driver;
  return driver;
}

Driver& nvme_rdma_driver() noexcept {
  static NvmeRdmaDriver driver;
  return driver;
}

}  // namespace netstor
