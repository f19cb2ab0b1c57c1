// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a volume may answer, block by block: a set of versions, narrowed by every acknowledgement and every
// read, widened by every write that is under way or whose effect is unknown, and by a power failure.
//
// The calls come in the order in which things happened; each is one moment. A version is out of sight when a
// write was acknowledged that began after that version's own write had ended, or when a read that began
// later saw another one. It is out of reach of a power failure when that later write is durable: flushed
// after its acknowledgement, or written through.
//
// A write of unknown effect "may yet happen" (netstor/result.h), so nothing puts it out of sight until
// settle(): the caller knows that nobody is left who could still carry it out. A write that is acknowledged
// meanwhile is therefore not checked against such a ghost: the library fences it later.

#include "tests/sim/pattern.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace netstor::sim {

class BlockModel {
 public:
  using Violation = std::optional<std::string>;
  /// Names a request that is under way.
  struct Ticket {
    std::uint32_t index = 0;
  };

  explicit BlockModel(std::uint64_t blocks);
  std::uint64_t blocks() const noexcept { return blocks_.size(); }

  /// `version` is new, or kZeroes.
  Ticket begin_write(std::uint64_t first, std::uint64_t count, Version version);
  /// `may_recur`: it was sent more than once, so that an earlier try may still be carried out, over what is
  /// written later; until settle().
  void write_done(Ticket write, bool durable, bool may_recur = false);
  /// A deallocation, begun as a write of zeroes: it may have done it or not, and will not do it later.
  void hint_done(Ticket write);
  void write_unknown(Ticket write);
  /// Failed without effect: nobody may have seen it.
  Violation write_undone(Ticket write);

  Ticket begin_read();
  /// A read, or a compare that found `seen` equal.
  Violation read_done(Ticket read, std::uint64_t first, std::span<const Version> seen);
  /// A compare that found a difference to `expected`.
  Violation compare_differed(Ticket read, std::uint64_t first, std::span<const Version> expected);
  void read_failed(Ticket read) { requests_[read.index].under_way = false; }

  Ticket begin_flush() { return begin_read(); }
  void flush_done(Ticket flush);
  void flush_failed(Ticket flush) { read_failed(flush); }

  /// Every write that was answered by now has happened or never will.
  void settle();
  void power_failed();

  /// What a read that begins and ends now may see.
  std::vector<Version> allowed(std::uint64_t block) const;

 private:
  using Moment = std::uint64_t;
  static constexpr Moment kNever = ~Moment{0};

  struct Request {
    Version version = kZeroes;
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    Moment begin = 0;
    Moment end = kNever;  // of a write: from when on it cannot happen any more
    bool under_way = true;
    bool acknowledged = false;
    bool durable = false;
    bool seen = false;
  };
  struct Candidate {
    std::uint32_t write = 0;
    Moment hidden = kNever;  // reads that begin later cannot see it
    bool lost = false;       // nor can a power failure bring it back
    bool survived = false;   // the last power failure left this one or another
  };
  using Block = std::vector<Candidate>;

  Moment now() noexcept { return ++moment_; }
  Ticket add(Request request);
  bool older(const Candidate& candidate, Moment than) const { return requests_[candidate.write].end < than; }
  void make_durable(std::uint32_t write);
  void narrow(Block& block, Version seen, Moment begin);
  void prune(Block& block);
  Moment oldest_under_way();
  Violation violation(std::uint64_t block, const char* what, Version version, Moment begin) const;

  std::vector<Block> blocks_;
  std::vector<Request> requests_;      // 0: the zeroes of the beginning
  std::vector<std::uint32_t> cached_;  // writes acknowledged and not durable
  std::size_t first_under_way_ = 0;
  Moment moment_ = 1;
  Moment power_failure_ = 0;
};

}  // namespace netstor::sim
