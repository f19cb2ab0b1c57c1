// SPDX-License-Identifier: Apache-2.0
//
// What every command leaves behind: a count, how long it took, and a line when that was too long. A command
// is counted from admit() to release(), on the shard's clock.

#include "server/nvmf/connection.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

using nvme::IoOpcode;
using nvme::TargetRequest;

namespace {

IoCounter counter_of(const nvme::Command& command) noexcept {
  switch (static_cast<IoOpcode>(command.opcode())) {
    case IoOpcode::read:
      return IoCounter::read;
    case IoOpcode::write:
      return IoCounter::write;
    case IoOpcode::flush:
      return IoCounter::flush;
    case IoOpcode::write_zeroes:
      return IoCounter::write_zeroes;
    case IoOpcode::dataset_management:
      return IoCounter::deallocate;
    case IoOpcode::compare:
      return IoCounter::compare;
    case IoOpcode::verify:
      return IoCounter::verify;
    default:
      return IoCounter::other;
  }
}

std::string milliseconds(Duration time) {
  const auto tenths = std::chrono::duration_cast<std::chrono::microseconds>(time).count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " ms";
}

}  // namespace

std::string_view to_string(IoCounter counter) noexcept {
  constexpr std::string_view kNames[] = {"read",    "write",  "flush", "write_zeroes", "deallocate",
                                         "compare", "verify", "other", "admin"};
  static_assert(std::size(kNames) == kIoCounters);
  return kNames[static_cast<std::size_t>(counter)];
}

void Connection::begin_count(const TargetRequest& request) {
  Timing& timing = io_[request.slot].timing;
  timing.arrived = timing.executed = timing.stored = shard_.loop().now();
  timing.counter = hosted_ != nullptr ? IoCounter::admin : counter_of(request.command);
  timing.under_way = true;
  timing.held = false;
  ++shard_.counters().in_flight;
}

void Connection::end_count(const TargetRequest& request) {
  const IoRequest& io = io_[request.slot];
  if (!std::exchange(io_[request.slot].timing.under_way, false)) return;
  Counters& counters = shard_.counters();
  --counters.in_flight;
  // Nobody was answered, or the question was when something would happen.
  if (closing_ || io.timing.held) return;
  const Duration took = shard_.loop().now() - io.timing.arrived;
  counters.requests[static_cast<std::size_t>(io.timing.counter)].record(took);
  net::Traffic* const traffic = io.space == nullptr ? nullptr : &io.space->traffic;
  const bool good = request.status.ok();
  const bool reads = io.timing.counter == IoCounter::read, writes = io.timing.counter == IoCounter::write;
  if (!good) {
    ++counters.errors[Counters::kind_of(request.status)];
  } else if (reads || writes) {
    (reads ? counters.read_bytes : counters.write_bytes) += request.plan.length;
  }
  if (traffic != nullptr) {
    ++(reads ? traffic->reads : traffic->writes);
    if (!good) ++traffic->errors;
    if (good && reads) traffic->read_bytes += request.plan.length;
    if (good && writes) traffic->write_bytes += request.plan.length;
  }
  if (took >= shard_.slow_limit()) [[unlikely]]
    tell_of_slow(request, took);
}

void Connection::tell_of_slow(const TargetRequest& request, Duration took) {
  shard_.warn(net::Warnings::Kind::slow, [&] {
    const IoRequest& io = io_[request.slot];
    const Timing& timing = io.timing;
    std::string text = "slow: " + std::string(to_string(timing.counter));
    if (timing.counter != IoCounter::admin && request.plan.length != 0)
      text +=
          " of " + std::to_string(request.plan.length) + " bytes at " + std::to_string(request.plan.offset);
    text += " in " + (subsystem_ != nullptr ? std::string(subsystem_->nqn()) : std::string("a volume")) +
            " for " + std::string(peer()) + " took " + milliseconds(took) + ": " +
            milliseconds(timing.executed - timing.arrived) + " until its data was here, " +
            milliseconds(timing.stored - timing.executed) + " in the store, " +
            milliseconds(shard_.loop().now() - timing.stored) + " until its answer had left";
    return text;
  });
}

}  // namespace netstor::nvmf
