// SPDX-License-Identifier: Apache-2.0
// netstor mb: makes a bucket.

#include "tools/netstor/service.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor mb s3://photos
  netstor mb s3://photos --endpoint-url http://10.0.0.1:9000 --profile lab)";

struct Arguments {
  Common common;
  Service service;
  std::string uri;
};

Result<void> run(const Arguments& arguments) {
  NETSTOR_TRY_RETURN(const ObjectUri uri, parse_object_uri(arguments.uri, Wanted::bucket));
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(const Bucket bucket,
                     open_bucket(runtime, arguments.common, arguments.service, uri.bucket));
  NETSTOR_CHECK_RETURN(bucket.create().get());
  if (arguments.common.json) {
    std::cout << nlohmann::ordered_json{{"made", "s3://" + uri.bucket}}.dump(2) << '\n';
  } else {
    std::cout << "made s3://" << uri.bucket << '\n';
  }
  return bucket.close().get();
}

}  // namespace

void add_mb(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("mb", "Make a bucket");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URI", arguments->uri, "s3://BUCKET")->required()->type_name("");
  add_service_verb(*verb, arguments->common, arguments->service);
  verb->callback([arguments, &command] { command.run = [arguments] { return explained(run(*arguments)); }; });
}

}  // namespace netstor::tool
