// SPDX-License-Identifier: Apache-2.0
// netstor admin: what a server serves, to whom, and how it is doing, changed while it runs. A group of verbs
// a kind of thing; each verb is one call of netstor.admin.v1.

#include "tools/netstor/admin_parts.h"

namespace netstor::tool {

namespace {

constexpr const char* kFooter = R"(Examples:
  netstor admin volume create data 100GiB
  netstor admin volume resize data 200GiB            hosts see it at once
  netstor admin host allow NQN HOST-NQN              from now on this one alone
  netstor admin key create backup --rights rwl:backups --file backup.key
  netstor admin connection list --json
By default the server of this machine's default state directory is asked, by its Unix socket. Secrets are read
from files and written to files, and never shown.)";

}  // namespace

void add_admin(CLI::App& app, Command& command) {
  CLI::App* const admin = app.add_subcommand("admin", "Manage a running netstord");
  admin->footer("");  // what is added below inherits it
  admin->require_subcommand(1);
  add_admin_volume(*admin, command);
  add_admin_subsystem(*admin, command);
  add_admin_listener(*admin, command);
  add_admin_host(*admin, command);
  add_admin_bucket(*admin, command);
  add_admin_key(*admin, command);
  add_admin_connection(*admin, command);
  add_admin_server(*admin, command);
  admin->footer(kFooter);
}

}  // namespace netstor::tool
