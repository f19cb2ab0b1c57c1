// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store that keeps bytes in this process's memory: one mapping that all shards share, gone when the
// server ends. Sparse: what was never written takes no memory. A machine that runs out of memory while a page
// is first written ends the process (or another one), as it does for any memory; keep such volumes within
// what there is.

#include "server/store/stored_volume.h"

namespace netstor::store {

/// Errors: exhausted (no address space).
Result<std::unique_ptr<StoredVolume>> make_memory_volume(VolumeIdentity identity, std::uint64_t size_bytes,
                                                         std::uint32_t block_bytes);

}  // namespace netstor::store
