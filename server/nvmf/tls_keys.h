// SPDX-License-Identifier: Apache-2.0
#pragma once
// The keys of NVMe/TCP over TLS on one shard: finds what a host names in its ClientHello among those of the
// subsystems, as they are at that moment.

#include <memory>

#include "lib/proto/tls/pre_shared_key.h"
#include "server/nvmf/config.h"

namespace netstor::nvmf {

class TlsKeys final : public tls::KeyFinder {
 public:
  /// `directory` is the shard's own pointer to the newest one.
  explicit TlsKeys(const std::shared_ptr<const Directory>& directory);

  /// Takes the same time whether or not it knows the host, or its key is the one named.
  bool find(std::string_view identity, tls::PreSharedKey& key) override;

 private:
  const std::shared_ptr<const Directory>& directory_;
  HostTlsKey nobody_;  // what is derived from when there is nobody to know
};

/// The key of this host to this subsystem; null: there is none. Of a discovery subsystem: its key to any
/// other.
[[nodiscard]] const HostTlsKey* tls_key_of(const Directory& directory, std::string_view subsystem_nqn,
                                           std::string_view host_nqn);

}  // namespace netstor::nvmf
