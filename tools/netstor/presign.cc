// SPDX-License-Identifier: Apache-2.0
// netstor presign: a URL with which anybody may read or write one object for some time.

#include "tools/netstor/service.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"help(Examples:
  netstor presign s3://photos/lake.jpg
  curl -O "$(netstor presign s3://photos/lake.jpg --expires-in 60)"
  curl -T lake.jpg "$(netstor presign s3://photos/lake.jpg --method put)"
Nothing is asked of the service: whether the object is there, and these credentials may do that, shows when
the URL is used. Whoever has the URL has the right, until it ends.)help";

struct Arguments {
  Common common;
  Service service;
  std::string uri;
  std::string method = "get";
  std::int64_t seconds = 3600;
};

Bucket::Method method_of(const std::string& name) {
  if (name == "put") return Bucket::Method::put;
  if (name == "head") return Bucket::Method::head;
  if (name == "delete") return Bucket::Method::remove;
  return Bucket::Method::get;
}

Result<void> run(const Arguments& arguments) {
  NETSTOR_TRY_RETURN(const ObjectUri uri, parse_object_uri(arguments.uri, Wanted::key));
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(const Bucket bucket,
                     open_bucket(runtime, arguments.common, arguments.service, uri.bucket));
  NETSTOR_TRY_RETURN(
      const std::string url,
      bucket.presign(method_of(arguments.method), uri.key, std::chrono::seconds(arguments.seconds)).get());
  if (arguments.common.json) {
    const WallTime end = std::chrono::system_clock::now() + std::chrono::seconds(arguments.seconds);
    std::cout << nlohmann::ordered_json{{"url", url}, {"method", arguments.method}, {"ends", json_time(end)}}
                     .dump(2)
              << '\n';
  } else {
    std::cout << url << '\n';
  }
  return bucket.close().get();
}

}  // namespace

void add_presign(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("presign", "Make a URL that lets anybody read or write an object");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URI", arguments->uri, "s3://BUCKET/KEY")->required()->type_name("");
  verb->add_option("--method", arguments->method, "get (default), put, head or delete")
      ->type_name("NAME")
      ->check(CLI::IsMember({"get", "put", "head", "delete"}));
  verb->add_option("--expires-in", arguments->seconds, "How long it may be used, up to a week (3600)")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 604'800));
  add_service_verb(*verb, arguments->common, arguments->service);
  verb->callback([arguments, &command] { command.run = [arguments] { return explained(run(*arguments)); }; });
}

}  // namespace netstor::tool
