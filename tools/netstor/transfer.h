// SPDX-License-Identifier: Apache-2.0
#pragma once
// Many copies at once between folders and buckets, behind `cp -r` and `sync`. Small ones first, several in
// flight, each in one request; large ones after them, one at a time in many parts: so memory stays bounded,
// and the wire full. One that fails is reported, and the others go on, unless nobody answers any more.

#include "tools/netstor/tree.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace netstor::tool {

class Progress;

struct Failure {
  std::string name;
  std::string text;
};

/// What was done, or with --dryrun would have been.
struct Outcome {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t removed = 0;
  std::uint64_t unchanged = 0;
  double seconds = 0;
  std::vector<Failure> failed;
};

struct TransferOptions {
  unsigned parallel = 16;  ///< small ones in flight
  bool dryrun = false;
  bool verbose = false;      ///< a line for each, as --dryrun has
  bool quiet = false;        ///< no such lines, whatever was said: what is printed is JSON
  std::string content_type;  ///< empty: by each name's ending
};

class Transfer {
 public:
  Transfer(Runtime& runtime, const Root& from, const Root& to, TransferOptions options)
      : runtime_(runtime), from_(from), to_(to), options_(std::move(options)) {}

  /// Copies these; what fails is in the outcome. An error: it could not go on.
  Result<void> copy(std::vector<Entry> entries, Outcome& outcome);
  /// Removes these from `at`.
  Result<void> remove(const Root& at, const std::vector<Entry>& entries, Outcome& outcome);

 private:
  struct Flight;
  class Window;
  Result<Flight> begin(const Entry& entry);
  Result<void> end(Flight& flight);
  Result<void> begin_upload(Flight& flight);
  Result<void> store(const Flight& flight);
  Result<void> copy_large(const Entry& entry, Progress& progress, std::uint64_t before);
  Result<void> download_large(const Entry& entry, const std::function<void(std::uint64_t)>& tell);
  /// True, and nothing noted, when it is of no use to try others.
  bool note(const Entry& entry, const Error& error, Outcome& outcome);
  void say(const char* what, const Entry& entry) const;

  Runtime& runtime_;
  const Root& from_;
  const Root& to_;
  TransferOptions options_;
};

/// --parallel, --dryrun, --verbose.
void add_transfer(CLI::App& verb, TransferOptions& options);
/// What could not be looked at is left behind, too.
void leave_out(const Tree& tree, Outcome& outcome);

/// "upload", "download" or "copy".
const char* kind_of(const Root& from, const Root& to);
/// One line for people, with `verb` as "copied".
void print_outcome(const Outcome& outcome, const TransferOptions& options, const char* verb);
nlohmann::ordered_json json_of(const Outcome& outcome, const TransferOptions& options);
/// Ok, or an error that sums up what failed; each was said before.
Result<void> judge(const Outcome& outcome);

}  // namespace netstor::tool
