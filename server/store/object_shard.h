// SPDX-License-Identifier: Apache-2.0
#pragma once
// The inside of an ObjectShard: this shard's way to the data files.

#include "lib/base/assert.h"
#include "server/store/object_core.h"
#include "server/store/object_list.h"

#include <netstor/ext/device.h>
#include <netstor/task.h>

namespace netstor::store {

/// One at a time, in order, on one shard.
class Turn {
 public:
  Task<void> take();
  bool take_now() noexcept { return !std::exchange(taken_, true); }
  void give() noexcept;
  bool taken() const noexcept { return taken_; }

 private:
  bool taken_ = false;
  std::deque<Promise<void>> waiting_;
};

/// A segment as this shard has it open.
class SegmentFile {
 public:
  SegmentFile(PortContext& context, std::shared_ptr<Segment> segment);
  ~SegmentFile();
  SegmentFile(const SegmentFile&) = delete;
  SegmentFile& operator=(const SegmentFile&) = delete;

  Segment& segment() noexcept { return *segment_; }
  Task<void> open();
  /// The verb of `op`, on all of its length.
  Task<void> run(DeviceOp& op);
  /// All that was written is on stable storage. Those who wait share one flush.
  Task<void> flush();
  Task<void> close();

 private:
  struct Retry : detail::Timer {
    SegmentFile* file = nullptr;
  };
  void drain() noexcept;
  detail::Detached run_flushes();

  PortContext& context_;
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Device> device_;
  Turn opening_;
  unsigned in_flight_ = 0;
  std::deque<DeviceOp*> waiting_;
  std::vector<Promise<void>> to_flush_;
  bool flushing_ = false;
  Retry retry_;
};

/// A piece of a read or write that a device takes as one.
struct Transfer {
  std::uint32_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::vector<iovec> pieces;
};
inline constexpr std::uint64_t kTransferMax = 1 << 20;
inline constexpr std::size_t kTransferPiecesMax = 1024;

/// Cuts a scatter list along extents; what it is given is its state.
class Cutter {
 public:
  Cutter(const iovec* pieces, unsigned count) noexcept : pieces_(pieces), count_(count) {}
  /// The next `length` bytes, which belong at `offset`.
  void cut(std::uint32_t segment, std::uint64_t offset, std::uint64_t length, std::vector<Transfer>& into);
  /// Copies to or from the next bytes.
  void copy_in(const char* from, std::uint64_t length) noexcept;
  void append_to(std::string& text, std::uint64_t length);

 private:
  iovec take(std::uint64_t max) noexcept;
  const iovec* pieces_;
  unsigned count_;
  std::size_t used_ = 0;
};

struct ObjectShard::Inside {
  Inside(PortContext& its_context, std::shared_ptr<ObjectCore> its_core)
      : context(its_context), core(std::move(its_core)) {}
  ~Inside() { NETSTOR_ASSERT(busy == 0 && files.empty()); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  const BucketTable& buckets();
  Result<BucketRecord> bucket(std::string_view name);
  Task<SegmentFile*> file(std::uint32_t number);
  /// Space at the end of this shard's segment for objects of about this size.
  Task<Extent> reserve(std::uint64_t bytes, bool large);
  Task<void> transfer(DeviceVerb verb, std::vector<Transfer> transfers);
  Task<void> transfer_one(DeviceVerb verb, const Transfer* transfer);
  Task<void> close();
  void left() noexcept {
    if (--busy == 0 && closing && idle) std::exchange(idle, std::nullopt)->set(Result<void>());
  }

  PortContext& context;
  std::shared_ptr<ObjectCore> core;
  ObjectCore::SharedBuckets bucket_table;
  std::uint64_t bucket_changes = 0;
  std::unordered_map<std::uint32_t, std::unique_ptr<SegmentFile>> files;
  // Small objects do not wait for the flush of large ones: they have a segment of their own.
  std::array<std::shared_ptr<Segment>, 2> active;
  std::array<Turn, 2> reserving;
  unsigned busy = 0;
  bool closing = false;
  std::optional<Promise<void>> idle;
};

/// Keeps the shard's close waiting.
class Busy {
 public:
  explicit Busy(ObjectShard::Inside& shard) noexcept : shard_(shard) { ++shard_.busy; }
  ~Busy() { shard_.left(); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ObjectShard::Inside* operator->() const noexcept { return &shard_; }
  ObjectShard::Inside& operator*() const noexcept { return shard_; }

 private:
  ObjectShard::Inside& shard_;
};

inline Error shard_closed() { return {ErrorKind::cancelled, "the object store is being closed"}; }

}  // namespace netstor::store
