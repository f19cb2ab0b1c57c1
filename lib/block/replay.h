// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one place that decides whether a request whose path was lost is sent again.

#include <netstor/ext/device.h>
#include <netstor/options.h>

namespace netstor {

/// Only a lost path is answered with another try: what the storage itself refused stays refused.
/// What changes nothing may always be repeated, and so may what surely did not happen. A write that may
/// have happened is repeated only when its caller said that this does no harm: the first one may still be
/// alive in the target and land after a later write (a ghost write; the fence against it will stand here).
/// compare_and_write is never repeated after that: its own first run would make the second fail.
constexpr bool may_replay(DeviceVerb verb, const IoOptions& options, const OpResult& failure) noexcept {
  if (failure.ok || failure.kind != ErrorKind::disconnected) return false;
  if (!changes(verb) || failure.effect == Effect::none) return true;
  return options.idempotent && verb != DeviceVerb::compare_and_write;
}

}  // namespace netstor
