// SPDX-License-Identifier: Apache-2.0
#pragma once
// Asking a service for credentials: the Security Token Service, a container's, an instance's metadata.

#include "lib/engine/shard_loop.h"
#include "lib/object/credentials.h"

namespace netstor::object {

/// On a shard; the caller keeps `source`. No longer than a few tries of a few seconds. Errors:
/// permission_denied, disconnected, timed_out, protocol; none has a secret in it, or text of the answer but a
/// code.
[[nodiscard]] Task<Credentials> ask_source(detail::ShardLoop& loop, const CredentialSource& source);

}  // namespace netstor::object
