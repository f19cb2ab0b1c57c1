// SPDX-License-Identifier: Apache-2.0
// netstor rm: removes objects, one by name or all below a prefix.

#include "tools/netstor/failure.h"
#include "tools/netstor/service.h"
#include "tools/netstor/text.h"
#include "tools/netstor/transfer.h"
#include "tools/netstor/tree.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor rm s3://photos/2025/lake.jpg
  netstor rm s3://photos/2025 -r --dryrun             everything below 2025/
  netstor rm s3://photos -r --exclude '*' --include '*.tmp'
An object that is not there is removed already, as s3 has it. In a bucket with versions the object is marked
as deleted, and its versions stay.)";

struct Arguments {
  Common common;
  Service service;
  Match match;
  std::string uri;
  bool recursive = false;
  TransferOptions transfer;
};

Result<std::vector<Entry>> chosen(const Arguments& arguments, Root& root, const ObjectUri& uri) {
  if (!arguments.recursive) return std::vector<Entry>{{.name = uri.key, .size_bytes = 0, .modified = {}}};
  root.prefix = uri.key.empty() || uri.key.ends_with('/') ? uri.key : uri.key + "/";
  NETSTOR_TRY_RETURN(Tree tree, look(root, arguments.match, FolderKeys::wanted));
  if (tree.entries.empty() && arguments.match.empty() && !uri.key.empty()) {
    return with_hint(Error(ErrorKind::not_found, "nothing lies below " + root.text("")),
                     "without -r the object " + uri.text() + " is removed");
  }
  return std::move(tree.entries);
}

Result<void> run(const Arguments& arguments) {
  NETSTOR_TRY_RETURN(const ObjectUri uri,
                     parse_object_uri(arguments.uri, arguments.recursive ? Wanted::prefix : Wanted::key));
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  Root root;
  NETSTOR_TRY_RETURN(root.bucket, open_bucket(runtime, arguments.common, arguments.service, uri.bucket));
  const auto begin = std::chrono::steady_clock::now();
  NETSTOR_TRY_RETURN(const std::vector<Entry> entries, chosen(arguments, root, uri));
  Outcome outcome;
  if (arguments.recursive || arguments.transfer.dryrun) {
    NETSTOR_CHECK_RETURN(Transfer(runtime, root, root, arguments.transfer).remove(root, entries, outcome));
  } else {
    NETSTOR_CHECK_RETURN(root.bucket.remove(uri.key).get());
    outcome.removed = 1;
  }
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (arguments.common.json) {
    nlohmann::ordered_json document{{"uri", arguments.uri}};
    document.update(json_of(outcome, arguments.transfer));
    std::cout << dumped(document) << '\n';
  } else {
    std::cout << (arguments.transfer.dryrun ? "(dryrun) " : "") << "removed " << format_count(outcome.removed)
              << (outcome.removed == 1 ? " object" : " objects") << '\n';
  }
  NETSTOR_CHECK_RETURN(root.bucket.close().get());
  return judge(outcome);
}

}  // namespace

void add_rm(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("rm", "Remove objects");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URI", arguments->uri, "s3://BUCKET/KEY, or with -r s3://BUCKET[/PREFIX]")
      ->required()
      ->type_name("");
  verb->add_flag("-r,--recursive", arguments->recursive, "Everything below PREFIX/");
  verb->add_flag("--dryrun", arguments->transfer.dryrun, "Say what would be done, and do nothing");
  verb->add_flag("-v,--verbose", arguments->transfer.verbose, "A line for each object");
  add_match(*verb, arguments->match);
  add_service_verb(*verb, arguments->common, arguments->service);
  verb->callback([arguments, &command] {
    arguments->transfer.quiet = arguments->common.json;
    command.run = [arguments] { return explained(run(*arguments)); };
  });
}

}  // namespace netstor::tool
