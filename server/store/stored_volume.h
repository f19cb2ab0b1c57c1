// SPDX-License-Identifier: Apache-2.0
#pragma once
// A stored volume: who it is, and how each shard gets its BlockStore. One a volume and process; made by
// null_store.h, memory_store.h and file_store.h.
//
// Thread rule: open() on the shard that will own the store; identity() from any thread.

#include "server/store/block_store.h"
#include <netstor/future.h>

#include <array>
#include <memory>
#include <string>

namespace netstor::store {

/// Who a volume is to its hosts. The same after every restart: hosts recognise it by these.
struct VolumeIdentity {
  std::string name;                      ///< 1 … 64 of [a-z0-9._-]
  std::string nqn;                       ///< of the one subsystem whose namespace 1 the volume is
  std::array<std::uint8_t, 16> uuid{};   ///< RFC 4122, most significant byte first
  std::array<std::uint8_t, 16> nguid{};  ///< NVMe NGUID; never all zeroes
  std::string serial;                    ///< 1 … 20 printable ASCII characters, no spaces
};

/// "nqn.2026-01.io.netstor:NAME", the NQN that a volume gets when nothing else is asked for. Short enough to
/// type, but not unique in the world: where one host uses two servers, give equal names NQNs of their own.
std::string default_nqn(std::string_view volume_name);

class StoredVolume {
 public:
  explicit StoredVolume(VolumeIdentity identity) : identity_(std::move(identity)) {}
  StoredVolume(const StoredVolume&) = delete;
  StoredVolume& operator=(const StoredVolume&) = delete;
  virtual ~StoredVolume() = default;  ///< after the last store's close

  const VolumeIdentity& identity() const noexcept { return identity_; }
  /// "file", "memory", "null".
  virtual std::string_view kind() const noexcept = 0;

  /// This shard's store. `context` is the shard's and outlives the store; so does this volume.
  virtual Future<std::unique_ptr<BlockStore>> open(PortContext& context) = 0;

  /// Stores that are opened from now on have this size; larger: more room, all zeroes. What shrinks keeps its
  /// bytes. Blocks; one call at a time, any thread. Errors: unsupported, no_space, system errors.
  virtual Result<void> set_size(std::uint64_t size_bytes) {
    static_cast<void>(size_bytes);
    return Error(ErrorKind::unsupported,
                 "a " + std::string(kind()) + " volume keeps the size it was made with");
  }
  /// Its file lies there now. No open() or sync() is under way.
  virtual void moved(const std::string& path) { static_cast<void>(path); }

  /// Everything that was answered is on stable storage, where this volume has any. Blocks: for the end of the
  /// server, when no store is open any more.
  virtual Result<void> sync() { return {}; }

 private:
  VolumeIdentity identity_;
};

}  // namespace netstor::store
