// SPDX-License-Identifier: Apache-2.0
#pragma once
// volume.json and state.json: text to values and back. What is read is bounded and checked before it is
// believed.

#include "server/store/state_directory.h"

namespace netstor::store {

// Up to which this netstord reads.
inline constexpr int kStateVersion = 2;
inline constexpr int kVolumeVersion = 1;
inline constexpr std::size_t kMetadataBytesMax = 64 * 1024;

/// 1, or 2: the control plane has something to say about who may reach what.
std::string encode_state(int version);
Result<int> decode_state(std::string_view text);

/// `was`: the folder's name until now, while the volume gets another; empty: none.
std::string encode_volume(const VolumeRecord& record, std::string_view was = {});
/// `folder` is the folder's name, and the volume's; the record has no data_path yet. Errors: unsupported
/// (newer version), data_corrupt.
Result<VolumeRecord> decode_volume(std::string_view text, std::string_view folder);

/// 8-4-4-4-12, lower case.
std::string uuid_text(const std::array<std::uint8_t, 16>& uuid);
bool parse_uuid(std::string_view text, std::array<std::uint8_t, 16>& into);

/// From the system's randomness.
VolumeIdentity make_identity(std::string name, std::string nqn);
/// New UUID and NGUID: another medium by the same name.
void renew_ids(VolumeIdentity& identity);

}  // namespace netstor::store
