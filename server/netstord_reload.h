// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a SIGHUP brings: the command line, the configuration file and the files that they name, read again and
// checked whole before anything of it is in force.

#include <memory>
#include <string>
#include <vector>

#include "lib/proto/tls/context.h"
#include "server/control/manager.h"
#include "server/netstord_options.h"

namespace netstor::server {

struct Reread {
  ServerOptions options;  ///< only log_level and slow_ms of it come into force
  std::shared_ptr<const tls::Context> tls;
  std::string complaint;  ///< what is wrong with its certificate, which is served all the same
  control::FileKeys keys;
  std::vector<std::string> needs_restart;  ///< keys that were changed, and are not among those
};

/// `before`: how it was started. Errors: what is wrong, in the words of a start.
Result<Reread> reread(int argc, char** argv, const Result<std::string>& default_state,
                      const ParsedOptions& before);

}  // namespace netstor::server
