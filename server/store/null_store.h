// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store that keeps nothing: reads answer zeroes, writes vanish. It measures what everything around it
// costs.

#include "server/store/stored_volume.h"

namespace netstor::store {

/// Errors: exhausted (no address space).
Result<std::unique_ptr<StoredVolume>> make_null_volume(VolumeIdentity identity, std::uint64_t size_bytes,
                                                       std::uint32_t block_bytes);

}  // namespace netstor::store
