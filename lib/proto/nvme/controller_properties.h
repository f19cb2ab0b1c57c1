// SPDX-License-Identifier: Apache-2.0
#pragma once
// A controller's registers over fabrics: CAP, VS, CC and CSTS, and what a write to CC does (NVMe Base 2.0,
// "Controller Properties"). Enabling and resetting take no time here, so CSTS follows CC in the same call;
// a shutdown alone may take until the owner says that caches are on stable storage.

#include "lib/proto/nvme/controller_view.h"
#include "lib/wire/fabrics/fabrics_command.h"
#include "lib/wire/nvme/property.h"

namespace netstor::nvme {

/// What the owner must do after a Property Set.
enum class PropertyEffect : std::uint8_t {
  none,
  enabled,
  reset,     ///< EN went to 0: the I/O queues are gone, features are as at the start
  shutdown,  ///< write caches back, then finish_shutdown()
};

struct PropertyAnswer {
  Status status{};
  std::uint64_t value = 0;
  PropertyEffect effect = PropertyEffect::none;
};

class ControllerProperties {
 public:
  ControllerProperties(const ControllerLimits& limits, bool discovery);

  PropertyAnswer get(const Command& command) const;
  PropertyAnswer set(const Command& command);
  void finish_shutdown();
  /// CSTS.CFS: the host has to reset the controller.
  void fail() { csts_.cfs = true; }

  bool ready() const { return csts_.rdy && !csts_.cfs; }
  bool enabled() const { return cc_.en; }
  const Capabilities& capabilities() const { return cap_; }
  const ControllerConfiguration& configuration() const { return cc_; }
  const ControllerStatus& controller_status() const { return csts_; }
  static constexpr Version version() { return {.major = 1, .minor = 4}; }

 private:
  PropertyEffect configure(const ControllerConfiguration& next);
  bool acceptable(const ControllerConfiguration& next) const;

  Capabilities cap_;
  ControllerConfiguration cc_;
  ControllerStatus csts_;
  bool discovery_;
};

}  // namespace netstor::nvme
