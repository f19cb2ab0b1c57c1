// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whether the bytes of an object are those that were put: by the checksum that the service keeps with it.

#include <netstor/bucket.h>

#include "lib/object/bucket_core.h"
#include "lib/object/pieces.h"
#include "lib/wire/s3/checksum.h"

#include <optional>

namespace netstor::object {

using detail::BucketCore;

/// The checksum of all bytes; nothing when the service told none, or one of the parts' checksums.
std::optional<s3::Checksum> kept_checksum(const ObjectInfo& info);

/// data_corrupt, naming object ("BUCKET/KEY") and checksum.
Error corrupt(const std::string& name, s3::ChecksumKind kind);
Error corrupt(const BucketCore& core, const std::string& key, s3::ChecksumKind kind);

/// All bytes of the object, in order, against what `info` says of them. Many are summed up by the helper
/// thread.
Task<void> verify(Call call, const std::string& key, const PieceList& bytes, const ObjectInfo& info);

}  // namespace netstor::object
