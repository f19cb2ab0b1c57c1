// SPDX-License-Identifier: Apache-2.0
#pragma once
// What Identify says of an NVMe namespace as a device's limits and name, whichever way commands go there.

#include <netstor/ext/device.h>

#include <optional>
#include <string>

#include "lib/wire/nvme/identify.h"
#include "lib/wire/nvme/property.h"

namespace netstor::nvme {

/// What the controller says about all its namespaces.
struct ControllerFacts {
  Capabilities cap;
  IdentifyController identify;
  IdentifyControllerNvm nvm;  ///< zeros where the controller has none
};

/// The namespace's globally unique name: its UUID, else its NGUID, else its EUI-64; empty when it has none.
std::string identity_of(const IdentifyNamespace& ns, const std::optional<NamespaceIds>& ids);

/// Fills sizes, limits and abilities; unsupported for formats that we cannot carry.
Result<void> describe(const ControllerFacts& controller, const IdentifyNamespace& ns, std::uint32_t nsid,
                      DeviceLimits& limits);

/// "model: …", "serial: …" and "firmware: …", a line each.
std::string describe(const IdentifyController& controller);

}  // namespace netstor::nvme
