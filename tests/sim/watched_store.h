// SPDX-License-Identifier: Apache-2.0
#pragma once
// A volume that watches the one inside it keep the store's promises: each operation is completed exactly
// once, never inside submit(), and before the store is closed.

#include "server/store/stored_volume.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace netstor::sim {

struct StoreWatch {
  std::function<void(std::string)> report;  ///< of a promise that was broken
  std::uint64_t completed = 0;
};

/// `watch` outlives the volume.
std::unique_ptr<store::StoredVolume> make_watched_volume(std::unique_ptr<store::StoredVolume> inner,
                                                         StoreWatch& watch);

}  // namespace netstor::sim
