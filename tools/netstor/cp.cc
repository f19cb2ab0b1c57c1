// SPDX-License-Identifier: Apache-2.0
// netstor cp: file to volume, volume to file, volume to volume. How the bytes move is in copy.h; here is what
// the user may ask for, what is refused, and what is said about it.

#include <netstor/uri.h>

#include "tools/netstor/endpoints.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/hash.h"
#include "tools/netstor/progress.h"
#include "tools/netstor/report.h"
#include "tools/netstor/text.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <chrono>
#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor cp disk.img nvme+tcp://localhost/NQN --verify
  netstor cp nvme+tcp://localhost/NQN copy.img --length 1234567
  netstor cp nvme+tcp://10.0.0.1/NQN nvme+tcp://10.0.0.2/NQN --block-size 1MiB --depth 16 --sparse
What contains :// is a volume, anything else a path. A file whose length is no multiple of the volume's block
is followed by zeroes up to the block's end; --length reads exactly it back.)";

struct Arguments {
  Common common;
  std::string from;
  std::string to;
  std::uint64_t length = 0;
  bool to_end = true;
  std::uint64_t chunk_bytes = 1 << 20;
  unsigned depth = 8;
  bool verify = false;
  bool sparse = false;
  bool force = false;
};

/// One end of the copy: a volume or a file.
struct Ends {
  Volume source_volume;
  InputFile source_file;
  Volume sink_volume;
  OutputFile sink_file;
  std::optional<std::uint64_t> length;
};

struct Report {
  std::uint64_t bytes = 0;
  std::uint64_t padded_bytes = 0;
  std::uint64_t zero_bytes = 0;
  double seconds = 0;
  double verify_seconds = 0;
  std::string sha256;
  Metrics metrics;
};

Result<void> check_chunk(const Volume& volume, const Arguments& arguments) {
  if (!volume.valid() || arguments.chunk_bytes % volume.block_bytes() == 0) return ok();
  return usage_error("--block-size " + std::to_string(arguments.chunk_bytes) +
                     " is no multiple of the block of " + volume.uri() + ", " +
                     std::to_string(volume.block_bytes()) + " bytes");
}

/// What of the source is to be copied, when that is known.
Result<std::optional<std::uint64_t>> length_of(const Arguments& arguments, const Ends& ends) {
  std::optional<std::uint64_t> has = ends.source_file.size_bytes;
  if (ends.source_volume.valid()) has = ends.source_volume.size_bytes();
  if (arguments.to_end) return has;
  if (has && arguments.length > *has) {
    return with_hint(Error(ErrorKind::out_of_range, "--length " + std::to_string(arguments.length) +
                                                        " is more than there is: " + arguments.from),
                     "it has " + std::to_string(*has) + " bytes");
  }
  return std::optional(arguments.length);
}

Result<Ends> open_ends(Runtime& runtime, const Arguments& arguments) {
  if (arguments.from == arguments.to) return usage_error(arguments.from + " onto itself", "give two places");
  Ends ends;
  if (is_uri(arguments.from)) {
    NETSTOR_TRY_RETURN(ends.source_volume,
                       open_volume(runtime, arguments.common, arguments.from, {.read_only = true}));
  } else {
    NETSTOR_TRY_RETURN(ends.source_file, open_input(arguments.from));
  }
  NETSTOR_TRY_RETURN(ends.length, length_of(arguments, ends));
  if (!is_uri(arguments.to)) {
    if (arguments.to == "-") {
      return usage_error("cp to standard output", "`netstor read` writes a volume to standard output");
    }
    NETSTOR_CHECK_RETURN(check_chunk(ends.source_volume, arguments));
    NETSTOR_TRY_RETURN(ends.sink_file, open_output(arguments.to, arguments.force));
    return ends;
  }
  NETSTOR_TRY_RETURN(ends.sink_volume, open_volume(runtime, arguments.common, arguments.to));
  const VolumeInfo info = ends.sink_volume.info();
  if (!info.writable) return Error(ErrorKind::permission_denied, arguments.to + " may not be written");
  if (ends.length.value_or(0) > info.size_bytes) {
    return with_hint(
        Error(ErrorKind::no_space, arguments.to + " is too small: " + format_size(info.size_bytes) + " for " +
                                       format_size(*ends.length)),
        "take a larger volume, or copy a part with --length " + std::to_string(info.size_bytes));
  }
  NETSTOR_CHECK_RETURN(check_chunk(ends.source_volume, arguments));
  NETSTOR_CHECK_RETURN(check_chunk(ends.sink_volume, arguments));
  return ends;
}

std::unique_ptr<Source> source_of(const Ends& ends) {
  if (ends.source_volume.valid()) return std::make_unique<VolumeSource>(ends.source_volume, 0, *ends.length);
  return std::make_unique<FileSource>(ends.source_file, ends.length.value_or(~std::uint64_t{0}));
}

/// Reads the destination back and compares it with what was sent.
Result<void> verify(const Arguments& arguments, const Ends& ends, Workspace& workspace, Report& report) {
  const auto begin = std::chrono::steady_clock::now();
  NullSink sink;
  Sha256 hash;
  Progress progress("verifying", report.bytes);
  const CopyOptions options{.hash = &hash, .progress = [&](std::uint64_t bytes) { progress.update(bytes); }};
  std::uint64_t bytes = 0;
  if (ends.sink_volume.valid()) {
    VolumeSource source(ends.sink_volume, 0, report.bytes);
    NETSTOR_TRY_RETURN(bytes, copy(source, sink, workspace, options));
  } else {
    NETSTOR_TRY_RETURN(const InputFile file, open_input(arguments.to));
    FileSource source(file);
    NETSTOR_TRY_RETURN(bytes, copy(source, sink, workspace, options));
  }
  report.verify_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (bytes == report.bytes && hash.hex() == report.sha256) return ok();
  return Error(ErrorKind::data_corrupt, arguments.to + " reads back differently from what was written");
}

Result<Report> copy_all(const Arguments& arguments, Runtime& runtime, const Ends& ends) {
  NETSTOR_TRY_RETURN(
      Workspace workspace,
      Workspace::make(runtime, static_cast<std::size_t>(arguments.chunk_bytes), arguments.depth));
  const std::unique_ptr<Source> source = source_of(ends);
  Report report;
  Sha256 hash;
  // What opening the volumes took does not count.
  const Metrics before = runtime.metrics();
  const auto begin = std::chrono::steady_clock::now();
  {
    Progress progress("copying", ends.length);
    const CopyOptions options{.hash = arguments.verify ? &hash : nullptr,
                              .progress = [&](std::uint64_t bytes) { progress.update(bytes); }};
    if (ends.sink_volume.valid()) {
      VolumeSink sink(ends.sink_volume, {.tail = Tail::zeroes, .sparse = arguments.sparse});
      NETSTOR_TRY_RETURN(report.bytes, copy(*source, sink, workspace, options));
      report.padded_bytes = sink.padded_bytes();
      report.zero_bytes = sink.zero_bytes();
    } else {
      FileSink sink(ends.sink_file, 0, arguments.sparse);
      NETSTOR_TRY_RETURN(report.bytes, copy(*source, sink, workspace, options));
    }
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.metrics = difference(runtime.metrics(), before);
  if (arguments.verify) {
    report.sha256 = hash.hex();
    NETSTOR_CHECK_RETURN(verify(arguments, ends, workspace, report));
  }
  return report;
}

void print_json(const Arguments& arguments, const Report& report) {
  nlohmann::ordered_json document{{"from", arguments.from},
                                  {"to", arguments.to},
                                  {"bytes", report.bytes},
                                  {"padded_bytes", report.padded_bytes},
                                  {"zero_bytes", report.zero_bytes},
                                  {"seconds", report.seconds},
                                  {"bytes_per_second", static_cast<double>(report.bytes) / report.seconds},
                                  {"verified", arguments.verify},
                                  {"metrics", json_of(report.metrics)}};
  if (arguments.verify) {
    document["sha256"] = report.sha256;
    document["verify_seconds"] = report.verify_seconds;
  }
  std::cout << document.dump(2) << '\n';
}

void print_text(const Arguments& arguments, const Report& report) {
  std::cout << "copied " << format_count(report.bytes) << " bytes (" << format_size(report.bytes) << ") in "
            << format_time(report.seconds * 1e9) << ", "
            << format_rate(static_cast<double>(report.bytes) / report.seconds) << ", flushed\n";
  if (report.zero_bytes != 0)
    std::cout << format_size(report.zero_bytes) << " of it were zeroes and were not sent\n";
  if (report.padded_bytes != 0) {
    std::cout << "the last block was filled up with " << report.padded_bytes
              << " zeroes; the exact bytes come back with:\n  netstor cp " << arguments.to
              << " FILE --length " << report.bytes << '\n';
  }
  if (arguments.verify) {
    std::cout << "verified: read back in " << format_time(report.verify_seconds * 1e9) << ", SHA-256 "
              << report.sha256 << '\n';
  }
  std::cout << "copied in user space on the way: " << format_size(report.metrics.copied_bytes) << '\n';
}

Result<void> run(const Arguments& arguments) {
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  NETSTOR_TRY_RETURN(const Ends ends, open_ends(runtime, arguments));
  const Result<Report> report = copy_all(arguments, runtime, ends);
  if (!report) {
    // Half a file under the name of a whole one helps nobody.
    if (ends.sink_file.created) ::unlink(arguments.to.c_str());
    return report.error();
  }
  arguments.common.json ? print_json(arguments, *report) : print_text(arguments, *report);
  if (ends.source_volume.valid()) NETSTOR_CHECK_RETURN(ends.source_volume.close().get());
  if (ends.sink_volume.valid()) NETSTOR_CHECK_RETURN(ends.sink_volume.close().get());
  return ok();
}

}  // namespace

void add_cp(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("cp", "Copy between files and volumes");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("SRC", arguments->from, "A volume, a file, or - for standard input")
      ->required()
      ->type_name("");
  verb->add_option("DST", arguments->to, "A volume or a file")->required()->type_name("");
  const CLI::Option* length =
      add_size(*verb, "--length", arguments->length, "Copy this much of the source (default: all)");
  add_size(*verb, "--block-size", arguments->chunk_bytes, "Of one request (1 MiB)");
  verb->add_option("--depth", arguments->depth, "Requests in flight (8)")->check(CLI::Range(1U, 1024U));
  verb->add_flag("--verify", arguments->verify, "Read the copy back and compare its SHA-256");
  verb->add_flag("--sparse", arguments->sparse,
                 "Do not send zeroes: write_zeroes on volumes, holes in files");
  verb->add_flag("--force", arguments->force, "Overwrite a file that is there");
  add_connection(*verb, arguments->common);
  verb->callback([arguments, length, &command] {
    arguments->to_end = length->count() == 0;
    if (arguments->chunk_bytes < 512 || arguments->chunk_bytes > (256U << 20)) {
      throw CLI::ValidationError("--block-size", "512 B to 256 MiB");
    }
    command.run = [arguments] { return run(*arguments); };
  });
}

}  // namespace netstor::tool
