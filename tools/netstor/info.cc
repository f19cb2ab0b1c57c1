// SPDX-License-Identifier: Apache-2.0
// netstor info: what a volume is, or what this build and machine can do.

#include <netstor/capabilities.h>
#include <netstor/uri.h>
#include <netstor/version.h>

#include "tools/netstor/failure.h"
#include "tools/netstor/report.h"
#include "tools/netstor/table.h"
#include "tools/netstor/text.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor info nvme+tcp://localhost/nqn.2026-01.io.example:disk
  netstor info file:///tmp/disk.img --json
  netstor info --capabilities)";

struct Arguments {
  Common common;
  std::string uri;
  bool capabilities = false;
};

void print_capabilities(bool json) {
  const std::vector<Capability> found = capabilities();
  if (json) {
    auto list = nlohmann::ordered_json::array();
    for (const Capability& each : found) {
      list.push_back({{"name", each.name}, {"available", each.available}, {"reason", each.reason}});
    }
    std::cout << nlohmann::ordered_json{{"version", linked_version()}, {"capabilities", list}}.dump(2)
              << '\n';
    return;
  }
  std::cout << "netstor " << linked_version() << '\n';
  Table table("lll");
  for (const Capability& each : found) table.add({each.name, each.available ? "yes" : "no", each.reason});
  table.print(std::cout, "  ");
}

void print_json(const VolumeInfo& info, std::string_view driver) {
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();
  for (const auto& [key, value] : facts_of(info.description)) facts[key] = value;
  const nlohmann::ordered_json document{{"uri", info.uri},
                                        {"size_bytes", info.size_bytes},
                                        {"block_bytes", info.block_bytes},
                                        {"transfer_bytes_max", info.transfer_bytes_max},
                                        {"atomic_bytes", info.atomic_bytes},
                                        {"queues", info.queues},
                                        {"queue_depth", info.queue_depth},
                                        {"writable", info.writable},
                                        {"volatile_cache", info.volatile_cache},
                                        {"io_driver", driver},
                                        {"description", facts}};
  std::cout << document.dump(2) << '\n';
}

void print_table(const VolumeInfo& info, std::string_view driver) {
  Table table("ll");
  table.add({"volume", info.uri});
  table.add({"size", format_size(info.size_bytes) + " (" + format_count(info.size_bytes) + " bytes)"});
  table.add({"block", format_size(info.block_bytes)});
  table.add({"one request", "up to " + format_size(info.transfer_bytes_max) + "; larger ones are split"});
  table.add({"atomic write", "up to " + format_size(info.atomic_bytes)});
  table.add({"queues", std::to_string(info.queues) + " of depth " + std::to_string(info.queue_depth)});
  table.add({"writable", info.writable ? "yes" : "no"});
  table.add(
      {"write cache", info.volatile_cache ? "volatile: flush matters" : "none: a finished write is durable"});
  table.add({"carried by", std::string(driver)});
  for (const auto& [key, value] : facts_of(info.description)) table.add({key, value});
  table.print(std::cout);
}

Result<void> run(const Arguments& arguments) {
  if (arguments.capabilities) {
    print_capabilities(arguments.common.json);
    return ok();
  }
  if (arguments.uri.empty()) return usage_error("info of what?", "give a volume, or --capabilities");
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  Result<Volume> volume = open_volume(runtime, arguments.common, arguments.uri);
  // What may not be written may still be looked at.
  if (!volume && volume.error().kind() == ErrorKind::permission_denied) {
    volume = open_volume(runtime, arguments.common, arguments.uri, {.read_only = true});
  }
  if (!volume) return std::move(volume).error();
  const VolumeInfo info = volume->info();
  arguments.common.json ? print_json(info, runtime.io_driver()) : print_table(info, runtime.io_driver());
  return volume->close().get();
}

}  // namespace

void add_info(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("info", "Describe a volume, or this build and machine");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URI", arguments->uri, "The volume")->type_name("");
  verb->add_flag("--capabilities", arguments->capabilities,
                 "What this build and machine can do, and why not");
  add_connection(*verb, arguments->common);
  verb->callback([arguments, &command] { command.run = [arguments] { return run(*arguments); }; });
}

}  // namespace netstor::tool
