// SPDX-License-Identifier: Apache-2.0
// The only list of drivers. In order of preference: the first that serves a scheme and works here is taken.

#include "transports/drivers.h"

#include <netstor/ext/driver.h>

#include "transports/nvmeof/driver.h"
#include "transports/posix/driver.h"
#if NETSTOR_HAVE_RDMA
#include "transports/rdma/driver.h"
#endif
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
#if NETSTOR_HAVE_RDMA
    &nvme_rdma_driver(),
    &rdma_driver(),
#endif
#if NETSTOR_HAVE_URING
    &nvme_driver(),
#endif
  };
  return all;
}

std::vector<Capability> driver_details() {
  std::vector<Capability> all;
#if NETSTOR_HAVE_URING
  all = uring_capabilities();
#else
  all.push_back(
      {"driver.uring", false, "not in this build; configure with NETSTOR_URING=ON (needs liburing)"});
#endif
#if !NETSTOR_HAVE_RDMA
  all.push_back({"driver.rdma", false,
                 "not in this build; configure with NETSTOR_RDMA=ON (needs libibverbs and librdmacm)"});
#endif
  return all;
}

}  // namespace netstor
