// SPDX-License-Identifier: Apache-2.0
#pragma once
// A volume on one shard: its device while there is one, and the fragments that wait for it.
//
// The path is `up` while the device takes work; `down` after it was lost, when fragments wait for the next
// one; `gone` when that has taken longer than path_loss_timeout, or the volume is closed: then fragments
// fail at once.

#include <netstor/ext/device.h>
#include <netstor/task.h>

#include "lib/block/volume_op.h"
#include "lib/engine/shard_loop.h"
#include "lib/engine/use_count.h"

namespace netstor::detail {

class VolumeCore;

class VolumeShard final : DeviceObserver, StopHook {
 public:
  VolumeShard(VolumeCore& core, ShardLoop& loop);
  ~VolumeShard() override;
  VolumeShard(const VolumeShard&) = delete;
  VolumeShard& operator=(const VolumeShard&) = delete;

  // What a request needs. On the shard's thread, as all that follows.
  void submit(Fragment& fragment) noexcept;
  void cancel(Fragment& fragment) noexcept;
  void completed(Fragment& fragment) noexcept;
  void count(DeviceVerb verb, std::uint64_t length, bool succeeded) noexcept;
  const DeviceLimits& limits() const noexcept { return limits_; }
  const std::string& uri() const noexcept;
  const std::string& scheme() const noexcept;

  // What the core's paths need.
  /// Opens a device, alone or as part of the session that `share` names; then work flows.
  Task<void> open(std::optional<Ticket> share);
  /// Ends the device if there is one; fragments wait on (the path is down).
  Task<void> drop();
  /// Fails what waits for the path, and what comes, until there is one again.
  Task<void> refuse(OpResult why);
  /// Ends the device, fails what waits, and stays gone.
  Task<void> close();
  /// Who frees it waits for none.
  UseCount& users() noexcept { return users_; }
  std::optional<Ticket> share() const { return device_ ? device_->share() : std::nullopt; }
  std::string describe() const { return device_ ? device_->describe() : std::string(); }
  bool up() const noexcept { return path_ == Path::up; }
  ShardLoop& loop() noexcept { return loop_; }

 private:
  enum class Path : std::uint8_t { down, up, gone };
  struct Pump : Runnable {
    VolumeShard* shard = nullptr;
    bool queued = false;
  };
  struct Patience : Timer {
    VolumeShard* shard = nullptr;
  };

  void device_lost(OpResult why) noexcept override;
  void device_changed() noexcept override;
  void device_has_room() noexcept override;
  void stop(Runnable& ended) noexcept override;
  Task<void> end_device();
  Task<void> close_for_stop();

  void wait(Fragment& fragment) noexcept;
  void link(Fragment& fragment, Fragment* before, Fragment* after) noexcept;
  void unlink(Fragment& fragment) noexcept;
  /// Moves waiting fragments on: to the device while it takes them, or back with why they failed.
  void pump() noexcept;
  void pump_later() noexcept;
  void hold_on() noexcept;
  void unused() noexcept;
  void give_up() noexcept;

  VolumeCore& core_;
  ShardLoop& loop_;
  std::unique_ptr<Device> device_;
  DeviceLimits limits_;
  Path path_ = Path::down;
  OpResult why_;           // the path is not up
  bool closed_ = false;    // close() was called
  bool told_ = false;      // the core
  UseCount users_;         // closers
  bool finished_ = false;  // and has ended
  bool ending_ = false;
  Fragment* waiting_head_ = nullptr;
  Fragment* waiting_tail_ = nullptr;
  Pump pump_;
  Patience patience_;
};

}  // namespace netstor::detail
