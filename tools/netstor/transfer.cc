// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/transfer.h"

#include <netstor/uri.h>

#include "tools/netstor/bucket_ends.h"
#include "tools/netstor/endpoints.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/local_file.h"
#include "tools/netstor/progress.h"
#include "tools/netstor/service.h"
#include "tools/netstor/text.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <iostream>

namespace netstor::tool {
namespace {

constexpr std::uint64_t kLargeFrom = (8 << 20) + 1;            // what is smaller goes in one request
constexpr std::uint64_t kFlightBytes = 64 << 20;               // of small ones under way
constexpr std::uint64_t kCopyAtOnce = std::uint64_t{5} << 30;  // within the service
constexpr unsigned kLargeDepth = 8;
constexpr std::size_t kFailuresShown = 10;

/// Nobody answers, or nobody will let us in: the next one would meet the same.
bool ends_all(const Error& error) {
  const std::string& text = error.text();
  return error.kind() == ErrorKind::disconnected || error.kind() == ErrorKind::timed_out ||
         error.kind() == ErrorKind::no_space || text.find("NoSuchBucket") != std::string::npos ||
         text.find("InvalidAccessKeyId") != std::string::npos ||
         text.find("SignatureDoesNotMatch") != std::string::npos;
}

}  // namespace

/// A small one that is under way.
struct Transfer::Flight {
  Entry entry;
  Buffer memory;
  Future<ObjectInfo> sent;    // of uploads and copies
  Future<ObjectRead> coming;  // of downloads
  std::uint64_t held = 0;     // of the window's bytes
};

/// The flights, oldest first. None outlives this: their bytes are lent to the library.
class Transfer::Window {
 public:
  Window() = default;
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  ~Window() {
    for (Flight& each : flights_) {
      if (each.sent.valid()) each.sent.cancel();
      if (each.coming.valid()) each.coming.cancel();
    }
    for (Flight& each : flights_) {
      if (each.sent.valid()) static_cast<void>(each.sent.get().ok());
      if (each.coming.valid()) static_cast<void>(each.coming.get().ok());
    }
  }
  bool empty() const noexcept { return flights_.empty(); }
  bool has_room(std::uint64_t bytes, unsigned most) const noexcept {
    return empty() || (flights_.size() < most && bytes_ + bytes <= kFlightBytes);
  }
  void push(Flight flight, std::uint64_t held) {
    flight.held = held;
    bytes_ += held;
    flights_.push_back(std::move(flight));
  }
  Flight& oldest() noexcept { return flights_.front(); }
  void pop() {
    bytes_ -= flights_.front().held;
    flights_.pop_front();
  }

 private:
  std::deque<Flight> flights_;
  std::uint64_t bytes_ = 0;
};

const char* kind_of(const Root& from, const Root& to) {
  return from.local() ? "upload" : to.local() ? "download" : "copy";
}

void Transfer::say(const char* what, const Entry& entry) const {
  if (options_.quiet) return;
  std::cout << (options_.dryrun ? "(dryrun) " : "") << what << ": " << printable(from_.text(entry.name))
            << " to " << printable(to_.text(entry.name)) << '\n';
}

bool Transfer::note(const Entry& entry, const Error& error, Outcome& outcome) {
  if (ends_all(error)) return true;
  if (outcome.failed.size() < kFailuresShown) {
    std::cout.flush();
    std::cerr << "netstor: " << printable(from_.text(entry.name)) << ": " << plain_text(error) << '\n';
  }
  outcome.failed.push_back({entry.name, plain_text(error)});
  return false;
}

Result<void> Transfer::begin_upload(Flight& flight) {
  const std::string& name = flight.entry.name;
  NETSTOR_TRY_RETURN(const InputFile input, open_input(from_.path + name));
  // It may have grown or shrunk since it was seen; what is there now is what goes.
  const std::uint64_t size = input.size_bytes.value_or(flight.entry.size_bytes);
  if (size >= kLargeFrom)
    return Error(ErrorKind::invalid_argument, "it grew while it was looked at: try again");
  flight.entry.size_bytes = size;
  std::size_t had = 0;
  if (size != 0) {
    NETSTOR_TRY_RETURN(flight.memory, Buffer::allocate(static_cast<std::size_t>(size)));
    FileSource source(input, size);
    Future<void> read;
    NETSTOR_TRY_RETURN(had, source.read(0, flight.memory.bytes(), read));
  }
  PutOptions options;
  options.content_type = options_.content_type.empty() ? content_type_of(name) : options_.content_type;
  flight.sent = to_.bucket.put(to_.prefix + name, Bytes(flight.memory.bytes()).first(had), options);
  return ok();
}

Result<Transfer::Flight> Transfer::begin(const Entry& entry) {
  Flight flight{.entry = entry, .memory = {}, .sent = {}, .coming = {}, .held = 0};
  if (from_.local()) {
    NETSTOR_CHECK_RETURN(begin_upload(flight));
  } else if (!to_.local()) {
    netstor::CopyOptions options;
    options.source_bucket = from_.bucket.name();
    flight.sent = to_.bucket.copy(from_.prefix + entry.name, to_.prefix + entry.name, options);
  } else {
    if (!fits_folder(entry.name)) {
      return Error(ErrorKind::invalid_argument, "this key cannot be the name of a file in a folder");
    }
    if (entry.size_bytes != 0) {
      NETSTOR_TRY_RETURN(flight.memory, Buffer::allocate(static_cast<std::size_t>(entry.size_bytes)));
    }
    flight.coming = from_.bucket.get(from_.prefix + entry.name, flight.memory.bytes());
  }
  return flight;
}

Result<void> Transfer::store(const Flight& flight) {
  NETSTOR_TRY_RETURN(NewFile file, NewFile::make(to_.path, flight.entry.name));
  FileSink sink(file.output(), 0, false);
  // Bytes of ours; the sink borrows them for this call.
  const Bytes bytes = flight.memory.bytes();
  NETSTOR_CHECK_RETURN(
      sink.write(0, MutableBytes(const_cast<std::byte*>(bytes.data()), bytes.size()), bytes.size()).get());
  return file.commit(flight.entry.modified);
}

Result<void> Transfer::end(Flight& flight) {
  if (flight.sent.valid()) {
    const Result<ObjectInfo> sent = flight.sent.get();
    return sent ? ok() : Result<void>(sent.error());
  }
  NETSTOR_TRY_RETURN(const ObjectRead read, flight.coming.get());
  if (read.info.size_bytes != flight.entry.size_bytes || read.bytes != flight.entry.size_bytes) {
    // Replaced since it was listed: as it is now, then.
    return download_large(flight.entry, [](std::uint64_t) {});
  }
  return store(flight);
}

Result<void> Transfer::download_large(const Entry& entry, const std::function<void(std::uint64_t)>& tell) {
  if (!fits_folder(entry.name)) {
    return Error(ErrorKind::invalid_argument, "this key cannot be the name of a file in a folder");
  }
  NETSTOR_TRY_RETURN(const ObjectInfo info, from_.bucket.head(from_.prefix + entry.name).get());
  NETSTOR_TRY_RETURN(NewFile file, NewFile::make(to_.path, entry.name));
  NETSTOR_TRY_RETURN(Workspace workspace,
                     Workspace::make(runtime_, part_bytes_for(info.size_bytes), kLargeDepth));
  BucketSource source(runtime_, from_.bucket, info, info.size_bytes);
  FileSink sink(file.output(), 0, false);
  ObjectCheck check(from_.bucket, info);
  const Result<std::uint64_t> copied =
      tool::copy(source, sink, workspace, {.hash = nullptr, .check = &check, .progress = tell});
  if (!copied) return copied.error();
  return file.commit(info.modified);
}

Result<void> Transfer::copy_large(const Entry& entry, Progress& progress, std::uint64_t before) {
  const auto tell = [&](std::uint64_t bytes) { progress.update(before + bytes); };
  if (!from_.local() && !to_.local()) {
    return copy_object(from_.bucket, from_.prefix + entry.name, entry.size_bytes, to_.bucket,
                       to_.prefix + entry.name);
  }
  if (to_.local()) return download_large(entry, tell);
  NETSTOR_TRY_RETURN(const InputFile input, open_input(from_.path + entry.name));
  const std::uint64_t part = part_bytes_for(input.size_bytes.value_or(entry.size_bytes));
  NETSTOR_TRY_RETURN(Workspace workspace, Workspace::make(runtime_, part, kLargeDepth));
  PutOptions options;
  options.content_type = options_.content_type.empty() ? content_type_of(entry.name) : options_.content_type;
  FileSource source(input);
  BucketSink sink(runtime_, to_.bucket, to_.prefix + entry.name, options, part);
  const Result<std::uint64_t> copied =
      tool::copy(source, sink, workspace, {.hash = nullptr, .progress = tell});
  if (!copied) return copied.error();
  return ok();
}

Result<void> Transfer::copy(std::vector<Entry> entries, Outcome& outcome) {
  const char* const kind = kind_of(from_, to_);
  // Within the service the bytes stay where they are: only S3's own limit makes one large.
  const std::uint64_t large_from = from_.local() || to_.local() ? kLargeFrom : kCopyAtOnce + 1;
  const auto large = std::stable_partition(entries.begin(), entries.end(),
                                           [&](const Entry& each) { return each.size_bytes < large_from; });
  std::uint64_t total = 0;
  for (const Entry& each : entries) total += each.size_bytes;
  if (options_.dryrun) {
    for (const Entry& each : entries) say(kind, each);
    outcome.files += entries.size();
    outcome.bytes += total;
    return ok();
  }
  Progress progress(std::string(kind) + " of " + format_count(entries.size()) + " files", total);
  const std::uint64_t before = outcome.bytes;
  const auto settle = [&](const Entry& entry, Result<void> result) -> Result<void> {
    if (!result) return note(entry, result.error(), outcome) ? std::move(result) : ok();
    if (options_.verbose) say(kind, entry);
    ++outcome.files;
    outcome.bytes += entry.size_bytes;
    progress.update(outcome.bytes - before);
    return ok();
  };
  Window window;
  const auto land = [&] {
    const Entry entry = window.oldest().entry;
    Result<void> result = end(window.oldest());
    window.pop();
    return settle(entry, std::move(result));
  };
  for (auto next = entries.begin(); next != large; ++next) {
    const std::uint64_t held = from_.local() || to_.local() ? next->size_bytes : 0;
    while (!window.has_room(held, options_.parallel)) NETSTOR_CHECK_RETURN(land());
    Result<Flight> begun = begin(*next);
    if (begun) {
      window.push(*std::move(begun), held);
    } else {
      NETSTOR_CHECK_RETURN(settle(*next, begun.error()));
    }
  }
  while (!window.empty()) NETSTOR_CHECK_RETURN(land());
  for (auto next = large; next != entries.end(); ++next) {
    NETSTOR_CHECK_RETURN(settle(*next, copy_large(*next, progress, outcome.bytes - before)));
  }
  return ok();
}

Result<void> Transfer::remove(const Root& at, const std::vector<Entry>& entries, Outcome& outcome) {
  if ((options_.dryrun || options_.verbose) && !options_.quiet) {
    for (const Entry& each : entries) {
      std::cout << (options_.dryrun ? "(dryrun) " : "") << "remove: " << printable(at.text(each.name))
                << '\n';
    }
  }
  if (options_.dryrun) {
    outcome.removed += entries.size();
    return ok();
  }
  constexpr std::size_t kBatch = 10'000;
  Progress progress("removing", entries.size(), Progress::Unit::things);
  for (std::size_t from = 0; from < entries.size(); from += kBatch) {
    const std::size_t end = std::min(entries.size(), from + kBatch);
    std::vector<Failure> failed;
    if (at.local()) {
      for (std::size_t i = from; i < end; ++i) {
        const std::string path = at.path + entries[i].name;
        if (::unlink(path.c_str()) != 0) failed.push_back({path, Error::system(errno, path).text()});
      }
    } else {
      std::vector<std::string> keys;
      for (std::size_t i = from; i < end; ++i) keys.push_back(at.prefix + entries[i].name);
      NETSTOR_TRY_RETURN(const std::vector<RemoveFailure> refused,
                         at.bucket.remove_many(std::move(keys)).get());
      for (const RemoveFailure& each : refused) failed.push_back({each.key, each.code + ": " + each.text});
    }
    for (Failure& each : failed) {
      if (outcome.failed.size() < kFailuresShown) {
        std::cerr << "netstor: " << printable(each.name) << ": " << each.text << '\n';
      }
      outcome.failed.push_back(std::move(each));
    }
    outcome.removed += end - from - failed.size();
    progress.update(end);
  }
  return ok();
}

void add_transfer(CLI::App& verb, TransferOptions& options) {
  verb.add_option("--parallel", options.parallel, "Transfers under way at once (16)")
      ->check(CLI::Range(1U, 1024U));
  verb.add_flag("--dryrun", options.dryrun, "Say what would be done, and do nothing");
  verb.add_flag("-v,--verbose", options.verbose, "A line for each file");
}

void leave_out(const Tree& tree, Outcome& outcome) {
  for (const std::string& each : tree.left_out) {
    if (outcome.failed.size() < kFailuresShown) std::cerr << "netstor: " << printable(each) << '\n';
    outcome.failed.push_back({each.substr(0, each.rfind(": ")), each});
  }
}

void print_outcome(const Outcome& outcome, const TransferOptions& options, const char* verb) {
  const bool plural = outcome.files != 1;
  std::cout << (options.dryrun ? "(dryrun) " : "") << verb << ' ' << format_count(outcome.files)
            << (plural ? " files (" : " file (") << format_size(outcome.bytes) << ')';
  if (outcome.removed != 0) std::cout << ", removed " << format_count(outcome.removed);
  if (outcome.unchanged != 0) std::cout << ", " << format_count(outcome.unchanged) << " were the same";
  if (!options.dryrun) {
    std::cout << " in " << format_time(outcome.seconds * 1e9);
    if (outcome.bytes != 0) {
      std::cout << ", " << format_rate(static_cast<double>(outcome.bytes) / std::max(outcome.seconds, 1e-9));
    }
  }
  std::cout << '\n';
}

nlohmann::ordered_json json_of(const Outcome& outcome, const TransferOptions& options) {
  auto failed = nlohmann::ordered_json::array();
  for (const Failure& each : outcome.failed) failed.push_back({{"name", each.name}, {"error", each.text}});
  return {{"files", outcome.files},         {"bytes", outcome.bytes},     {"removed", outcome.removed},
          {"unchanged", outcome.unchanged}, {"seconds", outcome.seconds}, {"dryrun", options.dryrun},
          {"failed", std::move(failed)}};
}

Result<void> judge(const Outcome& outcome) {
  if (outcome.failed.empty()) return ok();
  const std::string count = format_count(outcome.failed.size());
  Error error(ErrorKind::device_error,
              count + (outcome.failed.size() == 1 ? " file was" : " files were") + " left behind");
  if (outcome.failed.size() <= kFailuresShown) return error;
  return with_hint(std::move(error), "--json names all of them");
}

}  // namespace netstor::tool
