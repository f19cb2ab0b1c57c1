// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/host_identity.h"

#include <fstream>

#include "lib/base/bytes.h"
#include "lib/base/random.h"
#include "lib/wire/fabrics/nqn.h"

namespace netstor::nvmeof {

namespace {

// A UUID (version 8, RFC 9562: of one's own making) that depends on every byte of `text`.
std::array<std::byte, 16> scattered_uuid(std::string_view text) {
  std::uint64_t low = scatter_bits(text.size() + 1);
  std::uint64_t high = scatter_bits(low);
  for (const char c : text) {
    low = scatter_bits(low ^ static_cast<unsigned char>(c));
    high = scatter_bits(high + low);
  }
  std::array<std::byte, 16> id;
  store_be<std::uint64_t>(id.data(), high);
  store_be<std::uint64_t>(id.data() + 8, low);
  id[6] = (id[6] & std::byte{0x0F}) | std::byte{0x80};
  id[8] = (id[8] & std::byte{0x3F}) | std::byte{0x80};
  return id;
}

}  // namespace

Result<HostIdentity> host_identity(std::string nqn) {
  if (!nvme::bearable_nqn(nqn)) {
    return Error(ErrorKind::invalid_argument,
                 "VolumeOptions::host_nqn: 1 to 223 bytes of UTF-8 without control characters");
  }
  HostIdentity identity{.nqn = std::move(nqn), .id = {}};
  if (identity.nqn.starts_with(nvme::kUuidNqnPrefix)) {
    if (const auto uuid =
            nvme::parse_uuid(std::string_view(identity.nqn).substr(nvme::kUuidNqnPrefix.size()))) {
      identity.id = *uuid;
      return identity;
    }
  }
  identity.id = scattered_uuid(identity.nqn);
  return identity;
}

HostIdentity machine_identity(std::uint64_t random) {
  std::string seed;
  std::ifstream("/etc/machine-id") >> seed;
  if (seed.empty()) seed = std::to_string(random);
  const auto uuid = scattered_uuid("netstor host " + seed);
  return {.nqn = std::string(nvme::uuid_nqn(uuid).view()), .id = uuid};
}

}  // namespace netstor::nvmeof
