// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a simulated volume lives: the disk itself, or a server on it. The simulation starts it, kills it in
// the middle of things, and starts it again.

#include "tests/sim/runtimes.h"
#include "transports/sim/world.h"

#include <memory>
#include <optional>
#include <string>

namespace netstor::sim {

/// A defect planted into the storage, to show that the checker finds one.
enum class Defect : std::uint8_t {
  none,
  acknowledge_before_store,  ///< some writes are answered before they happen
  ignore_flush,              ///< flush answers and does nothing
  misplace,                  ///< some writes go to the neighbouring block
  complete_twice,            ///< some writes are completed twice
  forget,                    ///< some writes are never answered
};
std::optional<Defect> defect_of(std::string_view name);

inline constexpr std::uint64_t kVolumeBlocks = 2048;  // of 512 bytes
inline constexpr const char* kServerHost = "server";
inline constexpr const char* kClientHost = "client";

class Target {
 public:
  virtual ~Target() = default;

  /// What to open.
  virtual std::string uri() const = 0;
  /// On which its bytes rest.
  virtual Disk& disk() = 0;
  /// Can it be killed at all?
  virtual bool mortal() const { return false; }
  virtual bool up() const { return true; }
  virtual Result<void> start() { return {}; }
  virtual void kill(World::Death) {}
  /// Ends it in order; `runtimes` is turned meanwhile.
  virtual void stop(Runtimes&) {}
  /// What was lent inside and never came back; empty when everything is home. Asked when all is quiet.
  virtual std::string missing() const { return {}; }
  /// A promise inside that was broken; empty when all were kept.
  virtual std::string broken() const { return {}; }
  /// Operations that the storage inside has completed.
  virtual std::uint64_t completed() const { return 0; }
};

/// The disk, opened by the client itself.
std::unique_ptr<Target> make_disk_target(World& world);
/// An NVMe/TCP target on `shards` shards, over a file on the disk.
std::unique_ptr<Target> make_nvme_target(World& world, Runtimes& runtimes, unsigned shards, Defect defect);

}  // namespace netstor::sim
