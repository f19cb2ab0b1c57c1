// SPDX-License-Identifier: Apache-2.0
// netstor rb: removes a bucket, on request with all that is in it.

#include "tools/netstor/failure.h"
#include "tools/netstor/progress.h"
#include "tools/netstor/service.h"
#include "tools/netstor/text.h"
#include "tools/netstor/tree.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor rb s3://photos               must be empty
  netstor rb s3://photos --force       with every object, version and unfinished upload in it
  netstor rb s3://photos --force --dryrun)";

struct Arguments {
  Common common;
  Service service;
  std::string uri;
  bool force = false;
  bool dryrun = false;
};

struct Removed {
  std::uint64_t objects = 0;
  std::uint64_t uploads = 0;
};

/// Several at a time; their answers are looked at in order.
Result<void> remove_versions(const Bucket& bucket, const std::vector<ObjectInfo>& versions) {
  constexpr std::size_t kParallel = 16;
  std::vector<Future<void>> removing;
  Result<void> first = ok();
  const auto wait = [&] {
    for (Future<void>& one : removing) {
      Result<void> removed = one.get();
      if (first && !removed) first = std::move(removed);
    }
    removing.clear();
  };
  for (const ObjectInfo& each : versions) {
    removing.push_back(bucket.remove(each.key, each.version_id));
    if (removing.size() == kParallel) wait();
    if (!first) break;
  }
  wait();
  return first;
}

Result<Removed> empty(const Arguments& arguments, const Bucket& bucket) {
  Removed removed;
  Progress progress("removing", std::nullopt, Progress::Unit::things);
  NETSTOR_TRY_RETURN(const std::vector<UploadInfo> uploads, bucket.uploads().get());
  removed.uploads = uploads.size();
  if (!arguments.dryrun) {
    for (const UploadInfo& each : uploads) {
      NETSTOR_TRY_RETURN(const Upload upload, bucket.resume_upload(each.key, each.id).get());
      NETSTOR_CHECK_RETURN(upload.abort().get());
    }
  }
  ListOptions options;
  options.versions = true;
  const auto take = [&](const ListPage& page) -> Result<void> {
    if (!arguments.dryrun) NETSTOR_CHECK_RETURN(remove_versions(bucket, page.objects));
    removed.objects += page.objects.size();
    progress.update(removed.objects);
    return ok();
  };
  NETSTOR_CHECK_RETURN(each_page(bucket, options, take));
  return removed;
}

Result<void> run(const Arguments& arguments) {
  NETSTOR_TRY_RETURN(const ObjectUri uri, parse_object_uri(arguments.uri, Wanted::bucket));
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(const Bucket bucket,
                     open_bucket(runtime, arguments.common, arguments.service, uri.bucket));
  Removed removed;
  if (arguments.force) {
    NETSTOR_TRY_RETURN(removed, empty(arguments, bucket));
  }
  if (!arguments.dryrun) NETSTOR_CHECK_RETURN(bucket.remove_bucket().get());
  if (arguments.common.json) {
    std::cout << nlohmann::ordered_json{{"removed", "s3://" + uri.bucket},
                                        {"objects", removed.objects},
                                        {"uploads", removed.uploads},
                                        {"dryrun", arguments.dryrun}}
                     .dump(2)
              << '\n';
  } else {
    std::cout << (arguments.dryrun ? "(dryrun) " : "") << "removed s3://" << uri.bucket;
    if (removed.objects != 0) std::cout << " and " << format_count(removed.objects) << " versions of objects";
    if (removed.uploads != 0) std::cout << ", " << format_count(removed.uploads) << " unfinished uploads";
    std::cout << '\n';
  }
  return bucket.close().get();
}

}  // namespace

void add_rb(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("rb", "Remove a bucket");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URI", arguments->uri, "s3://BUCKET")->required()->type_name("");
  verb->add_flag("--force", arguments->force, "Remove all that is in it first");
  verb->add_flag("--dryrun", arguments->dryrun, "Say what would be done, and do nothing");
  add_service_verb(*verb, arguments->common, arguments->service);
  verb->callback([arguments, &command] { command.run = [arguments] { return explained(run(*arguments)); }; });
}

}  // namespace netstor::tool
