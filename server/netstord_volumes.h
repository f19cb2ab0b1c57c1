// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which volumes a server has: those of its state directory, and those that the command line asks for.

#include "server/control/manager.h"
#include "server/netstord_options.h"

#include <memory>
#include <string>
#include <vector>

namespace netstor::server {

using control::ServedVolume;

/// Checks every --volume against what is there before it makes any, so that a command line which is refused
/// has changed nothing. Errors: already_exists (there, but otherwise than asked for; says how), and those of
/// StateDirectory::create and open_volume.
Result<std::vector<ServedVolume>> prepare_volumes(store::StateDirectory& state, const ServerOptions& options);

/// Something to say about a volume that is served all the same.
std::vector<std::string> warnings_about(const std::vector<ServedVolume>& volumes);

}  // namespace netstor::server
