// SPDX-License-Identifier: Apache-2.0
#pragma once
// What drivers.cc, which alone knows the drivers by name, adds to capabilities().

#include <netstor/capabilities.h>

#include <vector>

namespace netstor {

std::vector<Capability> driver_details();

}  // namespace netstor
