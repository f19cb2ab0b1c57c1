// SPDX-License-Identifier: Apache-2.0
// netstor admin where this build lacks gRPC.

#include "tools/netstor/failure.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>

namespace netstor::tool {

void add_admin(CLI::App& app, Command& command) {
  CLI::App* const admin = app.add_subcommand("admin", "Manage a running netstord (not in this build)");
  admin->footer("Examples:\n  netstor admin volume list      (--json) says why it is not there");
  admin->allow_extras();
  admin->callback([&command] {
    command.run = []() -> Result<void> {
      return with_hint(Error(ErrorKind::unsupported, "this tool was built without the admin verbs"),
                       NETSTOR_WHY_NOT_ADMIN);
    };
  });
}

}  // namespace netstor::tool
