// SPDX-License-Identifier: Apache-2.0
#pragma once
// Volumes: block storage, remote or local, through one set of calls.
//
//   Volume volume = *Volume::open(runtime, "nvme+tcp://10.0.0.1/nqn.2026-01.io.example:disk?ns=1").get();
//   Buffer block = *Buffer::allocate(4096);
//   volume.read(0, block.bytes()).get();                        // any thread
//   Result<void> done = co_await volume.write(0, block.bytes());    // on a shard
//
// Offsets and lengths are bytes and multiples of block_bytes(). Any length: the library splits at the
// device's limits. Requests are not ordered among each other: await a write before reading it back.
//
// Memory: payload bytes are borrowed from the call until the future is ready. Writes, and reads of 16 KiB and
// more, are not copied in user space; smaller reads are, once (Metrics::copied_bytes). If you drop the
// future, they stay borrowed until the volume is closed; to have them back early, cancel() and await.
//
// Thread rule: a Volume is a handle; copies name the same volume. It lives on its Runtime: after that ended,
// a handle may only be destroyed or assigned to. On a shard, calls use that shard's own queue and answer
// there. From a foreign thread, calls go to a shard of the runtime and are for get().
// Error rule: invalid_argument (alignment; empty or too many pieces), out_of_range (beyond the end),
// disconnected (the path was lost: for longer than path_loss_timeout, or under a write that may not be
// replayed), not_found (another volume answers by this name now), timed_out, no_space, data_corrupt,
// permission_denied, unsupported, cancelled, device_error (native() is the NVMe status). A write that
// fails says in Error::effect() whether it may have happened. A request of length 0 succeeds at once.
// Cancel: the future becomes ready soon; a write that was under way is then Effect::unknown.

#include <netstor/shard.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace netstor {

namespace detail {
class VolumeCore;  // lib/block
}

struct VolumeInfo {
  std::string uri;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 0;
  std::uint32_t transfer_bytes_max = 0;  ///< one request to the device; larger ones are split
  std::uint32_t atomic_bytes = 0;        ///< writes up to this are all or nothing; compare_and_write's limit
  std::uint32_t queues = 0;              ///< shards that have a queue
  std::uint32_t queue_depth = 0;         ///< of each
  bool writable = false;
  bool volatile_cache = false;  ///< flush() matters
  std::string description;      ///< "key: value" lines: model, serial, firmware, digests, driver
};

class Volume {
 public:
  /// No volume; valid() is false and every call but assignment is a defect.
  Volume() noexcept = default;

  /// Opens `uri` (uri.h) with a queue on each shard (VolumeOptions::queues). Any thread.
  /// Errors also: not_found (no such subsystem, namespace or file), timed_out, protocol.
  static Future<Volume> open(Runtime& runtime, std::string_view uri, VolumeOptions options = {});

  bool valid() const noexcept { return core_ != nullptr; }
  const std::string& uri() const noexcept;
  std::uint64_t size_bytes() const noexcept;  ///< as of now: a volume may grow while it is open
  std::uint32_t block_bytes() const noexcept;
  VolumeInfo info() const;

  /// Fills `into` from `offset`.
  Future<void> read(std::uint64_t offset, MutableBytes into, IoOptions options = {}) const;
  Future<void> read(std::uint64_t offset, ScatterList into, IoOptions options = {}) const;

  /// Stores `from` at `offset`. Ready: the volume has it; on stable storage after flush(), or at once with
  /// IoOptions::force_unit_access.
  Future<void> write(std::uint64_t offset, Bytes from, IoOptions options = {}) const;
  Future<void> write(std::uint64_t offset, ConstScatterList from, IoOptions options = {}) const;

  /// Every write that was answered before this call is on stable storage.
  Future<void> flush() const;

  /// Zeroes, without sending them. Where the device cannot: unsupported.
  Future<void> write_zeroes(std::uint64_t offset, std::uint64_t length, IoOptions options = {}) const;
  /// The bytes are no longer needed: a hint. What they read as afterwards is the device's choice.
  Future<void> deallocate(std::uint64_t offset, std::uint64_t length) const;

  /// Ready without error when the stored bytes equal `expected`; otherwise compare_failed.
  Future<void> compare(std::uint64_t offset, Bytes expected) const;
  /// Stores `from` if the stored bytes equal `expected` (same length), as one step; otherwise
  /// compare_failed and nothing changed. At most VolumeInfo::atomic_bytes.
  Future<void> compare_and_write(std::uint64_t offset, Bytes expected, Bytes from) const;
  /// The device reads the range and checks it; nothing is moved.
  Future<void> verify(std::uint64_t offset, std::uint64_t length) const;

  /// Ends all queues; requests in flight are answered `cancelled`. Ready when every byte is given back.
  /// The last handle closes by itself, without waiting.
  Future<void> close() const;

 private:
  friend class detail::VolumeCore;
  explicit Volume(std::shared_ptr<detail::VolumeCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<detail::VolumeCore> core_;
};

/// One entry of a discovery log (NVMe over Fabrics; NVMe Base 2.0 §5.16.1.23).
struct DiscoveredSubsystem {
  std::string transport;  ///< "tcp", "rdma", …
  std::string address;
  std::string service;  ///< port
  std::string nqn;
  bool discovery = false;     ///< a referral to another discovery service
  bool tls_required = false;  ///< VolumeOptions::tls_key is asked for
  std::string uri;            ///< to open its namespace 1; empty where this build has no driver for it
};

/// Asks the discovery service at `uri` (nvme+tcp://host[:port]) what it offers. Any thread.
Future<std::vector<DiscoveredSubsystem>> discover(Runtime& runtime, std::string_view uri,
                                                  VolumeOptions options = {});

}  // namespace netstor
