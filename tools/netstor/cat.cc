// SPDX-License-Identifier: Apache-2.0
// netstor cat: objects, one after the other, to standard output.

#include "tools/netstor/bucket_ends.h"
#include "tools/netstor/endpoints.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/progress.h"
#include "tools/netstor/service.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor cat s3://logs/today.txt | grep error
  netstor cat s3://logs/part-1 s3://logs/part-2 > whole
  netstor cat s3://images/disk.img --offset 1MiB --length 512 | xxd
  netstor cat s3://images/disk.img -o disk.img --json
Parts are read ahead while earlier ones are written. `netstor cp` to a file is faster for large objects.)";

struct Arguments {
  Common common;
  Service service;
  std::vector<std::string> uris;
  std::uint64_t offset = 0;
  std::uint64_t length = ~std::uint64_t{0};
  std::string version_id;
  std::string output = "-";
  bool force = false;
};

Result<std::uint64_t> write_object(const Arguments& arguments, Runtime& runtime, const ObjectUri& uri,
                                   const OutputFile& output) {
  NETSTOR_TRY_RETURN(const Bucket bucket,
                     open_bucket(runtime, arguments.common, arguments.service, uri.bucket));
  GetOptions options;
  options.offset = arguments.offset;
  options.version_id = arguments.version_id;
  Progress progress("reading", std::nullopt);
  NETSTOR_TRY_RETURN(const std::uint64_t bytes,
                     get_stream(bucket, uri.key, options, arguments.length, output,
                                [&](std::uint64_t done) { progress.update(done); }));
  NETSTOR_CHECK_RETURN(bucket.close().get());
  return bytes;
}

Result<void> run(const Arguments& arguments) {
  if (arguments.output == "-" && arguments.common.json) {
    return usage_error("--json and the object's bytes cannot share standard output",
                       "write the bytes to a file: -o FILE");
  }
  std::vector<ObjectUri> uris;
  for (const std::string& each : arguments.uris) {
    NETSTOR_TRY_RETURN(ObjectUri uri, parse_object_uri(each, Wanted::key));
    uris.push_back(std::move(uri));
  }
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(const OutputFile output, open_output(arguments.output, arguments.force));
  std::uint64_t bytes = 0;
  for (const ObjectUri& uri : uris) {
    const Result<std::uint64_t> written = write_object(arguments, runtime, uri, output);
    if (!written) {
      if (output.created) ::unlink(arguments.output.c_str());
      return written.error();
    }
    bytes += *written;
  }
  if (arguments.common.json) {
    const nlohmann::ordered_json document{{"uris", arguments.uris},
                                          {"bytes", bytes},
                                          {"output", arguments.output},
                                          {"copied_bytes", runtime.metrics().copied_bytes}};
    std::cout << document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  }
  return ok();
}

}  // namespace

void add_cat(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("cat", "Write objects to standard output");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URI", arguments->uris, "s3://BUCKET/KEY, one or more")->required()->type_name("");
  add_size(*verb, "--offset", arguments->offset, "Where to begin in each (0)");
  add_size(*verb, "--length", arguments->length, "How much of each (default: to the end)");
  verb->add_option("--version-id", arguments->version_id, "An older version of the object")->type_name("ID");
  verb->add_option("-o,--output", arguments->output, "Where to: a file, or - for standard output (-)")
      ->type_name("FILE");
  verb->add_flag("--force", arguments->force, "Overwrite the file");
  add_service_verb(*verb, arguments->common, arguments->service);
  verb->callback([arguments, &command] { command.run = [arguments] { return explained(run(*arguments)); }; });
}

}  // namespace netstor::tool
