// SPDX-License-Identifier: Apache-2.0
// netstor ls: the buckets of a service, or the objects of a bucket.

#include <netstor/uri.h>

#include "tools/netstor/failure.h"
#include "tools/netstor/match.h"
#include "tools/netstor/service.h"
#include "tools/netstor/text.h"
#include "tools/netstor/tree.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor ls                                     the buckets
  netstor ls s3://photos                         what is at the top of one
  netstor ls s3://photos/2026/ -r --summarize    everything that begins so, and how much it is
  netstor ls s3://photos -r --exclude '*' --include '*.jpg' --json
Without -r what lies deeper is one line a folder, marked PRE. What begins with PREFIX is listed, as s3 has no
folders: end it with a slash to look into one. Globs match what follows the last slash of PREFIX.)";

struct Arguments {
  Common common;
  Service service;
  Match match;
  std::string uri = "s3://";
  bool recursive = false;
  bool human = false;
  bool summarize = false;
};

Result<void> list_all_buckets(const Arguments& arguments, Runtime& runtime) {
  NETSTOR_TRY_RETURN(const std::vector<BucketInfo> buckets,
                     list_buckets(runtime, bucket_options(arguments.common, arguments.service)).get());
  if (arguments.common.json) {
    auto list = nlohmann::ordered_json::array();
    for (const BucketInfo& each : buckets) {
      list.push_back({{"name", each.name}, {"created", json_time(each.created)}});
    }
    std::cout << nlohmann::ordered_json{{"buckets", list}}.dump(2) << '\n';
  } else {
    for (const BucketInfo& each : buckets) {
      std::cout << local_time(each.created) << ' ' << printable(each.name) << '\n';
    }
  }
  return ok();
}

class Listing {
 public:
  Listing(const Arguments& arguments, std::size_t base) : arguments_(arguments), base_(base) {}

  Result<void> add(const ListPage& page) {
    for (const std::string& prefix : page.prefixes) {
      if (!arguments_.match(prefix.substr(base_))) continue;
      ++found_;
      if (arguments_.common.json) {
        prefixes_.push_back(prefix);
      } else {
        std::cout << std::string(27, ' ') << "PRE " << printable(prefix.substr(base_)) << '\n';
      }
    }
    for (const ObjectInfo& object : page.objects) {
      if (arguments_.match(object.key.substr(base_))) add(object);
    }
    // The reader of a pipe may have had enough.
    return std::cout ? ok() : Result<void>(Error::system(EPIPE, "writing to standard output"));
  }

  Result<void> finish(const ObjectUri& uri) {
    if (found_ == 0 && !uri.key.empty() && !arguments_.common.json) {
      return Error(ErrorKind::not_found, uri.text() + ": nothing begins so");
    }
    if (arguments_.common.json) {
      const nlohmann::ordered_json document{{"uri", arguments_.uri},
                                            {"prefixes", std::move(prefixes_)},
                                            {"objects", std::move(objects_)},
                                            {"count", count_},
                                            {"bytes", bytes_}};
      std::cout << dumped(document) << '\n';
    } else if (arguments_.summarize) {
      std::cout << '\n'
                << format_count(count_) << " objects, " << format_count(bytes_) << " bytes ("
                << format_size(bytes_) << ")\n";
    }
    return ok();
  }

 private:
  void add(const ObjectInfo& object) {
    ++found_;
    ++count_;
    bytes_ += object.size_bytes;
    if (arguments_.common.json) {
      objects_.push_back({{"key", object.key},
                          {"size_bytes", object.size_bytes},
                          {"modified", json_time(object.modified)},
                          {"etag", object.etag},
                          {"storage_class", object.storage_class}});
      return;
    }
    std::string size = arguments_.human ? format_size(object.size_bytes) : std::to_string(object.size_bytes);
    size.insert(0, size.size() < 10 ? 10 - size.size() : 0, ' ');
    const std::string name = arguments_.recursive ? object.key : object.key.substr(base_);
    std::cout << local_time(object.modified) << ' ' << size << ' ' << printable(name) << '\n';
  }

  const Arguments& arguments_;
  std::size_t base_;  // of names without -r, and of globs
  nlohmann::ordered_json prefixes_ = nlohmann::ordered_json::array();
  nlohmann::ordered_json objects_ = nlohmann::ordered_json::array();
  std::uint64_t found_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
};

Result<void> run(const Arguments& arguments) {
  NETSTOR_TRY_RETURN(const ObjectUri uri, parse_object_uri(arguments.uri, Wanted::anything));
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  if (uri.bucket.empty()) return list_all_buckets(arguments, runtime);
  NETSTOR_TRY_RETURN(const Bucket bucket,
                     open_bucket(runtime, arguments.common, arguments.service, uri.bucket));
  ListOptions options;
  options.prefix = uri.key;
  if (!arguments.recursive) options.delimiter = "/";
  const std::size_t slash = uri.key.rfind('/');
  Listing listing(arguments, slash == std::string::npos ? 0 : slash + 1);
  NETSTOR_CHECK_RETURN(each_page(bucket, options, [&](const ListPage& page) { return listing.add(page); }));
  NETSTOR_CHECK_RETURN(listing.finish(uri));
  return bucket.close().get();
}

}  // namespace

void add_ls(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("ls", "List buckets, or the objects of one");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URI", arguments->uri, "s3://BUCKET[/PREFIX] (default: the buckets)")->type_name("");
  verb->add_flag("-r,--recursive", arguments->recursive, "All keys, not one level of them");
  verb->add_flag("--human-readable", arguments->human, "Sizes in KiB, MiB, …");
  verb->add_flag("--summarize", arguments->summarize, "Count and bytes in the end");
  add_match(*verb, arguments->match);
  add_service_verb(*verb, arguments->common, arguments->service);
  verb->callback([arguments, &command] { command.run = [arguments] { return explained(run(*arguments)); }; });
}

}  // namespace netstor::tool
