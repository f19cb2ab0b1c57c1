// SPDX-License-Identifier: Apache-2.0
#pragma once
// The state directory: what a server remembers of its volumes between two runs. Its form on disk is written
// down in docs/formats/state-directory.md. Reading and checking it is all that happens before everything in
// it has been understood; then volumes may be added. Nothing that exists is ever rewritten.
//
// Blocks; used at start, by one thread.

#include "server/store/stored_volume.h"

#include <string>
#include <string_view>
#include <vector>

namespace netstor::store {

enum class StoreKind : std::uint8_t { file, memory, null };
std::string_view to_string(StoreKind kind) noexcept;
std::optional<StoreKind> store_kind(std::string_view name) noexcept;

/// What makes a volume.
struct VolumeSpec {
  std::string name;
  std::string nqn;  ///< empty: default_nqn(name)
  StoreKind kind = StoreKind::file;
  std::uint64_t size_bytes = 0;      ///< 1 MiB … 8 EiB - 1 B; a multiple of block_bytes
  std::uint32_t block_bytes = 4096;  ///< 512 or 4096
};

struct VolumeRecord {
  VolumeIdentity identity;
  StoreKind kind = StoreKind::file;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 512;
  std::string data_path;  ///< of a file volume
};

/// Errors: invalid_argument, saying what is expected. The same checks hold for what is read from disk.
Result<void> check_volume_name(std::string_view name);
Result<void> check_nqn(std::string_view nqn);
Result<void> check_spec(const VolumeSpec& spec);

class StateDirectory {
 public:
  /// Makes the directory when it is not there, locks it, reads and checks it whole.
  /// Errors: already_exists (another server holds it), unsupported (written by a newer version),
  /// data_corrupt (damaged: says which file and what), system errors.
  static Result<StateDirectory> open(std::string path);

  StateDirectory(StateDirectory&& other) noexcept;
  StateDirectory& operator=(StateDirectory&& other) noexcept;
  ~StateDirectory();  ///< unlocks

  const std::string& path() const noexcept { return path_; }
  /// By name.
  const std::vector<VolumeRecord>& volumes() const noexcept { return volumes_; }
  const VolumeRecord* find(std::string_view name) const noexcept;

  /// Adds a volume with a new identity. When this returns it survives a power cut, wholly; an error leaves
  /// nothing behind. Errors: already_exists, no_space, invalid_argument, system errors.
  Result<VolumeRecord> create(const VolumeSpec& spec);

 private:
  explicit StateDirectory(std::string path) : path_(std::move(path)) {}
  Result<void> lock();
  Result<void> check_version();
  Result<void> read_volumes();
  Result<void> remove_unfinished();

  std::string path_;
  int lock_fd_ = -1;
  std::vector<VolumeRecord> volumes_;
};

/// The volume's bytes. Errors as for make_*_volume.
Result<std::unique_ptr<StoredVolume>> open_volume(const VolumeRecord& record);

}  // namespace netstor::store
