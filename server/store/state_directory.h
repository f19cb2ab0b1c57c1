// SPDX-License-Identifier: Apache-2.0
#pragma once
// The state directory: what a server remembers of its volumes between two runs. Its form on disk is written
// down in docs/formats/state-directory.md. Reading and checking it is all that happens before everything in
// it has been understood; then volumes may be added, changed and removed, each wholly or not at all.
//
// Blocks; one thread at a time.

#include "server/store/stored_volume.h"

#include <stop_token>
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
  bool own_subsystem = true;         ///< served as namespace 1 of a subsystem of its NQN
};

struct VolumeRecord {
  VolumeIdentity identity;
  StoreKind kind = StoreKind::file;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 512;
  std::string data_path;  ///< of a file volume
  bool own_subsystem = true;
};

/// Errors: invalid_argument, saying what is expected. The same checks hold for what is read from disk.
Result<void> check_volume_name(std::string_view name);
Result<void> check_nqn(std::string_view nqn);
Result<void> check_spec(const VolumeSpec& spec);

class StateDirectory {
 public:
  /// Makes the directory when it is not there, locks it, reads and checks it whole.
  /// Errors: already_exists (another server holds it), permission_denied (another user's), unsupported
  /// (written by a newer version), data_corrupt (damaged: says which file and what), system errors.
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

  // Changes of a volume that is there. Each survives a power cut, wholly, when it returns; an error leaves
  // the volume as it was. Errors: not_found, already_exists, no_space, system errors.
  /// Another name; identity and NQN stay.
  Result<VolumeRecord> rename(std::string_view name, const std::string& new_name);
  /// To a size that check_spec() takes; the data file of a file volume has been grown by then.
  Result<VolumeRecord> resize(std::string_view name, std::uint64_t size_bytes);
  Result<VolumeRecord> set_own_subsystem(std::string_view name, bool own_subsystem);
  /// It is gone, and its UUID among removed() until take_removed(uuid): whoever refers to it has to let go of
  /// it meanwhile, in this run or the next.
  Result<void> remove(std::string_view name);
  const std::vector<std::array<std::uint8_t, 16>>& removed() const noexcept { return removed_; }
  /// Takes one of removed(): nobody refers to it any more. What it still takes of the disk is in the folder
  /// that this answers, for discard(); what is not discarded is removed() again at the next open().
  std::string take_removed(const std::array<std::uint8_t, 16>& uuid);
  /// Gives a folder's space back. Any thread, at any time; may take long. Stopped, it leaves the rest.
  static Result<void> discard(const std::string& folder, const std::stop_token& stop = {});

  /// From now on no netstord that does not know of the control plane may read this directory: it would serve
  /// everybody what this one keeps from some.
  Result<void> require_control();
  bool requires_control() const noexcept { return version_ > 1; }

 private:
  explicit StateDirectory(std::string path) : path_(std::move(path)) {}
  Result<void> check_owner() const;
  Result<void> lock();
  Result<void> check_version();
  Result<void> read_volumes();
  Result<void> remove_unfinished();
  Result<void> read_removed(const std::string& folder);
  VolumeRecord* find_mutable(std::string_view name) noexcept;
  Result<VolumeRecord> rewrite(VolumeRecord changed);
  std::string folder_of(std::string_view name) const;

  std::string path_;
  int lock_fd_ = -1;
  std::vector<VolumeRecord> volumes_;
  std::vector<std::array<std::uint8_t, 16>> removed_;
  int version_ = 1;
};

/// The volume's bytes. Errors as for make_*_volume.
Result<std::unique_ptr<StoredVolume>> open_volume(const VolumeRecord& record);

}  // namespace netstor::store
