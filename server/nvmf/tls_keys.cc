// SPDX-License-Identifier: Apache-2.0

#include "server/nvmf/tls_keys.h"

#include <algorithm>

#include "lib/base/hash.h"
#include "lib/wire/fabrics/nqn.h"

namespace netstor::nvmf {

using nvme::AuthHash;

TlsKeys::TlsKeys(const std::shared_ptr<const Directory>& directory) : directory_(directory) {
  nobody_.key.transform = AuthHash::sha256;
  nobody_.key.size = auth_hash_bytes(AuthHash::sha256);
}

const HostTlsKey* tls_key_of(const Directory& directory, std::string_view subsystem_nqn,
                             std::string_view host_nqn) {
  const HostTlsKey* found = nullptr;
  for (const auto& subsystem : directory.subsystems) {
    if (subsystem_nqn != nvme::kDiscoveryNqn && subsystem_nqn != subsystem->nqn) continue;
    for (const HostTlsKey& each : subsystem->tls_keys) {
      if (each.host_nqn == host_nqn && found == nullptr) found = &each;
    }
  }
  return found;
}

bool TlsKeys::find(std::string_view identity, tls::PreSharedKey& key) {
  const auto named = nvme::parse_tls_identity(identity);
  // What is no identity of NVMe's at all costs as much as one of an unknown host.
  const nvme::TlsIdentity names =
      named ? *named : nvme::TlsIdentity{.host_nqn = "nobody", .subsystem_nqn = "nothing"};
  const HostTlsKey* const host =
      named ? tls_key_of(*directory_, names.subsystem_nqn, names.host_nqn) : nullptr;
  const HostTlsKey& from = host != nullptr ? *host : nobody_;
  auto psk = nvme::derive_tls_psk(from.key, names, from.derivation);
  key.hash = names.hash == AuthHash::sha384 ? tls::Hash::sha384 : tls::Hash::sha256;
  if (!psk || host == nullptr || net::passed(host->until)) return false;
  // The digest in it says whether the host means the same key.
  const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  if (!equal_in_constant_time(bytes(psk->identity), bytes(identity))) return false;
  key.key = std::move(psk->key);
  return true;
}

}  // namespace netstor::nvmf
