// SPDX-License-Identifier: Apache-2.0
#pragma once
// The verbs, and what they share on the command line. Each verb lives in a file of its own name, adds its
// options to the parser, and leaves in `Command::run` what to do when the user chose it.

#include <netstor/shard.h>
#include <netstor/volume.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace netstor::tool {

/// What the command line asked for.
struct Command {
  std::function<Result<void>()> run;
};

void add_discover(CLI::App& app, Command& command);
void add_info(CLI::App& app, Command& command);
void add_stat(CLI::App& app, Command& command);
void add_read(CLI::App& app, Command& command);
void add_write(CLI::App& app, Command& command);
void add_cp(CLI::App& app, Command& command);
void add_bench(CLI::App& app, Command& command);
void add_top(CLI::App& app, Command& command);
void add_admin(CLI::App& app, Command& command);
void add_completion(CLI::App& app, Command& command);
// Buckets:
void add_ls(CLI::App& app, Command& command);
void add_cat(CLI::App& app, Command& command);
void add_rm(CLI::App& app, Command& command);
void add_sync(CLI::App& app, Command& command);
void add_mb(CLI::App& app, Command& command);
void add_rb(CLI::App& app, Command& command);
void add_presign(CLI::App& app, Command& command);

class TraceLog;  // trace_log.h

/// The options that every verb has.
struct Common {
  bool json = false;
  std::string driver = "auto";
  double timeout_s = 10;
  std::string host_nqn;
  std::string host_secret;  ///< files
  std::string controller_secret;
  std::string tls_key;
  bool digests = false;
  std::shared_ptr<TraceLog> trace;  ///< --trace: what is said of the requests, when the verb has ended
};
void add_common(CLI::App& verb, Common& common);
void add_trace(CLI::App& verb, Common& common);
/// What is common to all and what volumes have.
void add_connection(CLI::App& verb, Common& common);

/// An option that takes a size ("4KiB", "1.5GiB", "4096").
CLI::Option* add_size(CLI::App& verb, const std::string& name, std::uint64_t& value, const std::string& text);
/// A required positional volume.
CLI::Option* add_uri(CLI::App& verb, std::string& uri,
                     const char* text =
                         "The volume: nvme+tcp://HOST[:PORT]/NQN[?ns=N], "
                         "nvme:///dev/ngXnY or file:///PATH");

/// The first word of a file that nobody but its owner may read; empty for no path.
Result<std::string> read_secret(const std::string& path);

/// True for what names a volume; anything else is a path.
bool is_uri(std::string_view text);

Result<Runtime> start_runtime(const Common& common, RuntimeOptions options = {});

/// Opens `uri`. The errors say what to do.
Result<Volume> open_volume(Runtime& runtime, const Common& common, const std::string& uri,
                           VolumeOptions options = {});
Result<VolumeOptions> volume_options(const Common& common);

}  // namespace netstor::tool
