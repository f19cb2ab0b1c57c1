// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/model.h"

#include <algorithm>

namespace netstor::sim {

BlockModel::BlockModel(std::uint64_t blocks) : blocks_(blocks, Block{Candidate{}}) {
  requests_.push_back({.count = blocks, .end = 1, .under_way = false, .acknowledged = true, .durable = true});
}

BlockModel::Ticket BlockModel::add(Request request) {
  request.begin = now();
  requests_.push_back(request);
  return {static_cast<std::uint32_t>(requests_.size() - 1)};
}

BlockModel::Ticket BlockModel::begin_write(std::uint64_t first, std::uint64_t count, Version version) {
  const Ticket ticket = add({.version = version, .first = first, .count = count});
  for (std::uint64_t i = first; i < first + count; ++i) blocks_[i].push_back({.write = ticket.index});
  return ticket;
}

BlockModel::Ticket BlockModel::begin_read() { return add({}); }

void BlockModel::write_done(Ticket ticket, bool durable, bool may_recur) {
  Request& write = requests_[ticket.index];
  const Moment answered = now();
  write.end = may_recur ? kNever : answered;
  write.under_way = false;
  // The answer may have been sent before the power failed and come after: then the write is lost or not.
  if (write.begin < power_failure_ && !durable) return;
  write.acknowledged = true;
  for (std::uint64_t i = write.first; i < write.first + write.count; ++i) {
    for (Candidate& candidate : blocks_[i]) {
      if (older(candidate, write.begin)) candidate.hidden = std::min(candidate.hidden, moment_);
    }
  }
  if (durable) {
    make_durable(ticket.index);
  } else {
    cached_.push_back(ticket.index);
  }
}

void BlockModel::make_durable(std::uint32_t index) {
  Request& write = requests_[index];
  write.durable = true;
  for (std::uint64_t i = write.first; i < write.first + write.count; ++i) {
    for (Candidate& candidate : blocks_[i]) candidate.lost |= older(candidate, write.begin);
    prune(blocks_[i]);
  }
}

void BlockModel::hint_done(Ticket ticket) {
  requests_[ticket.index].under_way = false;
  requests_[ticket.index].end = now();
}

void BlockModel::write_unknown(Ticket ticket) { requests_[ticket.index].under_way = false; }

BlockModel::Violation BlockModel::write_undone(Ticket ticket) {
  Request& write = requests_[ticket.index];
  write.under_way = false;
  write.end = now();
  for (std::uint64_t i = write.first; i < write.first + write.count; ++i) {
    std::erase_if(blocks_[i], [&](const Candidate& candidate) { return candidate.write == ticket.index; });
  }
  if (!write.seen) return std::nullopt;
  return "version " + std::to_string(write.version) + " was read, but its write failed with effect none";
}

void BlockModel::flush_done(Ticket ticket) {
  Request& flush = requests_[ticket.index];
  flush.under_way = false;
  std::erase_if(cached_, [&](std::uint32_t write) {
    if (requests_[write].end >= flush.begin) return false;
    make_durable(write);
    return true;
  });
}

BlockModel::Violation BlockModel::read_done(Ticket ticket, std::uint64_t first,
                                            std::span<const Version> seen) {
  Request& read = requests_[ticket.index];
  read.under_way = false;
  now();
  for (std::size_t i = 0; i < seen.size(); ++i) {
    Block& block = blocks_[first + i];
    bool found = false;
    for (const Candidate& candidate : block) {
      Request& write = requests_[candidate.write];
      if (candidate.hidden < read.begin || write.version != seen[i]) continue;
      found = true;
      if (seen[i] != kZeroes) write.seen = true;
    }
    if (!found) return violation(first + i, "holds", seen[i], read.begin);
    narrow(block, seen[i], read.begin);
  }
  return std::nullopt;
}

// What the read saw was there at one moment after its begin, so whatever had ended before and is something
// else was gone by then; unless the power failed after that moment and brought it back.
void BlockModel::narrow(Block& block, Version seen, Moment begin) {
  if (power_failure_ > begin) return;
  const auto version = [&](const Candidate& candidate) { return requests_[candidate.write].version; };
  const bool survivor = std::all_of(block.begin(), block.end(), [&](const Candidate& candidate) {
    return version(candidate) != seen || candidate.hidden < begin ||
           (candidate.survived && older(candidate, power_failure_ + 1));
  });
  for (Candidate& candidate : block) {
    if (version(candidate) == seen || !older(candidate, begin)) continue;
    candidate.hidden = std::min(candidate.hidden, moment_);
    if (survivor && candidate.survived) candidate.lost = true;  // the medium held the other one
  }
  prune(block);
}

BlockModel::Violation BlockModel::compare_differed(Ticket ticket, std::uint64_t first,
                                                   std::span<const Version> expected) {
  Request& read = requests_[ticket.index];
  read.under_way = false;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (const Candidate& candidate : blocks_[first + i]) {
      if (candidate.hidden >= read.begin && requests_[candidate.write].version != expected[i])
        return std::nullopt;
    }
  }
  return violation(first, "was called different from", expected[0], read.begin);
}

void BlockModel::settle() {
  const Moment moment = now();
  for (Request& request : requests_) {
    if (!request.under_way && request.count > 0 && request.end == kNever) request.end = moment;
  }
}

void BlockModel::power_failed() {
  settle();
  power_failure_ = now();
  for (Block& block : blocks_) {
    for (Candidate& candidate : block) {
      if (candidate.lost) continue;
      candidate.hidden = kNever;
      candidate.survived = true;
    }
  }
  // What is left is on the medium, but which: only a later write can make its own blocks certain again.
  cached_.clear();
}

BlockModel::Moment BlockModel::oldest_under_way() {
  while (first_under_way_ < requests_.size() && !requests_[first_under_way_].under_way) ++first_under_way_;
  return first_under_way_ < requests_.size() ? requests_[first_under_way_].begin : moment_ + 1;
}

void BlockModel::prune(Block& block) {
  if (block.size() < 8) return;
  const Moment oldest = oldest_under_way();
  std::erase_if(block,
                [&](const Candidate& candidate) { return candidate.lost && candidate.hidden < oldest; });
}

std::vector<Version> BlockModel::allowed(std::uint64_t block) const {
  std::vector<Version> versions;
  for (const Candidate& candidate : blocks_[block]) {
    if (candidate.hidden == kNever) versions.push_back(requests_[candidate.write].version);
  }
  std::sort(versions.begin(), versions.end());
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  return versions;
}

BlockModel::Violation BlockModel::violation(std::uint64_t block, const char* what, Version version,
                                            Moment begin) const {
  std::string text = "block " + std::to_string(block) + ' ' + what + ' ' +
                     (version == kGarbage ? "garbage" : "version " + std::to_string(version)) + "; allowed:";
  for (const Candidate& candidate : blocks_[block]) {
    if (candidate.hidden >= begin) text += ' ' + std::to_string(requests_[candidate.write].version);
  }
  return text;
}

}  // namespace netstor::sim
