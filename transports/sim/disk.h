// SPDX-License-Identifier: Apache-2.0
#pragma once
// A disk: what a read answers, and what is left when the power fails. It belongs to a host and outlives what
// runs there. Who asks, and when, is the device's (device.h).

#include "transports/sim/world.h"

#include <string>
#include <vector>

namespace netstor::sim {

class Disk {
 public:
  static constexpr std::uint32_t kBlockBytes = 512;

  Disk(World& world, std::uint64_t size_bytes);

  std::uint64_t size_bytes() const noexcept { return cached_.size(); }
  /// In whose power failure the cache is lost: the host that opened it last.
  const std::string& host() const noexcept { return host_; }
  void move_to(std::string_view host) { host_ = host; }

  /// What a read answers.
  const std::byte* block(std::uint64_t index) const noexcept { return &cached_[index * kBlockBytes]; }
  /// What would be left.
  const std::byte* stable_block(std::uint64_t index) const noexcept { return &medium_[index * kBlockBytes]; }

  /// Each block is written whole or not at all.
  void write(std::uint64_t index, const std::byte* bytes) noexcept;
  void make_stable(std::uint64_t first, std::uint64_t count) noexcept;
  void flush() noexcept { make_stable(0, dirty_.size()); }
  /// As caches do of their own accord: one random block, if it is dirty.
  void destage() noexcept;

  /// Each cached block, by itself, is lost (FaultPlan::lose_cached) or made it to the medium just in time.
  void lose_power() noexcept;

 private:
  World& world_;
  std::string host_;
  std::vector<std::byte> cached_;
  std::vector<std::byte> medium_;
  std::vector<bool> dirty_;
};

}  // namespace netstor::sim
