// SPDX-License-Identifier: Apache-2.0
// The only list of drivers. In order of preference: the first that serves a scheme and works here is taken.

#include "transports/drivers.h"

#include <netstor/ext/driver.h>

#include "transports/nvmeof/driver.h"
#include "transports/posix/driver.h"
#include "transports/sim/driver.h"
#if NETSTOR_HAVE_URING
#include "transports/uring/driver.h"
#endif

namespace netstor {

std::span<Driver* const> drivers() noexcept {
  static Driver* const all[] = {
#if NETSTOR_HAVE_URING
    &uring_driver(),
#endif
    &posix_driver(),
    &sim_driver(),
    &nvmeof_driver(),
#if NETSTOR_HAVE_URING
    &nvme_driver(),
#endif
  };
  return all;
}

std::vector<Capability> driver_details() {
#if NETSTOR_HAVE_URING
  return uring_capabilities();
#else
  return {{"driver.uring", false, "not in this build; configure with NETSTOR_URING=ON (needs liburing)"}};
#endif
}

}  // namespace netstor
