// SPDX-License-Identifier: Apache-2.0
#pragma once
// A volume with a defect planted between the server and its store (target.h): what the checker has to find.

#include "server/store/stored_volume.h"
#include "tests/sim/target.h"

#include <memory>

namespace netstor::sim {

std::unique_ptr<store::StoredVolume> make_broken_volume(std::unique_ptr<store::StoredVolume> whole,
                                                        Defect defect);

}  // namespace netstor::sim
