// SPDX-License-Identifier: Apache-2.0
#pragma once
// An open volume: its parts on the shards, and its path.
//
// One shard is the volume's home: it opens the session (for NVMe: the admin queue), the others join it by
// the ticket that the home's device gives. When any shard loses its device the whole session is taken down
// and brought up again by the home, with a growing, jittered pause between attempts; meanwhile requests wait
// on their shards. A volume over several paths will have several of these under one set of shards.

#include <netstor/uri.h>
#include <netstor/volume.h>

#include "lib/base/secrets.h"
#include "lib/block/volume_shard.h"
#include "lib/engine/engine.h"

#include <atomic>
#include <memory>

namespace netstor::detail {

class VolumeCore {
 public:
  /// On the home shard.
  static Task<Volume> open(Engine& engine, std::string uri, VolumeOptions options);
  /// The volume's handles' deleter: ends the volume without waiting. Any thread.
  static void release(VolumeCore* core) noexcept;

  /// On the home shard. Idempotent; a second caller waits for the first.
  Task<void> close();

  const std::string& uri() const noexcept { return uri_; }
  const Uri& parsed_uri() const noexcept { return parsed_; }
  const VolumeOptions& options() const noexcept { return options_; }
  const DeviceLimits& limits() const noexcept { return limits_; }
  std::uint64_t size_bytes() const noexcept { return size_bytes_.load(std::memory_order_relaxed); }
  const VolumeInfo& info() const noexcept { return info_; }
  Engine& engine() noexcept { return engine_; }
  ShardLoop& home() noexcept { return home_; }
  /// This thread's part of the volume; null on foreign threads and on shards without a queue.
  VolumeShard* here() noexcept;

  /// The home part's end of the runtime: no more attempts to recover.
  Task<void> stop_recovering();

  // From the parts, on their shards.
  void part_closed() noexcept { live_parts_.fetch_sub(1, std::memory_order_acq_rel); }
  void path_lost(VolumeShard& shard) noexcept;
  /// Of a new session: is it the volume that was opened? Its size may have changed.
  Result<void> recognise(const Device& device);
  void size_changed(std::uint64_t size_bytes) noexcept {
    size_bytes_.store(size_bytes, std::memory_order_relaxed);
  }

 private:
  struct Lost : Runnable {
    VolumeCore* core = nullptr;
    std::uint64_t generation = 0;
  };
  VolumeCore(Engine& engine, ShardLoop& home, std::string uri, Uri parsed, VolumeOptions options);
  ~VolumeCore() { wipe_secrets(options_); }

  /// Closes and frees it. On the home shard.
  static Task<void> end(VolumeCore* core);
  /// Opens the parts, one after another; at the first failure drops those that were opened.
  Task<void> bring_up();
  Task<void> take_down();
  Task<void> refuse_all();
  Task<void> recover();
  void begin_recovery();
  void describe(const DeviceLimits& limits);
  VolumeShard& home_part() noexcept { return *parts_[home_.index()]; }

  Engine& engine_;
  ShardLoop& home_;
  std::string uri_;
  Uri parsed_;
  VolumeOptions options_;
  std::vector<std::unique_ptr<VolumeShard>> parts_;  // by shard; null where there is no queue
  std::vector<Lost> lost_;                           // by shard
  VolumeInfo info_;
  DeviceLimits limits_;  // of the home's device when it was opened; the size is size_bytes_
  std::atomic<std::uint64_t> size_bytes_{0};
  std::atomic<unsigned> live_parts_{0};  // not closed; at 0 nothing refers to this any more

  // The home shard's.
  std::atomic<std::uint64_t> generation_{0};  // of the session; read by the parts
  Future<void> recovery_;
  bool recovering_ = false;
  bool known_ = false;     // identity_ and block_bytes_ are the volume's
  bool stranger_ = false;  // another volume answered by the name of this one
  std::string identity_;
  std::uint32_t block_bytes_ = 0;
  bool opening_ = true;          // open() is bringing it up
  bool lost_meanwhile_ = false;  // a part, while they were being brought up
  bool ending_ = false;          // the path is not looked for any more
  bool closing_ = false;         // close() was called
  bool closed_ = false;
};

}  // namespace netstor::detail
