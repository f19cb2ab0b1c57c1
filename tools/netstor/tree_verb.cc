// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/tree_verb.h"

#include "tools/netstor/failure.h"
#include "tools/netstor/text.h"

#include <nlohmann/json.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <iostream>

namespace netstor::tool {
namespace {

/// Names that a download would take the place of.
Result<void> check_overwritten(const TreeArguments& arguments, const Root& to,
                               const std::vector<Entry>& entries) {
  if (!to.local() || arguments.force) return ok();
  std::uint64_t there = 0;
  std::string first;
  for (const Entry& each : entries) {
    struct stat facts {};
    const std::string path = to.path + each.name;
    if (::lstat(path.c_str(), &facts) != 0) continue;
    if (there++ == 0) first = path;
  }
  if (there == 0) return ok();
  const std::string others = there == 1 ? "" : " and " + format_count(there - 1) + " others";
  return with_hint(Error(ErrorKind::already_exists,
                         printable(first) + others + (there == 1 ? " is" : " are") + " there already"),
                   "--force overwrites; `netstor sync` copies only what differs");
}

Result<Root> open_root(Runtime& runtime, const TreeArguments& arguments, const std::string& place) {
  Root root;
  if (is_bucket(place)) {
    NETSTOR_TRY_RETURN(const ObjectUri uri, parse_object_uri(place, Wanted::prefix));
    root.prefix = uri.key.empty() || uri.key.ends_with('/') ? uri.key : uri.key + "/";
    NETSTOR_TRY_RETURN(root.bucket, open_bucket(runtime, arguments.common, arguments.service, uri.bucket,
                                                arguments.transfer.parallel));
    return root;
  }
  if (is_uri(place) || place == "-") {
    return usage_error(place + " holds no files", "give a folder, or s3://BUCKET[/PREFIX]");
  }
  root.path = place.ends_with('/') ? place : place + "/";
  return root;
}

Result<void> check_source(const Root& root) {
  struct stat facts {};
  if (!root.local() || (::stat(root.path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode))) return ok();
  return with_hint(Error::system(errno == 0 ? ENOTDIR : errno, root.path), "the source has to be a folder");
}

}  // namespace

Result<TreeEnds> open_tree_ends(const TreeArguments& arguments, std::string_view verb_works,
                                std::string_view instead) {
  if (!is_bucket(arguments.from) && !is_bucket(arguments.to)) {
    return usage_error(std::string(verb_works) + " to and from buckets: neither is one",
                       "s3://BUCKET[/PREFIX]; " + std::string(instead));
  }
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(Root from, open_root(runtime, arguments, arguments.from));
  NETSTOR_TRY_RETURN(Root to, open_root(runtime, arguments, arguments.to));
  if (from.text("") == to.text("")) return usage_error(arguments.from + " onto itself", "give two places");
  NETSTOR_CHECK_RETURN(check_source(from));
  return TreeEnds{std::move(runtime), std::move(from), std::move(to)};
}

Result<void> copy_tree(const TreeArguments& arguments) {
  NETSTOR_TRY_RETURN(TreeEnds ends,
                     open_tree_ends(arguments, "-r copies", "`cp -r` of the system copies folders"));
  auto& [runtime, from, to] = ends;
  const auto begin = std::chrono::steady_clock::now();
  const Metrics before = runtime.metrics();
  NETSTOR_TRY_RETURN(Tree tree, look(from, arguments.match));
  if (tree.entries.empty() && !from.local() && arguments.match.empty() && !from.prefix.empty()) {
    return with_hint(Error(ErrorKind::not_found, "nothing lies below " + from.text("")),
                     "without -r one object is copied; `netstor ls " + arguments.from + "` lists");
  }
  NETSTOR_CHECK_RETURN(check_overwritten(arguments, to, tree.entries));
  Outcome outcome;
  leave_out(tree, outcome);
  NETSTOR_CHECK_RETURN(
      Transfer(runtime, from, to, arguments.transfer).copy(std::move(tree.entries), outcome));
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (arguments.common.json) {
    nlohmann::ordered_json document{{"from", arguments.from}, {"to", arguments.to}};
    document.update(json_of(outcome, arguments.transfer));
    document["copied_bytes"] = runtime.metrics().copied_bytes - before.copied_bytes;
    std::cout << dumped(document) << '\n';
  } else {
    print_outcome(outcome, arguments.transfer, "copied");
  }
  return judge(outcome);
}

}  // namespace netstor::tool
