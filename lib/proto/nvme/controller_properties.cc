// SPDX-License-Identifier: Apache-2.0
//
// Property Get and Set of one controller.

#include "lib/proto/nvme/controller_properties.h"

namespace netstor::nvme {

namespace {

constexpr std::uint8_t kReadyTimeoutUnits = 20;  // of 500 ms

PropertyAnswer invalid() { return {.status = refused(GenericStatus::invalid_field)}; }

}  // namespace

ControllerProperties::ControllerProperties(const ControllerLimits& limits, bool discovery)
    : cap_{.mqes = static_cast<std::uint16_t>(limits.queue_entries_max - 1),
           .cqr = true,
           .to = kReadyTimeoutUnits,
           .css = 1},
      discovery_(discovery) {}

PropertyAnswer ControllerProperties::get(const Command& command) const {
  PropertyAccess access;
  if (!decode_property_access(command, access)) return invalid();
  // A size that is not the property's own is refused, whichever the property.
  if (access.wide != is_wide(access.property)) return invalid();
  switch (access.property) {
    case Property::cap:
      return {.value = encode(cap_)};
    case Property::vs:
      return {.value = encode(version())};
    case Property::cc:
      return {.value = encode(cc_)};
    case Property::csts:
      return {.value = encode(csts_)};
    case Property::nssr:  // no subsystem reset (CAP.NSSRS), nor CAP.CRMS: both are reserved here
    case Property::crto:
      break;
  }
  return invalid();
}

PropertyAnswer ControllerProperties::set(const Command& command) {
  PropertyAccess access;
  if (!decode_property_access(command, access)) return invalid();
  if (access.wide || access.property != Property::cc) return invalid();
  return {.effect = configure(decode_configuration(static_cast<std::uint32_t>(access.value)))};
}

bool ControllerProperties::acceptable(const ControllerConfiguration& next) const {
  if (next.css != 0 || next.ams != 0 || next.mps > cap_.mpsmax) return false;
  // A discovery controller has no I/O queues, and hosts may leave their entry sizes at 0.
  return discovery_ || (next.iosqes == 6 && next.iocqes == 4);
}

PropertyEffect ControllerProperties::configure(const ControllerConfiguration& next) {
  const ControllerConfiguration before = cc_;
  cc_ = next;
  if (before.en && !next.en) {
    csts_ = {};
    cc_ = next;
    return PropertyEffect::reset;
  }
  if (next.shn != ShutdownNotification::none && before.shn == ShutdownNotification::none) {
    csts_.shst = ShutdownStatus::occurring;
    return PropertyEffect::shutdown;
  }
  if (!before.en && next.en) {
    // A controller that was shut down is brought back by enabling it anew.
    csts_ = {};
    if (!acceptable(next)) {
      csts_.cfs = true;
      return PropertyEffect::none;
    }
    csts_.rdy = true;
    return PropertyEffect::enabled;
  }
  if (next.shn == ShutdownNotification::none && before.shn != ShutdownNotification::none) {
    csts_.shst = ShutdownStatus::normal_operation;
  }
  return PropertyEffect::none;
}

void ControllerProperties::finish_shutdown() {
  if (csts_.shst == ShutdownStatus::occurring) csts_.shst = ShutdownStatus::complete;
}

}  // namespace netstor::nvme
