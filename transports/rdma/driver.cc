// SPDX-License-Identifier: Apache-2.0
#include "transports/rdma/driver.h"

#include "transports/rdma/port.h"

#include <array>

namespace netstor {
namespace {

class RdmaDriver final : public Driver {
 public:
  std::string_view name() const noexcept override { return "rdma"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  Abilities abilities() const noexcept override { return {.registered_memory = true, .kernel_sleep = true}; }
  std::optional<std::string> probe() const override {
    int count = 0;
    ibv_device** const devices = ::ibv_get_device_list(&count);
    if (devices != nullptr) ::ibv_free_device_list(devices);
    if (count == 0) return "no verbs device (a card's driver, or rdma_rxe and `rdma link add`, makes one)";
    rdma_event_channel* const channel = ::rdma_create_event_channel();
    if (channel == nullptr) return "no connection manager: /dev/infiniband/rdma_cm (module rdma_ucm)";
    ::rdma_destroy_event_channel(channel);
    return std::nullopt;
  }
  Result<std::unique_ptr<Port>> make_port(PortContext& context) override {
    NETSTOR_TRY_RETURN(std::unique_ptr<rdma::RdmaPort> port, rdma::RdmaPort::make(context));
    return std::unique_ptr<Port>(std::move(port));
  }

 private:
  static constexpr std::array<std::string_view, 1> kSchemes = {"rdma"};
};

}  // namespace

Driver& rdma_driver() noexcept {
  static RdmaDriver driver;
  return driver;
}

}  // namespace netstor
