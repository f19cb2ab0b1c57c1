// SPDX-License-Identifier: Apache-2.0
#pragma once
// Asking a discovery service what it offers (NVMe Base 2.0, "Discovery Log Page").

#include <netstor/task.h>
#include <netstor/volume.h>

namespace netstor::nvmeof {

class NvmeofPort;

Task<std::vector<DiscoveredSubsystem>> discover(NvmeofPort& port, std::string uri, const void* options);

}  // namespace netstor::nvmeof
