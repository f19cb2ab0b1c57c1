// SPDX-License-Identifier: Apache-2.0
// netstor stat: is a volume alive, how quickly does it answer, and what did the library do for it? Or what is
// known of an object (stat_bucket.cc).

#include <netstor/uri.h>

#include "tools/netstor/bucket_verbs.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/report.h"
#include "tools/netstor/text.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor stat nvme+tcp://localhost/nqn.2026-01.io.example:disk
  netstor stat file:///tmp/disk.img --seconds 5 --json
  netstor stat s3://photos/lake.jpg
  netstor stat s3://photos
Of volumes it reads blocks here and there, one at a time, and writes nothing. The counters are this command's
own. Of an object it shows what the service knows. Both say by which path requests go: transport, peer, and of
buckets whether the endpoint offers RDMA and whether it is used.)";

constexpr std::string_view kPathFacts[] = {"driver", "peer", "card"};

/// What of a description says by which way requests go.
Facts path_of(const Volume& volume, std::string_view io_driver) {
  Facts path;
  for (auto& [key, value] : facts_of(volume.info().description)) {
    if (std::ranges::find(kPathFacts, key) != std::ranges::end(kPathFacts))
      path.emplace_back(key, std::move(value));
  }
  path.emplace_back("io_driver", io_driver);
  return path;
}

struct Arguments {
  Common common;
  Service service;
  std::string version_id;
  std::string uri;
  double seconds = 1;
};

Result<void> run(const Arguments& arguments) {
  if (is_bucket(arguments.uri)) {
    return explained(stat_bucket(arguments.common, arguments.service, arguments.uri, arguments.version_id));
  }
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  const auto begin = std::chrono::steady_clock::now();
  NETSTOR_TRY_RETURN(const Volume volume,
                     open_volume(runtime, arguments.common, arguments.uri, {.read_only = true}));
  const std::chrono::duration<double, std::nano> opening = std::chrono::steady_clock::now() - begin;

  const Facts path = path_of(volume, runtime.io_driver());
  LoadPlan plan;
  plan.block_bytes = std::max<std::size_t>(
      volume.block_bytes(), volume.size_bytes() >= 4096 && 4096 % volume.block_bytes() == 0 ? 4096 : 0);
  plan.seconds = arguments.seconds;
  NETSTOR_TRY_RETURN(const LoadResult result, run_load(runtime, volume, plan));
  if (arguments.common.json) {
    nlohmann::ordered_json way;
    for (const auto& [key, value] : path) way[key] = value;
    const nlohmann::ordered_json document{{"uri", arguments.uri},
                                          {"path", way},
                                          {"size_bytes", volume.size_bytes()},
                                          {"open_ns", opening.count()},
                                          {"seconds", result.seconds},
                                          {"sample_bytes", plan.block_bytes},
                                          {"latency", json_of(result.latency)},
                                          {"metrics", json_of(result.metrics)}};
    std::cout << document.dump(2) << '\n';
  } else {
    std::cout << strong(terminal(), arguments.uri) << ": " << format_size(volume.size_bytes())
              << ", opened in " << format_time(opening.count()) << '\n';
    // "nvmeof over rdma, peer 10.0.2.15:4420, card rxe0, RoCE, carried by uring"
    for (const auto& [key, value] : path) {
      if (key == "io_driver") {
        std::cout << "carried by " << value << "\n\n";
      } else {
        std::cout << (key == "driver" ? "" : key + " ") << value << ", ";
      }
    }
    std::cout << "reads of " << format_size(plan.block_bytes) << ", one at a time, for "
              << format_time(result.seconds * 1e9) << ":\n";
    print_latency(std::cout, result.latency);
    std::cout << '\n';
    print_metrics(std::cout, result.metrics);
  }
  return volume.close().get();
}

}  // namespace

void add_stat(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("stat", "Sample a volume, or show what is known of an object");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  add_uri(*verb, arguments->uri, "nvme+tcp://HOST[:PORT]/NQN[?ns=N], file:///PATH or s3://BUCKET[/KEY]");
  verb->add_option("--seconds", arguments->seconds, "How long to sample (1)")
      ->check(CLI::Range(0.01, 3600.0));
  verb->add_option("--version-id", arguments->version_id, "An older version of the object")->type_name("ID");
  add_connection(*verb, arguments->common);
  add_service(*verb, arguments->service);
  verb->callback([arguments, &command] { command.run = [arguments] { return run(*arguments); }; });
}

}  // namespace netstor::tool
