// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/tally.h"

#include <cstdio>

namespace netstor::sim {

namespace {

constexpr std::size_t kColumns = 100;

/// "label  12 this, 3 that, …", wrapped under itself.
class Row {
 public:
  explicit Row(const char* label) : line_(std::string("  ") + label) { line_.resize(kIndent, ' '); }
  void add(std::uint64_t count, std::string_view what) {
    std::string item = std::to_string(count) + ' ' + std::string(what);
    if (!first_) line_ += ',';
    if (line_.size() + item.size() + 2 > kColumns) {
      text_ += line_ + '\n';
      line_.assign(kIndent, ' ');
    } else if (!first_) {
      line_ += ' ';
    }
    line_ += item;
    first_ = false;
  }
  std::string text() const { return text_ + line_ + '\n'; }

 private:
  static constexpr std::size_t kIndent = 12;
  std::string text_;
  std::string line_;
  bool first_ = true;
};

}  // namespace

const char* to_string(DeviceVerb verb) noexcept {
  static constexpr std::array<const char*, Tally::kVerbs> kNames = {
      "read", "write", "flush", "write-zeroes", "deallocate", "compare", "compare-and-write", "verify"};
  return kNames[static_cast<std::size_t>(verb)];
}

Tally& Tally::operator+=(const Tally& other) noexcept {
  for (std::size_t i = 0; i < kVerbs; ++i) asked[i] += other.asked[i];
  for (std::size_t i = 0; i < kKinds; ++i) failed[i] += other.failed[i];
  for (std::size_t i = 0; i < faults.size(); ++i) faults[i] += other.faults[i];
  answered_ok += other.answered_ok;
  unknown += other.unknown;
  dropped += other.dropped;
  blocks_checked += other.blocks_checked;
  stored += other.stored;
  replays += other.replays;
  reconnects += other.reconnects;
  time += other.time;
  return *this;
}

std::string Tally::to_string() const {
  Row requests("requests"), answers("answers"), wrong("faults"), recovery("recovery"), checked("checked");
  for (std::size_t i = 0; i < kVerbs; ++i) requests.add(asked[i], sim::to_string(static_cast<DeviceVerb>(i)));
  answers.add(answered_ok, "ok");
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (failed[i] > 0) answers.add(failed[i], netstor::to_string(static_cast<ErrorKind>(i)));
  }
  answers.add(dropped, "abandoned");
  for (std::size_t i = 0; i < faults.size(); ++i) wrong.add(faults[i], kFaultNames[i]);
  recovery.add(reconnects, "reconnects");
  recovery.add(replays, "replays");
  recovery.add(unknown, "effects unknown");
  checked.add(blocks_checked, "blocks read");
  checked.add(stored, "completions of the server's store");
  return requests.text() + answers.text() + wrong.text() + recovery.text() + checked.text();
}

}  // namespace netstor::sim
