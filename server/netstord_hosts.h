// SPDX-License-Identifier: Apache-2.0
#pragma once
// Files of keys that hosts hold, a line each, `#` begins a comment. That of --host-keys: hosts that have to
// prove who they are (DH-HMAC-CHAP):
//
//   HOST-NQN SECRET [CONTROLLER-SECRET] [until=TIME]
//
// with secrets as `nvme gen-dhchap-key` prints them. The third proves the subsystem to that host. A host that
// the file does not name is refused. docs/formats/host-keys.md. And that of --tls-keys: hosts that connect
// over TLS:
//
//   HOST-NQN KEY [old-libnvme] [until=TIME]
//
// with keys as `nvme gen-tls-key` prints them. docs/formats/tls-keys.md.

#include <string>
#include <string_view>
#include <vector>

#include "server/control/manager.h"
#include "server/netstord_options.h"
#include "server/nvmf/config.h"

namespace netstor::server {

/// invalid_argument names `what` and the line, never a secret.
Result<std::vector<nvmf::HostSecrets>> parse_host_keys(std::string_view text, std::string_view what);
Result<std::vector<nvmf::HostTlsKey>> parse_tls_keys(std::string_view text, std::string_view what);

/// What the files of hosts' keys say; those of buckets are left as they are. Errors begin with the option:
/// permission_denied when others than its owner have rights to a file.
Result<control::FileKeys> read_keys(const ServerOptions& options);

}  // namespace netstor::server
