// SPDX-License-Identifier: Apache-2.0
#pragma once
// The file of --config: the long flags as keys, a line each.
//
//   # a comment is a line of its own
//   listen = 0.0.0.0
//   volume = data=100GiB
//   volume = ram=4GiB,store=memory      a key that may be repeated is repeated
//   json = true                         a flag
//   state = "/srv/with space "          quotes keep what would be trimmed; \" and \\ inside
//
// There are no sections, and nothing else. What the command line says wins, whole: its --volume replace all
// of the file's.

#include <string>

namespace CLI {
class App;
}

namespace netstor::server {

/// Adds --config and --print-config to an app that has all of its other options. Errors of a file are thrown
/// as CLI::ParseError; they name file and line, and for an unknown key the nearest one.
void add_config(CLI::App& app, bool& print);

/// Every key, with what it means, what it takes and its default; those that were given (by file or flag) with
/// their values, the others as comments. Reads back as the same options.
std::string config_text(const CLI::App& app);

}  // namespace netstor::server
