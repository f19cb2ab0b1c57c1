// SPDX-License-Identifier: Apache-2.0
#pragma once
// The secrets among a user's options, overwritten when a copy of them is done with.

#include <netstor/options.h>

#include "lib/base/hash.h"

namespace netstor {

inline void wipe_secrets(VolumeOptions& options) {
  for (std::string* each : {&options.host_secret, &options.controller_secret, &options.tls_key})
    wipe(std::as_writable_bytes(std::span(*each)));
}

}  // namespace netstor
