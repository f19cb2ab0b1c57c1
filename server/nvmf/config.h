// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a target is told: its limits, its subsystems, where it listens.

#include <netstor/ext/driver.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/proto/nvme/controller_view.h"
#include "lib/proto/nvme/dhchap.h"
#include "lib/proto/nvme/tls_psk.h"
#include "lib/proto/tls/context.h"
#include "server/net/expiry.h"
#include "server/net/warnings.h"

namespace netstor::nvmf {

struct TargetConfig {
  /// On each shard. Further ones are closed at once.
  unsigned connections_max = 4096;
  /// From accept to a Connect command that is welcome, and from there to the end of an authentication.
  Duration connect_timeout = std::chrono::seconds(10);
  /// Memory on each shard for data on its way between hosts and stores that cannot take it at once. Requests
  /// wait in order when it is out. At least twice ControllerLimits::transfer_bytes_max.
  std::size_t buffer_bytes = 64 << 20;
  /// Commands that take so long are told of (`warnings`), with where the time went. Duration::max(): none.
  Duration slow_limit = Duration::max();
  bool allow_header_digest = true;
  bool allow_data_digest = true;
  /// For listeners that speak TLS: a server's, of pre-shared keys.
  std::shared_ptr<const tls::Context> tls = nullptr;
  /// Who hears of faults; null: nobody. Outlives the target.
  net::Warnings* warnings = nullptr;
};

/// What a host proves itself by (DH-HMAC-CHAP), and the subsystem to that host.
struct HostSecrets {
  std::string host_nqn;
  nvme::AuthSecrets secrets;
  net::Expiry until = {};  ///< then the host fails as one that is not known
};

/// By which a host and a subsystem know each other below NVMe/TCP, and how either derives from it.
struct HostTlsKey {
  std::string host_nqn;
  nvme::TlsKey key;
  nvme::TlsDerivation derivation = nvme::TlsDerivation::standard;
  net::Expiry until = {};  ///< then it opens nothing; the host still has to come over TLS
};

struct SubsystemConfig {
  std::string nqn;
  std::string serial;
  std::string model = "netstor";
  std::string firmware = {};            ///< at most 8 characters; empty: the library's version
  std::vector<std::string> hosts = {};  ///< host NQNs that may connect; empty: all, unless only_listed
  bool only_listed = false;             ///< `hosts` alone, even when it is empty
  /// Each queue of these hosts has to authenticate. When there are any, other hosts fail to.
  std::vector<HostSecrets> secrets = {};
  bool only_authenticated = false;  ///< the same even when there are none
  /// These hosts connect over TLS alone, wherever it is spoken.
  std::vector<HostTlsKey> tls_keys = {};
  std::uint32_t nsid_max = 64;
  nvme::ControllerLimits limits = {};
};

/// Offered: TLS for those who begin with it; a host that has a key has to.
enum class TlsUse : std::uint8_t { none, offered, required };

struct ListenConfig {
  Address address;
  TlsUse tls = TlsUse::none;
  /// What discovery tells hosts to connect to; empty: `address`.
  std::string advertised_host = {};
  bool rdma = false;  ///< NVMe/RDMA, else NVMe/TCP
};

/// Where hosts can go. Made anew at each change, and then never changed: shards share it.
struct Directory {
  struct Path {
    std::string host;
    std::uint16_t port = 0;
    std::uint16_t port_id = 0;
    TlsUse tls = TlsUse::none;
    bool rdma = false;
  };
  std::uint64_t generation = 1;
  std::vector<std::shared_ptr<const SubsystemConfig>> subsystems;
  std::vector<Path> paths;
};

}  // namespace netstor::nvmf
