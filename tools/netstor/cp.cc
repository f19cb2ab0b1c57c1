// SPDX-License-Identifier: Apache-2.0
// netstor cp: one file, volume or object to another. How the bytes move is in copy.h; here is what the user
// may ask for, what is refused, and what is said about it. Many at once (-r) are tree_verb.h's.

#include <netstor/uri.h>

#include "tools/netstor/bucket_ends.h"
#include "tools/netstor/endpoints.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/hash.h"
#include "tools/netstor/progress.h"
#include "tools/netstor/report.h"
#include "tools/netstor/text.h"
#include "tools/netstor/tree_verb.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor cp disk.img nvme+tcp://localhost/NQN --verify
  netstor cp nvme+tcp://localhost/NQN copy.img --length 1234567
  netstor cp nvme+tcp://10.0.0.1/NQN nvme+tcp://10.0.0.2/NQN --block-size 1MiB --depth 16 --sparse
  netstor cp lake.jpg s3://photos/2026/              the object 2026/lake.jpg
  netstor cp nvme+tcp://localhost/NQN s3://images/disk.img --verify
  netstor cp s3://photos/a.jpg s3://backup/          within the service, nothing passes through here
  tar c src | netstor cp - s3://backup/src.tar       and s3://… - for standard output
  netstor cp -r photos s3://photos/2026 --exclude '*.tmp'
s3:// is an object, another :// a volume, anything else a path. A file whose length is no multiple of the
volume's block is followed by zeroes up to the block's end; --length reads exactly it back. With -r the names
below SRC/ become the same names below DST/.)";

struct Arguments {
  Common common;
  Service service;
  std::string content_type;
  std::string from;
  std::string to;
  std::uint64_t length = 0;
  bool to_end = true;
  std::uint64_t chunk_bytes = 1 << 20;
  unsigned depth = 8;
  bool verify = false;
  bool sparse = false;
  bool force = false;
  bool recursive = false;
  Match match;
  TransferOptions transfer;
};

/// The ends of the copy: each a volume, a file or an object.
struct Ends {
  Volume source_volume;
  InputFile source_file;
  Volume sink_volume;
  OutputFile sink_file;
  Bucket source_bucket;
  ObjectInfo source_object;
  Bucket sink_bucket;
  std::string sink_key;
  std::optional<std::uint64_t> length;
};

struct Report {
  std::uint64_t bytes = 0;
  std::uint64_t padded_bytes = 0;
  std::uint64_t zero_bytes = 0;
  double seconds = 0;
  double verify_seconds = 0;
  bool checked = false;  ///< against the checksum that the service keeps
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
  if (ends.source_bucket.valid()) has = ends.source_object.size_bytes;
  if (arguments.to_end) return has;
  if (has && arguments.length > *has) {
    return with_hint(Error(ErrorKind::out_of_range, "--length " + std::to_string(arguments.length) +
                                                        " is more than there is: " + arguments.from),
                     "it has " + std::to_string(*has) + " bytes");
  }
  return std::optional(arguments.length);
}

Result<void> open_source(Runtime& runtime, const Arguments& arguments, Ends& ends) {
  if (is_bucket(arguments.from)) {
    NETSTOR_TRY_RETURN(const ObjectUri uri, parse_object_uri(arguments.from, Wanted::key));
    NETSTOR_TRY_RETURN(ends.source_bucket, open_bucket(runtime, arguments.common, arguments.service,
                                                       uri.bucket, arguments.depth));
    NETSTOR_TRY_RETURN(ends.source_object, ends.source_bucket.head(uri.key).get());
  } else if (is_uri(arguments.from)) {
    NETSTOR_TRY_RETURN(ends.source_volume,
                       open_volume(runtime, arguments.common, arguments.from, {.read_only = true}));
  } else {
    NETSTOR_TRY_RETURN(ends.source_file, open_input(arguments.from));
  }
  NETSTOR_TRY_RETURN(ends.length, length_of(arguments, ends));
  return ok();
}

Result<Ends> open_ends(Runtime& runtime, const Arguments& arguments) {
  Ends ends;
  NETSTOR_CHECK_RETURN(open_source(runtime, arguments, ends));
  if (is_bucket(arguments.to)) {
    NETSTOR_TRY_RETURN(ObjectUri uri, parse_object_uri(arguments.to, Wanted::key));
    NETSTOR_TRY_RETURN(ends.sink_bucket, open_bucket(runtime, arguments.common, arguments.service, uri.bucket,
                                                     arguments.depth));
    ends.sink_key = std::move(uri.key);
    NETSTOR_CHECK_RETURN(check_chunk(ends.source_volume, arguments));
    return ends;
  }
  if (!is_uri(arguments.to)) {
    if (arguments.to == "-") {
      return usage_error("cp to standard output",
                         "`netstor read` writes a volume there, `netstor cat` an object");
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

/// Objects move in larger pieces, as S3 wants it of the parts of an upload; both are whole blocks.
std::size_t chunk_bytes(const Arguments& arguments, const Ends& ends) {
  if (!ends.source_bucket.valid() && !ends.sink_bucket.valid()) {
    return static_cast<std::size_t>(arguments.chunk_bytes);
  }
  const std::uint64_t part = part_bytes_for(ends.length.value_or(0));
  return static_cast<std::size_t>(round_up(part, arguments.chunk_bytes));
}

PutOptions put_options(const Arguments& arguments) {
  PutOptions options;
  options.content_type =
      arguments.content_type.empty() ? content_type_of(arguments.to) : arguments.content_type;
  return options;
}

std::unique_ptr<Source> source_of(Runtime& runtime, const Ends& ends) {
  if (ends.source_volume.valid()) return std::make_unique<VolumeSource>(ends.source_volume, 0, *ends.length);
  if (ends.source_bucket.valid()) {
    return std::make_unique<BucketSource>(runtime, ends.source_bucket, ends.source_object, *ends.length);
  }
  return std::make_unique<FileSource>(ends.source_file, ends.length.value_or(~std::uint64_t{0}));
}

/// Reads the destination back and compares it with what was sent.
Result<void> verify(const Arguments& arguments, Runtime& runtime, const Ends& ends, Workspace& workspace,
                    Report& report) {
  const auto begin = std::chrono::steady_clock::now();
  NullSink sink;
  Sha256 hash;
  Progress progress("verifying", report.bytes);
  const CopyOptions options{.hash = &hash, .progress = [&](std::uint64_t bytes) { progress.update(bytes); }};
  std::uint64_t bytes = 0;
  if (ends.sink_volume.valid()) {
    VolumeSource source(ends.sink_volume, 0, report.bytes);
    NETSTOR_TRY_RETURN(bytes, copy(source, sink, workspace, options));
  } else if (ends.sink_bucket.valid()) {
    NETSTOR_TRY_RETURN(const ObjectInfo info, ends.sink_bucket.head(ends.sink_key).get());
    BucketSource source(runtime, ends.sink_bucket, info, info.size_bytes);
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
  const std::size_t chunk = chunk_bytes(arguments, ends);
  NETSTOR_TRY_RETURN(Workspace workspace, Workspace::make(runtime, chunk, arguments.depth));
  const std::unique_ptr<Source> source = source_of(runtime, ends);
  Report report;
  Sha256 hash;
  // Of objects in one piece, too: few services tell the checksum with a range, be it all of the object.
  ObjectCheck check(ends.source_bucket, ends.source_object);
  report.checked =
      ends.source_bucket.valid() && ends.length == ends.source_object.size_bytes && check.compares();
  // What opening the volumes took does not count.
  const Metrics before = runtime.metrics();
  const auto begin = std::chrono::steady_clock::now();
  {
    Progress progress("copying", ends.length);
    const CopyOptions options{.hash = arguments.verify ? &hash : nullptr,
                              .check = report.checked ? &check : nullptr,
                              .progress = [&](std::uint64_t bytes) { progress.update(bytes); }};
    if (ends.sink_volume.valid()) {
      VolumeSink sink(ends.sink_volume, {.tail = Tail::zeroes, .sparse = arguments.sparse});
      NETSTOR_TRY_RETURN(report.bytes, copy(*source, sink, workspace, options));
      report.padded_bytes = sink.padded_bytes();
      report.zero_bytes = sink.zero_bytes();
    } else if (ends.sink_bucket.valid() && !ends.length) {
      NETSTOR_TRY_RETURN(report.bytes, put_stream(ends.source_file, ends.sink_bucket, ends.sink_key,
                                                  put_options(arguments), options.progress, options.hash));
    } else if (ends.sink_bucket.valid()) {
      BucketSink sink(runtime, ends.sink_bucket, ends.sink_key, put_options(arguments), chunk);
      NETSTOR_TRY_RETURN(report.bytes, copy(*source, sink, workspace, options));
    } else {
      FileSink sink(ends.sink_file, 0, arguments.sparse);
      NETSTOR_TRY_RETURN(report.bytes, copy(*source, sink, workspace, options));
    }
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.metrics = difference(runtime.metrics(), before);
  if (arguments.verify) {
    report.sha256 = hash.hex();
    NETSTOR_CHECK_RETURN(verify(arguments, runtime, ends, workspace, report));
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
                                  {"checksum_compared", report.checked},
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
            << format_rate(static_cast<double>(report.bytes) / report.seconds)
            << (is_bucket(arguments.to) ? ", stored\n" : ", flushed\n");
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

Result<void> close(const Ends& ends) {
  for (const Volume* volume : {&ends.source_volume, &ends.sink_volume}) {
    if (volume->valid()) NETSTOR_CHECK_RETURN(volume->close().get());
  }
  for (const Bucket* bucket : {&ends.source_bucket, &ends.sink_bucket}) {
    if (bucket->valid()) NETSTOR_CHECK_RETURN(bucket->close().get());
  }
  return ok();
}

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// The destination may be a folder, or a prefix that ends like one: then the source's own name follows.
Result<std::string> destination(const Arguments& arguments) {
  const bool from_volume = is_uri(arguments.from) && !is_bucket(arguments.from);
  const std::string name = from_volume || arguments.from == "-" ? "" : last_part(arguments.from);
  if (is_bucket(arguments.to)) {
    NETSTOR_TRY_RETURN(ObjectUri uri, parse_object_uri(arguments.to, Wanted::prefix));
    if (!uri.key.empty() && !uri.key.ends_with('/')) return arguments.to;
    if (name.empty())
      return usage_error(arguments.to + " names no object", "name one: " + uri.text() + "NAME");
    uri.key += name;
    return uri.text();
  }
  struct stat facts {};
  const bool folder =
      !is_uri(arguments.to) &&
      (arguments.to.ends_with('/') || (::stat(arguments.to.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode)));
  if (!folder || !is_bucket(arguments.from)) return arguments.to;
  if (!fits_folder(name)) {
    return usage_error(arguments.from + " cannot be the name of a file", "name the file, too");
  }
  return arguments.to + (arguments.to.ends_with('/') ? "" : "/") + name;
}

/// An object to standard output.
Result<void> run_to_stdout(const Arguments& arguments, Runtime& runtime) {
  if (arguments.common.json) {
    return usage_error("--json and the object's bytes cannot share standard output", "name a file");
  }
  NETSTOR_TRY_RETURN(const ObjectUri uri, parse_object_uri(arguments.from, Wanted::key));
  NETSTOR_TRY_RETURN(const Bucket bucket,
                     open_bucket(runtime, arguments.common, arguments.service, uri.bucket));
  NETSTOR_TRY_RETURN(const OutputFile output, open_output("-", true));
  Progress progress("reading", std::nullopt);
  const std::uint64_t most = arguments.to_end ? ~std::uint64_t{0} : arguments.length;
  const Result<std::uint64_t> done =
      get_stream(bucket, uri.key, {}, most, output, [&](std::uint64_t bytes) { progress.update(bytes); });
  if (!done) return done.error();
  return bucket.close().get();
}

/// Object to object: the service copies.
Result<Report> copy_within(Runtime& runtime, const Ends& ends) {
  Report report;
  const Metrics before = runtime.metrics();
  const auto begin = std::chrono::steady_clock::now();
  report.bytes = ends.source_object.size_bytes;
  NETSTOR_CHECK_RETURN(
      copy_object(ends.source_bucket, ends.source_object.key, report.bytes, ends.sink_bucket, ends.sink_key));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.metrics = difference(runtime.metrics(), before);
  return report;
}

/// What the source is, is looked at all the same.
Result<void> say_what_would_be_done(Runtime& runtime, const Arguments& arguments) {
  Ends ends;
  NETSTOR_CHECK_RETURN(open_source(runtime, arguments, ends));
  if (arguments.common.json) {
    std::cout << dumped({{"from", arguments.from},
                         {"to", arguments.to},
                         {"bytes", ends.length.value_or(0)},
                         {"dryrun", true}})
              << '\n';
  } else {
    std::cout << "(dryrun) copy: " << printable(arguments.from) << " to " << printable(arguments.to) << '\n';
  }
  return close(ends);
}

Result<void> run(Arguments arguments) {
  NETSTOR_TRY_RETURN(arguments.to, destination(arguments));
  if (arguments.from == arguments.to) return usage_error(arguments.from + " onto itself", "give two places");
  NETSTOR_TRY_RETURN(Runtime runtime, start_runtime(arguments.common));
  if (arguments.transfer.dryrun) return say_what_would_be_done(runtime, arguments);
  if (is_bucket(arguments.from) && arguments.to == "-") return run_to_stdout(arguments, runtime);
  NETSTOR_TRY_RETURN(const Ends ends, open_ends(runtime, arguments));
  const bool within = ends.source_bucket.valid() && ends.sink_bucket.valid();
  if (within && !arguments.to_end) {
    return usage_error("--length of an object to an object", "the service copies objects whole");
  }
  const Result<Report> report =
      within && !arguments.verify ? copy_within(runtime, ends) : copy_all(arguments, runtime, ends);
  if (!report) {
    // Half a file under the name of a whole one helps nobody, and a whole one of wrong bytes even less.
    if (ends.sink_file.created) {
      ::unlink(arguments.to.c_str());
    } else if (ends.sink_file.regular) {
      const bool emptied = ::ftruncate(ends.sink_file.file.fd(), 0) == 0;
      return with_note(report.error(),
                       arguments.to + (emptied ? " was left empty" : " holds what came so far"));
    }
    return report.error();
  }
  arguments.common.json ? print_json(arguments, *report) : print_text(arguments, *report);
  return close(ends);
}

Result<void> run_tree(const Arguments& arguments) {
  if (arguments.verify || arguments.sparse || !arguments.to_end) {
    return usage_error("--verify, --sparse and --length are of one copy, not of -r",
                       "`netstor sync --dryrun` shows what differs");
  }
  TreeArguments tree;
  tree.common = arguments.common;
  tree.service = arguments.service;
  tree.match = arguments.match;
  tree.transfer = arguments.transfer;
  tree.transfer.quiet = arguments.common.json;
  tree.transfer.content_type = arguments.content_type;
  tree.from = arguments.from;
  tree.to = arguments.to;
  tree.force = arguments.force;
  return copy_tree(tree);
}

}  // namespace

void add_cp(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("cp", "Copy files, volumes and objects");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("SRC", arguments->from, "A volume, an object, a file, or - for standard input")
      ->required()
      ->type_name("");
  verb->add_option("DST", arguments->to, "A volume, an object, a file or a folder; - for standard output")
      ->required()
      ->type_name("");
  const CLI::Option* length =
      add_size(*verb, "--length", arguments->length, "Copy this much of the source (default: all)");
  add_size(*verb, "--block-size", arguments->chunk_bytes, "Of one request (1 MiB)");
  verb->add_option("--depth", arguments->depth, "Requests in flight (8)")->check(CLI::Range(1U, 1024U));
  verb->add_flag("--verify", arguments->verify, "Read the copy back and compare its SHA-256");
  verb->add_flag("--sparse", arguments->sparse,
                 "Do not send zeroes: write_zeroes on volumes, holes in files");
  verb->add_flag("--force", arguments->force, "Overwrite a file that is there");
  verb->add_flag("-r,--recursive", arguments->recursive, "A folder, or all keys below a prefix");
  add_match(*verb, arguments->match);
  add_transfer(*verb, arguments->transfer);
  verb->add_option("--content-type", arguments->content_type,
                   "Of the objects (default: by the name's ending)")
      ->type_name("TYPE");
  add_connection(*verb, arguments->common);
  add_service(*verb, arguments->service);
  add_checksum(*verb, arguments->service);
  verb->callback([arguments, length, &command] {
    arguments->to_end = length->count() == 0;
    if (arguments->chunk_bytes < 512 || arguments->chunk_bytes > (256U << 20)) {
      throw CLI::ValidationError("--block-size", "512 B to 256 MiB");
    }
    const bool buckets = arguments->recursive || is_bucket(arguments->from) || is_bucket(arguments->to);
    command.run = [arguments, buckets] {
      Result<void> done = arguments->recursive ? run_tree(*arguments) : run(*arguments);
      return buckets ? explained(std::move(done)) : done;
    };
  });
}

}  // namespace netstor::tool
