// SPDX-License-Identifier: Apache-2.0
#pragma once
// volume.json and state.json: text to values and back. What is read is bounded and checked before it is
// believed.

#include "server/store/state_directory.h"

namespace netstor::store {

inline constexpr int kStateVersion = 1;
inline constexpr std::size_t kMetadataBytesMax = 64 * 1024;

std::string encode_state();
Result<void> decode_state(std::string_view text);

std::string encode_volume(const VolumeRecord& record);
/// `name` is the folder's; the record has no data_path yet. Errors: unsupported (newer version),
/// data_corrupt.
Result<VolumeRecord> decode_volume(std::string_view text, std::string_view name);

/// From the system's randomness.
VolumeIdentity make_identity(std::string name, std::string nqn);
/// New UUID and NGUID: another medium by the same name.
void renew_ids(VolumeIdentity& identity);

}  // namespace netstor::store
