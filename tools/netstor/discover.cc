// SPDX-License-Identifier: Apache-2.0
// netstor discover: what a server offers.

#include <netstor/uri.h>

#include "tools/netstor/failure.h"
#include "tools/netstor/table.h"
#include "tools/netstor/text.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <charconv>
#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor discover nvme+tcp://localhost
  netstor discover nvme+tcp://10.0.0.1:4420 --json)";

struct Arguments {
  Common common;
  std::string uri;
};

void print_json(const std::vector<DiscoveredSubsystem>& found) {
  auto list = nlohmann::ordered_json::array();
  for (const DiscoveredSubsystem& each : found) {
    list.push_back({{"nqn", each.nqn},
                    {"transport", each.transport},
                    {"address", each.address},
                    {"service", each.service},
                    {"discovery", each.discovery},
                    {"tls_required", each.tls_required},
                    {"uri", each.uri}});
  }
  std::cout << nlohmann::ordered_json{{"subsystems", list}}.dump(2) << '\n';
}

/// What to say to netstor next.
std::string uri_of(const DiscoveredSubsystem& each) {
  if (!each.uri.empty()) return each.uri;
  const bool known = each.transport == "tcp" || each.transport == "rdma";
  if (!each.discovery || !known) return each.nqn + " (no driver for it in this build)";
  Uri uri{.scheme = "nvme+" + each.transport, .host = each.address, .port = 0, .path = {}, .query = {}};
  const std::string& service = each.service;
  std::from_chars(service.data(), service.data() + service.size(), uri.port);
  return uri.to_string();
}

void print_table(const std::vector<DiscoveredSubsystem>& found) {
  if (found.empty()) {
    std::cout << "nothing is offered to this host\n";
    return;
  }
  Table table("lll");
  table.add({"KIND", "WHERE", "URI"});
  for (const DiscoveredSubsystem& each : found) {
    table.add({each.discovery ? "discovery" : "volume",
               each.transport + " " + each.address + " " + each.service + (each.tls_required ? " tls" : ""),
               uri_of(each)});
  }
  table.print(std::cout);
}

Result<void> run(const Arguments& arguments) {
  if (!is_uri(arguments.uri)) {
    return usage_error(arguments.uri + " is no address",
                       "expected nvme+tcp://HOST[:PORT] or nvme+rdma://HOST[:PORT]");
  }
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(VolumeOptions options, volume_options(arguments.common));
  NETSTOR_TRY_RETURN(const std::vector<DiscoveredSubsystem> found,
                     discover(runtime, arguments.uri, std::move(options)).get());
  arguments.common.json ? print_json(found) : print_table(found);
  return ok();
}

}  // namespace

void add_discover(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("discover", "List what a server offers");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URI", arguments->uri, "The server: nvme+tcp://HOST[:PORT]")->required()->type_name("");
  add_connection(*verb, arguments->common);
  verb->callback([arguments, &command] { command.run = [arguments] { return run(*arguments); }; });
}

}  // namespace netstor::tool
