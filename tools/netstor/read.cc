// SPDX-License-Identifier: Apache-2.0
// netstor read: a range of a volume to standard output or to a file.

#include <netstor/uri.h>

#include "tools/netstor/endpoints.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/progress.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor read nvme+tcp://localhost/NQN --length 512 | xxd
  netstor read nvme+tcp://localhost/NQN --offset 1MiB --length 64KiB -o part.bin
Offset and length need not lie on blocks: whole blocks are read, and what was asked for is given out.)";

constexpr std::size_t kChunkBytes = 1 << 20;
constexpr unsigned kDepth = 8;

struct Arguments {
  Common common;
  std::string uri;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool to_end = true;
  std::string output = "-";
  bool force = false;
};

Result<std::uint64_t> length_of(const Arguments& arguments, std::uint64_t size) {
  const std::uint64_t left = size - std::min(arguments.offset, size);
  const std::uint64_t length = arguments.to_end ? left : arguments.length;
  if (arguments.offset > size) {
    return with_hint(Error(ErrorKind::out_of_range, "offset " + std::to_string(arguments.offset) +
                                                        " begins beyond the end of the volume"),
                     "it has " + std::to_string(size) + " bytes");
  }
  if (length > left) {
    return with_hint(
        Error(ErrorKind::out_of_range, std::to_string(length) + " bytes at " +
                                           std::to_string(arguments.offset) + " end beyond the volume"),
        "it has " + std::to_string(size) + " bytes");
  }
  return length;
}

Result<void> run(const Arguments& arguments) {
  const bool to_stdout = arguments.output == "-";
  if (to_stdout && arguments.common.json) {
    return usage_error("--json and the volume's bytes cannot share standard output",
                       "write the bytes to a file: -o FILE");
  }
  if (to_stdout && ::isatty(STDOUT_FILENO) != 0) {
    return usage_error("the volume's bytes are not for a terminal", "-o FILE, or a pipe: `… | xxd`");
  }
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(const Volume volume,
                     open_volume(runtime, arguments.common, arguments.uri, {.read_only = true}));
  NETSTOR_TRY_RETURN(const std::uint64_t length, length_of(arguments, volume.size_bytes()));
  NETSTOR_TRY_RETURN(const OutputFile output, open_output(arguments.output, arguments.force));

  const std::uint64_t begin = round_down(arguments.offset, volume.block_bytes());
  const std::uint64_t lead = arguments.offset - begin;
  VolumeSource source(volume, begin, lead + length);
  FileSink sink(output, lead, false);
  NETSTOR_TRY_RETURN(Workspace workspace, Workspace::make(runtime, kChunkBytes, kDepth));
  Progress progress("reading", lead + length);
  const Result<std::uint64_t> read =
      copy(source, sink, workspace, {.progress = [&](std::uint64_t bytes) { progress.update(bytes); }});
  if (!read) {
    if (output.created) ::unlink(arguments.output.c_str());
    return read.error();
  }
  if (arguments.common.json) {
    const nlohmann::ordered_json document{{"uri", arguments.uri},
                                          {"offset", arguments.offset},
                                          {"bytes", length},
                                          {"output", arguments.output},
                                          {"copied_bytes", runtime.metrics().copied_bytes}};
    std::cout << document.dump(2) << '\n';
  }
  return volume.close().get();
}

}  // namespace

void add_read(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("read", "Read a range of a volume");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  add_uri(*verb, arguments->uri);
  add_size(*verb, "--offset", arguments->offset, "Where to begin (0)");
  const CLI::Option* length =
      add_size(*verb, "--length", arguments->length, "How much (default: to the end)");
  verb->add_option("-o,--output", arguments->output, "Where to: a file, or - for standard output (-)")
      ->type_name("FILE");
  verb->add_flag("--force", arguments->force, "Overwrite the file");
  add_connection(*verb, arguments->common);
  verb->callback([arguments, length, &command] {
    arguments->to_end = length->count() == 0;
    command.run = [arguments] { return run(*arguments); };
  });
}

}  // namespace netstor::tool
