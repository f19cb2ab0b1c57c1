// SPDX-License-Identifier: Apache-2.0
#pragma once
// Links of VolumeOptions::tls_key (NVMe TCP Transport 1.1, section 3.6.1): the forms in which a key can be
// named to a target, and the handshake.

#include <netstor/ext/link.h>
#include <netstor/task.h>

#include <memory>

#include "lib/proto/tls/session.h"

namespace netstor::nvmeof {

class NvmeofPort;
struct Target;

/// The forms that targets in the field know, the specification's first. Later ones are tried when a target
/// refuses the earlier: it cannot tell why. Keys of Linux's `nvme` up to 2.15 are of the last form.
inline constexpr unsigned kTlsForms = 3;

/// The key by which `target` knows us, in that form. Errors: invalid_argument (the key's text), unsupported
/// (names too long for this form).
Result<tls::PreSharedKey> tls_key_of(const Target& target, unsigned form);

/// TLS over `link`, when the handshake is over; within VolumeOptions::connect_timeout. Errors:
/// permission_denied: one end does not know the other's key; those of the link.
Task<std::unique_ptr<Link>> shake_hands(NvmeofPort& port, const Target& target, std::unique_ptr<Link> link,
                                        std::shared_ptr<const tls::Context> context, tls::PreSharedKey key);

}  // namespace netstor::nvmeof
