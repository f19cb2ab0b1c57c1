// SPDX-License-Identifier: Apache-2.0
#pragma once
// The simulated driver, for transports/drivers.cc.

#include <netstor/ext/driver.h>

namespace netstor {

Driver& sim_driver() noexcept;

}  // namespace netstor
