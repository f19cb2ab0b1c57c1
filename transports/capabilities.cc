// SPDX-License-Identifier: Apache-2.0
#include <netstor/capabilities.h>

#include <netstor/ext/driver.h>
#include <netstor/uri.h>

#include "transports/drivers.h"

#include <sys/resource.h>
#include <sys/utsname.h>

#include <string>

namespace netstor {
namespace {

/// What io_uring's registered memory and RDMA can reach without degrading.
constexpr rlim_t kLockedBytesWanted = 64 << 20;

Capability locked_memory() {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  if (limit.rlim_cur == RLIM_INFINITY) return {"memory.locked_limit", true, "unlimited"};
  const std::string figure = format_size(limit.rlim_cur);
  if (limit.rlim_cur >= kLockedBytesWanted) return {"memory.locked_limit", true, figure};
  return {"memory.locked_limit", false,
          figure +
              ": registrations beyond it degrade to ordinary memory; raise `ulimit -l`, or LimitMEMLOCK= "
              "of the service, to " +
              format_size(kLockedBytesWanted) + " or more"};
}

Capability crc32c() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2") != 0) return {"crc32c", true, "sse4.2"};
  return {"crc32c", false, "no instruction for it on this processor: digests use tables, and more time"};
#elif defined(__ARM_FEATURE_CRC32)
  return {"crc32c", true, "armv8 crc"};
#else
  return {"crc32c", false, "no instruction for it in this build: digests use tables, and more time"};
#endif
}

Capability kernel() {
  utsname names{};
  if (::uname(&names) != 0) return {"kernel", false, "unknown"};
  return {"kernel", true, std::string(names.sysname) + " " + names.release};
}

}  // namespace

std::vector<Capability> capabilities() {
  std::vector<Capability> all{kernel()};
  for (Driver* driver : drivers()) {
    const auto why_not = driver->probe();
    std::string schemes;
    for (const std::string_view scheme : driver->schemes())
      (schemes += schemes.empty() ? "" : ", ") += scheme;
    all.push_back({"driver." + std::string(driver->name()), !why_not, why_not.value_or(schemes)});
  }
  for (Capability& each : driver_details()) all.push_back(std::move(each));
  all.push_back(locked_memory());
  all.push_back(crc32c());
  return all;
}

}  // namespace netstor
