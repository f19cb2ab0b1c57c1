// SPDX-License-Identifier: Apache-2.0
#pragma once
// The users of a simulated volume: coroutines that issue the workload's requests, tell the model what
// became of them, and look after the memory that they lent.

#include <netstor/volume.h>

#include "tests/sim/model.h"
#include "tests/sim/tally.h"
#include "tests/sim/workload.h"
#include "transports/sim/world.h"

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace netstor::sim {

/// Memory for one request, with a margin on both sides. Poisoned when the request was answered: whoever
/// still writes there is found out in the end, and whoever still sends from there sends no version.
class Loan {
 public:
  explicit Loan(std::size_t size_bytes);
  MutableBytes bytes() noexcept { return {memory_.data() + kMargin, memory_.size() - 2 * kMargin}; }
  bool margins_whole() const noexcept;
  void poison() noexcept;
  bool poisoned() const noexcept;

 private:
  static constexpr std::size_t kMargin = 64;
  static constexpr std::byte kPoison{0xdb};
  std::vector<std::byte> memory_;
};

/// What the users share, and what is left when they are done.
class Users {
 public:
  Users(World& world, std::uint64_t seed, WorkloadLimits limits, unsigned requests);

  /// One user: issues requests one after another until there are none left. On a shard.
  Task<void> run();

  /// What happened that must not, with its request; nothing when all is well.
  const std::optional<std::string>& violation() const noexcept { return violation_; }
  void report(std::string what);
  /// Requests begun and not answered, for the message when they never are.
  std::string unanswered() const;
  unsigned begun() const noexcept { return begun_; }

  /// The path is sound and long since quiet: nothing abandoned is still on its way.
  void settle();
  /// Reads everything, in requests of the largest size, and tells the model. On a shard; false when a read
  /// failed.
  Task<bool> read_all();
  /// The volume is closed: what abandoned requests were lent is the users' again, too.
  void reclaim();
  /// Nobody may use the memory any more: is it as it was left?
  void check_memory();

  Volume volume;
  BlockModel model;
  Tally tally;  ///< what the users know of it

 private:
  /// One request on its way.
  struct Job {
    Request request;
    unsigned number = 0;
    BlockModel::Ticket read;
    BlockModel::Ticket write;
    std::vector<Version> expected;
    Loan* payload = nullptr;
    Loan* compared = nullptr;
    std::uint64_t replays = 0;  // of the shard, when it began
    bool disconnected = false;
  };
  static bool changes(DeviceVerb verb);
  static bool compares(DeviceVerb verb);
  static bool observes(DeviceVerb verb);

  Task<void> perform(Job& job);
  void prepare(Job& job);
  void note(Job& job, const Result<void>& result);
  Future<void> start(Job& job);
  /// Nothing when the future was dropped.
  Task<std::optional<Result<void>>> await_end(Future<void> future, const Request& request);
  void account(Job& job, const Result<void>& result);
  void account_change(Job& job, const Result<void>& result);
  void account_read(Job& job, const Result<void>& result);
  void judge(const Job& job, const BlockModel::Violation& violation);
  void check_error(const Job& job, const Error& error);
  Loan* lend(std::size_t size_bytes);
  /// On this shard so far.
  static std::uint64_t replays();
  static std::string describe(const Job& job);

  World& world_;
  Workload workload_;
  unsigned left_;
  unsigned begun_ = 0;
  Version last_version_ = 0;
  std::list<Loan> loans_;
  std::vector<Loan*> returned_;
  std::vector<BlockModel::Ticket> dropped_writes_;
  std::vector<const Job*> under_way_;
  std::optional<std::string> violation_;
};

}  // namespace netstor::sim
