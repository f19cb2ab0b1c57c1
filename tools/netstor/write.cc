// SPDX-License-Identifier: Apache-2.0
// netstor write: standard input or a file to a place on a volume, exactly those bytes.

#include <netstor/uri.h>

#include "tools/netstor/endpoints.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/progress.h"
#include "tools/netstor/text.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  echo hello | netstor write nvme+tcp://localhost/NQN
  netstor write nvme+tcp://localhost/NQN --offset 1MiB -i part.bin --fua
Writes the input's bytes and no others. Where they begin or end within a block, that block is read first and
written back whole; that is not one step, so do not let others write there meanwhile. --fua: the bytes are on
stable storage as each request is answered; a flush at the end sees to that in any case.)";

constexpr std::size_t kChunkBytes = 1 << 20;
constexpr unsigned kDepth = 8;

struct Arguments {
  Common common;
  std::string uri;
  std::uint64_t offset = 0;
  std::string input = "-";
  bool fua = false;
};

Error beyond(const std::string& what, std::uint64_t size) {
  return with_hint(Error(ErrorKind::out_of_range, what + " ends beyond the volume"),
                   "it has " + std::to_string(size) + " bytes; nothing was written");
}

Result<void> run(const Arguments& arguments) {
  if (arguments.input == "-" && ::isatty(STDIN_FILENO) != 0) {
    return usage_error("nothing to write", "-i FILE, or a pipe: `echo hello | netstor write …`");
  }
  NETSTOR_TRY_RETURN(const InputFile input, open_input(arguments.input));
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(const Volume volume, open_volume(runtime, arguments.common, arguments.uri));
  const std::uint64_t size = volume.size_bytes();
  if (arguments.offset > size || input.size_bytes.value_or(0) > size - arguments.offset) {
    return beyond(input.name, size);
  }

  // The block in which the bytes begin: what stands before them in it goes back as it was.
  const std::uint64_t begin = round_down(arguments.offset, volume.block_bytes());
  NETSTOR_TRY_RETURN(Buffer first, Buffer::allocate(volume.block_bytes()));
  const Bytes lead = Bytes(first.bytes()).first(static_cast<std::size_t>(arguments.offset - begin));
  if (!lead.empty()) NETSTOR_CHECK_RETURN(volume.read(begin, first.bytes()).get());

  FileSource source(input, ~std::uint64_t{0}, lead);
  VolumeSink sink(volume, {.offset = begin, .tail = Tail::keep, .force_unit_access = arguments.fua});
  NETSTOR_TRY_RETURN(Workspace workspace, Workspace::make(runtime, kChunkBytes, kDepth));
  Progress progress("writing", input.size_bytes);
  NETSTOR_TRY_RETURN(
      const std::uint64_t written,
      copy(source, sink, workspace, {.progress = [&](std::uint64_t bytes) { progress.update(bytes); }}));
  const std::uint64_t bytes = written - lead.size();
  if (arguments.common.json) {
    const nlohmann::ordered_json document{{"uri", arguments.uri},
                                          {"offset", arguments.offset},
                                          {"bytes", bytes},
                                          {"copied_bytes", runtime.metrics().copied_bytes}};
    std::cout << document.dump(2) << '\n';
  } else {
    std::cout << "wrote " << format_count(bytes) << " bytes at " << arguments.offset << ", flushed\n";
  }
  return volume.close().get();
}

}  // namespace

void add_write(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("write", "Write bytes to a place on a volume");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  add_uri(*verb, arguments->uri);
  add_size(*verb, "--offset", arguments->offset, "Where to begin (0)");
  verb->add_option("-i,--input", arguments->input, "From where: a file, or - for standard input (-)")
      ->type_name("FILE");
  verb->add_flag("--fua", arguments->fua, "Force unit access: each request on stable storage");
  add_connection(*verb, arguments->common);
  verb->callback([arguments, &command] { command.run = [arguments] { return run(*arguments); }; });
}

}  // namespace netstor::tool
