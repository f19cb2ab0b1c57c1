// SPDX-License-Identifier: Apache-2.0
#pragma once
// The inside of file_store: what all shards share of a volume (FileShared), and one shard's way to the device
// (FileStore).

#include "server/store/file_store.h"
#include "server/store/range_lock.h"

#include <atomic>
#include <memory>
#include <string>

namespace netstor::store {

struct FileShared {
  std::string path;
  int fd = -1;         ///< for what is asked about the file as a whole; bytes go through each shard's own
  StoreLimits limits;  ///< but for the size
  std::atomic<std::uint64_t> size_bytes;  ///< of stores that are opened from now on
  RangeLock ranges;
  std::atomic<bool> lost{false};

  ~FileShared();
  /// Looks whether the file still has a name; remembers when it has not.
  bool still_there() noexcept;
  static OpResult gone() noexcept;
};

class FileStore final : public BlockStore, DeviceObserver {
 public:
  FileStore(detail::Loop& loop, FileShared& shared, std::unique_ptr<Device> device,
            const StoreLimits& limits);
  ~FileStore() override;

  const StoreLimits& limits() const noexcept override { return limits_; }
  Submit submit(StoreOp& op) override;
  void close(Op& closed) override;

 private:
  struct Step : detail::Runnable {
    FileStore* store = nullptr;
  };
  struct CloseOp : Op {
    FileStore* store = nullptr;
  };
  struct Retry : detail::Timer {
    FileStore* store = nullptr;
  };

  void device_lost(OpResult why) noexcept override;
  void device_changed() noexcept override {}

  void begin(StoreOp& op) noexcept;
  /// Hands `op` to the device, now or as soon as it takes it.
  void send(StoreOp& op) noexcept;
  void received() noexcept;
  void drain() noexcept;
  /// Completes an operation, in a later step of this turn.
  void finish_later(StoreOp& op, const OpResult& result) noexcept;
  void finish(StoreOp& op) noexcept;
  OpResult checked(const StoreOp& op) noexcept;
  void end_if_done() noexcept;
  static void on_device(Op& op) noexcept;

  detail::Loop& loop_;
  FileShared& shared_;
  std::unique_ptr<Device> device_;
  StoreLimits limits_;
  unsigned in_flight_ = 0;         ///< accepted from the caller
  unsigned device_in_flight_ = 0;  ///< accepted by the device
  Op* waiting_ = nullptr;          ///< StoreOps for which the device was full; chained by Op::next
  Op** waiting_end_ = &waiting_;
  Retry retry_;
  bool closing_ = false;
  bool device_closed_ = false;
  bool ending_ = false;
  Op* closed_ = nullptr;
  CloseOp device_close_;
  Step drain_;
  Step end_;
};

}  // namespace netstor::store
