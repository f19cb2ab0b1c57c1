// SPDX-License-Identifier: Apache-2.0
#pragma once
// Block stores: what the NVMe target needs of a volume's data, and nothing else. There is one BlockStore for
// each (volume, shard); stored_volume.h opens them. How to talk about blocks, queues or NVMe statuses is not
// known here: offsets and lengths are bytes, errors are OpResults.
//
// Thread rule: a BlockStore belongs to its shard. The bytes belong to the volume and are shared by all its
// stores; what is atomic between them:
//
//                          another write                    a read by submit()   a read by view()
//   null                   nothing is kept                  zeroes               zeroes
//   memory  one call       whole: one after the other       whole                may be torn
//           compare_and_write  whole: nothing between compare and write          may be torn
//   file    atomic_bytes   as the file system and medium do; promised: one block
//           compare_and_write  no write of any shard to these bytes between compare and write
//
// "Torn": old bytes and new ones, mixed, while somebody writes what somebody else reads at that moment. A
// sender that computes a digest over a view may so compute it over bytes that change before they are sent:
// with data digests, read by submit().

#include <netstor/ext/device.h>

#include <cstdint>

namespace netstor::store {

/// What a store can do; sizes in bytes. Constant while the store is open.
struct StoreLimits {
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 512;                ///< offsets and lengths are multiples of it
  std::uint32_t transfer_bytes_max = 1 << 20;     ///< of one read, write or compare
  std::uint32_t zero_bytes_max = 1 << 20;         ///< of one write_zeroes, deallocate or verify
  std::uint32_t atomic_bytes = 512;               ///< writes up to this are all or nothing
  std::uint32_t compare_and_write_bytes_max = 0;  ///< 0 without compare_and_write
  std::uint32_t memory_alignment = 1;             ///< of each piece's begin and length; 1: any
  std::uint32_t depth = 128;                      ///< operations in flight; the next one is answered `full`
  bool immediate = false;       ///< view() and store_now() serve: no need for a buffer, or to wait
  bool volatile_cache = false;  ///< flush has something to do
  bool can_write_zeroes = false;
  bool can_deallocate = false;
  bool deallocated_reads_zeroes = false;
  bool can_compare = false;
  bool can_compare_and_write = false;
  bool can_verify = false;
  bool thin = false;  ///< space is taken when it is written first, and may run out
  bool needs_aligned_memory() const noexcept { return memory_alignment > 1; }
};

class BlockStore;
struct StoreOp;

/// What a store keeps with an operation while it is accepted, so that nothing is allocated for it.
struct StoreSide {
  struct Later : detail::Runnable {
    StoreOp* op = nullptr;
  };
  Later later;                   ///< the way back to the op's shard and turn
  detail::Loop* loop = nullptr;  ///< of that shard
  BlockStore* store = nullptr;
  void (*complete)(Op&) noexcept = nullptr;  ///< the caller's, while the store's own stands in its place
  StoreOp* previous = nullptr;               ///< lists of the volume's range lock
  StoreOp* following = nullptr;
  bool locked = false;
  bool alone = false;
  const iovec* payload = nullptr;  ///< while compare_and_write compares
  unsigned payload_count = 0;
};

/// One operation: the fields of a DeviceOp, and a store's room. The caller fills in verb, force_unit_access,
/// offset, length, pieces (and `expected` for compare_and_write) and complete; it may be used again and
/// again. Pieces and their bytes are borrowed until complete.
struct StoreOp : DeviceOp {
  StoreSide side;
};

class BlockStore {
 public:
  BlockStore() = default;
  BlockStore(const BlockStore&) = delete;
  BlockStore& operator=(const BlockStore&) = delete;
  virtual ~BlockStore() = default;  ///< closed stores only

  virtual const StoreLimits& limits() const noexcept = 0;

  /// Where the bytes [offset, offset + length) lie, to be sent from: at most `count` pieces, which becomes
  /// how many. False where the store has no such place, the range is not in the volume, or `count` is too
  /// small: then submit a read. The memory stays mapped, though not unchanged, until the store is closed.
  virtual bool view(std::uint64_t offset, std::uint64_t length, iovec* pieces, unsigned& count) noexcept;

  /// Takes the bytes at once; they are durable as far as this store's writes ever are
  /// (limits().volatile_cache is false wherever this serves). False where it cannot: then submit a write,
  /// which also says why.
  virtual bool store_now(std::uint64_t offset, const iovec* pieces, unsigned count) noexcept;

  /// Accepted: completed exactly once, from the shard's loop, never inside submit(), with op.result. What is
  /// wrong with the operation itself (invalid_argument, out_of_range, unsupported) is answered in the same
  /// way. `full`: not taken; try again after another one has completed.
  ///
  /// Errors: no_space; compare_failed (nothing was written); device_error with the system's errno where the
  /// medium fails or the volume's file is gone, and from then on for every operation.
  virtual Submit submit(StoreOp& op) = 0;

  /// Ends the store: everything in flight completes, then `closed`, never inside this call. Called once;
  /// nothing is submitted afterwards. A flush is not implied.
  virtual void close(Op& closed) = 0;
};

}  // namespace netstor::store
