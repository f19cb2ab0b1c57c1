// SPDX-License-Identifier: Apache-2.0
#pragma once
// A controller of a made-up subsystem, for tests without any connection.

#include <map>
#include <string>
#include <vector>

#include "lib/proto/nvme/controller.h"
#include "lib/wire/fabrics/nqn.h"

namespace netstor::nvme::testing {

inline constexpr std::string_view kSubsystemNqn = "nqn.2026-01.io.netstor:unit";
inline constexpr std::string_view kHostNqn =
    "nqn.2014-08.org.nvmexpress:uuid:00112233-4455-6677-8899-aabbccddeeff";

class FakeSubsystem final : public SubsystemView {
 public:
  explicit FakeSubsystem(bool discovery = false) : discovery_(discovery) {}
  std::string_view nqn() const override { return discovery_ ? kDiscoveryNqn : kSubsystemNqn; }
  std::string_view serial() const override { return "SERIAL1"; }
  std::string_view model() const override { return "netstor"; }
  std::string_view firmware() const override { return "1.0"; }
  bool discovery() const override { return discovery_; }
  const ControllerLimits& limits() const override { return limits_; }
  std::uint32_t nsid_max() const override { return 16; }
  const NamespaceView* find(std::uint32_t nsid) const override {
    const auto found = namespaces.find(nsid);
    return found == namespaces.end() ? nullptr : &found->second;
  }
  std::uint32_t next_nsid(std::uint32_t nsid) const override {
    const auto found = namespaces.upper_bound(nsid);
    return found == namespaces.end() ? 0 : found->first;
  }
  bool host_allowed(std::string_view host) const override { return allowed.empty() || host == allowed; }
  std::uint64_t paths(std::string_view, std::vector<PathView>& out) const override {
    out = known_paths;
    return generation;
  }

  NamespaceView& add(std::uint32_t nsid) {
    NamespaceView view{.nsid = nsid,
                       .block_shift = 12,
                       .can_write_zeroes = true,
                       .can_deallocate = true,
                       .can_compare = true,
                       .can_verify = true,
                       .blocks = 1000,
                       .atomic_blocks = 1,
                       .fused_blocks_max = 4,
                       .zero_blocks_max = 256};
    view.uuid.fill(std::byte{0x11});
    view.nguid.fill(std::byte{0x22});
    return namespaces[nsid] = view;
  }

  std::map<std::uint32_t, NamespaceView> namespaces;
  std::vector<PathView> known_paths;
  std::uint64_t generation = 7;
  std::string allowed;
  ControllerLimits limits_;

 private:
  bool discovery_;
};

struct Reply {
  AdminAnswer answer;
  std::vector<std::byte> data;
};

/// A controller with its clock in the test's hand.
class ControllerUnderTest {
 public:
  explicit ControllerUnderTest(bool discovery = false, std::uint32_t keep_alive_ms = 0)
      : subsystem(discovery),
        controller(subsystem,
                   {.cntlid = 5, .host_nqn = std::string(kHostNqn), .keep_alive_ms = keep_alive_ms}, now) {}

  Reply run(const Command& command) {
    Reply reply;
    AdminPlan plan;
    const Status status = controller.plan(command, plan);
    if (!status.ok()) {
      reply.answer.status = status;
      return reply;
    }
    reply.data.resize(plan.to_host, std::byte{0xEE});
    reply.answer = controller.execute(command, {}, reply.data, now);
    reply.data.resize(reply.answer.status.ok() ? reply.answer.bytes : 0);
    return reply;
  }
  Reply configure(const ControllerConfiguration& cc) {
    return run(make_property_set(1, Property::cc, encode(cc)));
  }
  void enable() { configure({.en = true, .iosqes = 6, .iocqes = 4}); }
  ControllerStatus csts() {
    return decode_controller_status(
        static_cast<std::uint32_t>(run(make_property_get(1, Property::csts)).answer.result));
  }

  Time now{std::chrono::seconds(1)};
  FakeSubsystem subsystem;
  Controller controller;
};

}  // namespace netstor::nvme::testing
