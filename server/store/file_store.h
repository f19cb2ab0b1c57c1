// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store that keeps bytes in a file, through the shard's own port for "file": each shard opens the file
// for itself. The file is as long as the volume and sparse: thin.
//
// Whatever the driver does with the page cache, a disk has a cache of its own; so this store always says that
// it has a volatile one, and flush means stable storage. A file that was removed under the server is noticed
// when a flush or a write through the cache would promise what a removed file cannot keep: from then on all
// operations of the volume answer device_error.

#include "server/store/stored_volume.h"

namespace netstor::store {

/// The file is there already, at least `size_bytes` long. Errors: not_found, permission_denied,
/// invalid_argument (it is shorter). open() of a shard adds: unsupported (the file system wants larger
/// blocks).
Result<std::unique_ptr<StoredVolume>> make_file_volume(VolumeIdentity identity, std::string path,
                                                       std::uint64_t size_bytes, std::uint32_t block_bytes);

}  // namespace netstor::store
