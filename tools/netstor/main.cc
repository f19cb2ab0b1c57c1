// SPDX-License-Identifier: Apache-2.0
// netstor, the command-line tool: finds the verb, parses, runs, and turns errors into words.

#include <netstor/version.h>

#include "tools/netstor/failure.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor discover nvme+tcp://localhost           what does this server offer?
  netstor info nvme+tcp://localhost/NQN           how large is it, who made it?
  netstor cp disk.img nvme+tcp://localhost/NQN    a file to a volume
  netstor bench nvme+tcp://localhost/NQN          how fast is it?
  netstor ls s3://BUCKET                          what is in a bucket?
  netstor sync FOLDER s3://BUCKET/PREFIX          a folder's changes to a bucket
`netstor VERB --help` has the options and examples of a verb.

Sizes take B, KiB, MiB, GiB, TiB (and K, M, G, T, which mean the same).
Exit codes: 0 done, 1 an error, 2 a fault in the command line.
NO_COLOR switches colours off; they and the progress bar appear on terminals only.)";

std::vector<std::string> verbs_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  return names;
}

/// A first word that is no verb deserves better than the parser's answer.
Result<void> check_verb(const CLI::App& app, int argc, char** argv) {
  if (argc < 2) return usage_error("no verb", "`netstor --help` lists them");
  const std::string word = argv[1];
  if (word.starts_with('-') && word != "-") return ok();
  const std::vector<std::string> verbs = verbs_of(app);
  if (std::find(verbs.begin(), verbs.end(), word) != verbs.end()) return ok();
  const std::string near = nearest(word, verbs);
  return usage_error("no such verb: " + word,
                     near.empty() ? "`netstor --help` lists them" : "did you mean `netstor " + near + "`?");
}

int parse_failure(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {  // --help and --version
    app.exit(error);
    std::cout.flush();
    return kDone;
  }
  std::string verb;
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    verb += at->get_name() + " ";
  }
  return fail(usage_error(error.what(), "`netstor " + verb + "--help` has the options and examples"));
}

int run(int argc, char** argv) {
  CLI::App app("Reads, writes, copies and measures volumes, remote and local, and buckets, without mounts.",
               "netstor");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("netstor ") + linked_version());
  app.require_subcommand(1);
  Command command;
  add_discover(app, command);
  add_info(app, command);
  add_stat(app, command);
  add_read(app, command);
  add_write(app, command);
  add_cp(app, command);
  add_bench(app, command);
  add_top(app, command);
  add_ls(app, command);
  add_cat(app, command);
  add_rm(app, command);
  add_sync(app, command);
  add_mb(app, command);
  add_rb(app, command);
  add_presign(app, command);
  add_admin(app, command);
  add_completion(app, command);
  if (const Result<void> sound = check_verb(app, argc, argv); !sound) return fail(sound.error());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return parse_failure(app, error);
  }
  const Result<void> done = command.run();
  if (!done) return fail(done.error());
  std::cout.flush();
  if (!std::cout) return fail(Error::system(errno, "writing to standard output"));
  return kDone;
}

}  // namespace
}  // namespace netstor::tool

int main(int argc, char** argv) {
  try {
    return netstor::tool::run(argc, argv);
  } catch (const std::exception& error) {
    return netstor::tool::fail(netstor::Error(netstor::ErrorKind::internal, error.what()));
  }
}
