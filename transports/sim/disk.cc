// SPDX-License-Identifier: Apache-2.0
#include "transports/sim/disk.h"

#include <cstring>

namespace netstor::sim {

Disk::Disk(World& world, std::uint64_t size_bytes)
    : world_(world),
      cached_((size_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes),
      medium_(cached_.size()),
      dirty_(cached_.size() / kBlockBytes) {}

void Disk::write(std::uint64_t index, const std::byte* bytes) noexcept {
  std::memcpy(&cached_[index * kBlockBytes], bytes, kBlockBytes);
  dirty_[index] = true;
}

void Disk::make_stable(std::uint64_t first, std::uint64_t count) noexcept {
  for (std::uint64_t index = first; index < first + count; ++index) {
    if (!dirty_[index]) continue;
    std::memcpy(&medium_[index * kBlockBytes], &cached_[index * kBlockBytes], kBlockBytes);
    dirty_[index] = false;
  }
}

void Disk::destage() noexcept { make_stable(world_.random().below(dirty_.size()), 1); }

void Disk::lose_power() noexcept {
  std::uint64_t lost = 0;
  for (std::uint64_t index = 0; index < dirty_.size(); ++index) {
    if (!dirty_[index]) continue;
    if (world_.random().chance(world_.faults().lose_cached)) {
      std::memcpy(&cached_[index * kBlockBytes], &medium_[index * kBlockBytes], kBlockBytes);
      dirty_[index] = false;
      ++lost;
    } else {
      make_stable(index, 1);
    }
  }
  world_.trace("cache-lost", lost);
  world_.met(Fault::lost_block, lost);
}

}  // namespace netstor::sim
