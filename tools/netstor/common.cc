// SPDX-License-Identifier: Apache-2.0
// What the verbs share: the common options, starting a runtime and opening a volume with errors that help.

#include <netstor/uri.h>

#include "tools/netstor/failure.h"
#include "tools/netstor/trace_log.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <fstream>

namespace netstor::tool {

void add_common(CLI::App& verb, Common& common) {
  verb.add_flag("--json", common.json, "Print one JSON document");
  verb.add_option("--driver", common.driver, "What carries the I/O: auto, uring or posix")
      ->type_name("NAME")
      ->check(CLI::IsMember({"auto", "uring", "posix"}));
}

void add_trace(CLI::App& verb, Common& common) {
  verb.add_flag_callback(
      "--trace", [&common] { common.trace = std::make_shared<TraceLog>(); },
      "When it has ended, print for each request to a volume or a bucket the rooms that it passed, with "
      "times");
}

void add_connection(CLI::App& verb, Common& common) {
  add_common(verb, common);
  add_trace(verb, common);
  verb.add_option("--timeout", common.timeout_s, "Give up a connection after this many seconds (10)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, 600.0));
  verb.add_option("--host-nqn", common.host_nqn,
                  "Who we are to the server (default: made from the machine's id)")
      ->type_name("NQN");
  verb.add_option("--host-secret", common.host_secret,
                  "A file (mode 0600) with what we prove ourselves by, from `nvme gen-dhchap-key`")
      ->type_name("FILE");
  verb.add_option("--controller-secret", common.controller_secret,
                  "A file with what the server has to prove itself by")
      ->type_name("FILE");
  verb.add_option("--tls-key", common.tls_key,
                  "A file (mode 0600) with the key from `nvme gen-tls-key`: connect over TLS alone")
      ->type_name("FILE");
  verb.add_flag("--digests", common.digests, "Ask for CRC32C over headers and payloads");
}

CLI::Option* add_size(CLI::App& verb, const std::string& name, std::uint64_t& value,
                      const std::string& text) {
  const auto parse = [&value, name](const std::string& given) {
    const Result<std::uint64_t> size = parse_size(given);
    if (!size) throw CLI::ValidationError(name, size.error().text());
    value = *size;
  };
  return verb.add_option_function<std::string>(name, parse, text)->type_name("SIZE");
}

CLI::Option* add_uri(CLI::App& verb, std::string& uri, const char* text) {
  return verb.add_option("URI", uri, text)->required()->type_name("");
}

bool is_uri(std::string_view text) { return text.find("://") != std::string_view::npos; }

Result<Runtime> start_runtime(const Common& common, RuntimeOptions options) {
  if (common.driver == "uring") options.io_driver = IoDriver::uring;
  if (common.driver == "posix") options.io_driver = IoDriver::posix;
  auto runtime = Runtime::start(options);
  if (runtime && common.trace != nullptr) common.trace->follow(*runtime);
  return runtime;
}

// A secret is never on a command line, where every user of the machine can read it.
Result<std::string> read_secret(const std::string& path) {
  if (path.empty()) return std::string();
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (code) return Error::system(code.value(), path);
  using std::filesystem::perms;
  if ((status.permissions() & (perms::group_all | perms::others_all)) != perms::none) {
    return with_hint(Error(ErrorKind::permission_denied,
                           path + ": holds a secret, and others than its owner have rights to it"),
                     "chmod 600 " + path);
  }
  std::ifstream file(path);
  std::string secret;
  if (!(file >> secret)) return Error(ErrorKind::invalid_argument, path + ": holds no secret");
  return secret;
}

Result<VolumeOptions> volume_options(const Common& common) {
  VolumeOptions options;
  options.host_nqn = common.host_nqn;
  options.connect_timeout =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(common.timeout_s));
  options.header_digest = options.data_digest = common.digests;
  NETSTOR_TRY_RETURN(options.host_secret, read_secret(common.host_secret));
  NETSTOR_TRY_RETURN(options.controller_secret, read_secret(common.controller_secret));
  NETSTOR_TRY_RETURN(options.tls_key, read_secret(common.tls_key));
  return options;
}

Result<Volume> open_volume(Runtime& runtime, const Common& common, const std::string& uri,
                           VolumeOptions options) {
  if (!is_uri(uri)) {
    return usage_error(uri + " is no volume",
                       "a volume is nvme+tcp://HOST[:PORT]/NQN, or file:// and an absolute path");
  }
  NETSTOR_TRY_RETURN(const Uri parsed, Uri::parse(uri));
  if (parsed.scheme.starts_with("nvme+") && (parsed.path.empty() || parsed.path == "/")) {
    return usage_error(uri + " names a server, not a volume",
                       "`netstor discover " + uri + "` lists its volumes");
  }
  NETSTOR_TRY_RETURN(VolumeOptions asked, volume_options(common));
  asked.queue_depth = options.queue_depth;
  asked.read_only = options.read_only;
  return Volume::open(runtime, uri, asked).get();
}

}  // namespace netstor::tool
