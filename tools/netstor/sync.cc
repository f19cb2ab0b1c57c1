// SPDX-License-Identifier: Apache-2.0
// netstor sync: makes one place hold what another holds, and copies only what differs.

#include "tools/netstor/failure.h"
#include "tools/netstor/tree_verb.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor sync photos s3://photos/2026
  netstor sync s3://photos/2026 photos --delete
  netstor sync s3://photos s3://backup --exclude '*.tmp' --dryrun
A file is copied when it is missing there, when its size differs, or when its time says that it changed: up,
and between buckets, when the source is newer; down, when the file was changed here after it was fetched (with
--exact-timestamps whenever the times differ). Files fetched get the time of their objects. --delete removes
what only the destination has; what the globs leave out is left alone on both sides.)";

/// Whole seconds: services do not agree on what is below.
std::chrono::sys_seconds seconds_of(const Entry& entry) {
  return std::chrono::floor<std::chrono::seconds>(entry.modified);
}

bool same(const TreeArguments& arguments, bool down, const Entry& source, const Entry& there) {
  if (source.size_bytes != there.size_bytes) return false;
  if (arguments.size_only) return true;
  if (!down) return seconds_of(there) >= seconds_of(source);
  if (arguments.exact_timestamps) return seconds_of(there) == seconds_of(source);
  return seconds_of(there) <= seconds_of(source);
}

struct Plan {
  std::vector<Entry> copies;
  std::vector<Entry> removals;
  std::uint64_t unchanged = 0;
};

/// Both are in the order of their names.
Plan compare(const TreeArguments& arguments, bool down, const Tree& source, const Tree& there) {
  Plan plan;
  auto old = there.entries.begin();
  const auto end = there.entries.end();
  for (const Entry& each : source.entries) {
    for (; old != end && old->name < each.name; ++old) plan.removals.push_back(*old);
    const bool known = old != end && old->name == each.name;
    if (known && same(arguments, down, each, *old)) {
      ++plan.unchanged;
    } else {
      plan.copies.push_back(each);
    }
    if (known) ++old;
  }
  plan.removals.insert(plan.removals.end(), old, end);
  if (!arguments.remove) plan.removals.clear();
  return plan;
}

/// A folder that is not there yet is empty.
Result<Tree> look_at_destination(const Root& to, const Match& match) {
  struct stat facts {};
  if (to.local() && ::stat(to.path.c_str(), &facts) != 0 && errno == ENOENT) return Tree{};
  return look(to, match);
}

Result<void> run(const TreeArguments& arguments) {
  NETSTOR_TRY_RETURN(TreeEnds ends, open_tree_ends(arguments, "sync works", "`rsync` is for folders"));
  auto& [runtime, from, to] = ends;
  const auto begin = std::chrono::steady_clock::now();
  NETSTOR_TRY_RETURN(const Tree source, look(from, arguments.match));
  NETSTOR_TRY_RETURN(const Tree there, look_at_destination(to, arguments.match));
  Plan plan = compare(arguments, to.local(), source, there);
  Outcome outcome;
  outcome.unchanged = plan.unchanged;
  leave_out(source, outcome);
  Transfer transfer(runtime, from, to, arguments.transfer);
  NETSTOR_CHECK_RETURN(transfer.copy(std::move(plan.copies), outcome));
  if (!source.left_out.empty() && !plan.removals.empty()) {
    // Not seen is not the same as gone.
    std::cerr << "netstor: nothing is removed, as not all of " << from.text("") << " could be seen\n";
  } else {
    NETSTOR_CHECK_RETURN(transfer.remove(to, plan.removals, outcome));
  }
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (arguments.common.json) {
    nlohmann::ordered_json document{{"from", arguments.from}, {"to", arguments.to}};
    document.update(json_of(outcome, arguments.transfer));
    std::cout << dumped(document) << '\n';
  } else {
    print_outcome(outcome, arguments.transfer, "copied");
  }
  return judge(outcome);
}

}  // namespace

void add_sync(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("sync", "Copy what differs between folders and buckets");
  verb->footer(kFooter);
  auto arguments = std::make_shared<TreeArguments>();
  verb->add_option("SRC", arguments->from, "A folder or s3://BUCKET[/PREFIX]")->required()->type_name("");
  verb->add_option("DST", arguments->to, "The other; one of the two is a bucket")->required()->type_name("");
  verb->add_flag("--delete", arguments->remove, "Remove what only DST has");
  verb->add_flag("--size-only", arguments->size_only, "The same size is the same file, whatever the times");
  verb->add_flag("--exact-timestamps", arguments->exact_timestamps, "Down: fetch whenever the times differ");
  add_match(*verb, arguments->match);
  add_transfer(*verb, arguments->transfer);
  add_service_verb(*verb, arguments->common, arguments->service);
  add_checksum(*verb, arguments->service);
  verb->callback([arguments, &command] {
    arguments->transfer.quiet = arguments->common.json;
    command.run = [arguments] { return explained(run(*arguments)); };
  });
}

}  // namespace netstor::tool
