// SPDX-License-Identifier: Apache-2.0
#pragma once
// A simulated world: one clock, one queue of events in the order (time, sequence), one generator, the hosts,
// and what they share: a network and disks. Everything that happens in it follows from its seed.
//
//   sim::World world(seed);
//   sim::World::Enter enter(world, "server");       // ports made meanwhile on this thread live on this host
//   … Runtime::start({.embedded = true, .io_driver = IoDriver::sim, .seed = 1}) …
//   while (!done) {
//     run every shard until none has more to do;
//     world.advance(earliest timer of the shards);   // time moves only here
//   }
//
// Thread rule: a world, its ports and all that they made belong to one thread; that is why the shards are
// embedded ones. Port::wake() alone may come from any.

#include "lib/base/clock.h"
#include "lib/base/random.h"
#include "transports/sim/fault_plan.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netstor::sim {

class Disk;
class Network;
class SimPort;

/// Something that will happen. Its owner keeps it alive, and in place, while it is scheduled.
struct Event {
  void (*fire)(Event&) noexcept = nullptr;
  Time when{};
  std::uint64_t sequence = 0;
  std::size_t heap_index = kIdle;  // the world's
  static constexpr std::size_t kIdle = ~std::size_t{0};
  bool scheduled() const noexcept { return heap_index != kIdle; }
};

/// One line of the trace: plain numbers, made into text only when somebody reads it.
struct TraceLine {
  Time when{};
  const char* what = "";  // a literal
  std::uint64_t numbers[3] = {};
};

class World final : public Clock {
 public:
  explicit World(std::uint64_t seed, FaultPlan plan = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// The world and host in which ports made on this thread live; null outside any Enter.
  static World* current() noexcept;
  static std::string_view current_host() noexcept;
  class Enter {
   public:
    explicit Enter(World& world, std::string_view host = "localhost");
    ~Enter();
    Enter(const Enter&) = delete;
    Enter& operator=(const Enter&) = delete;

   private:
    World* outer_world_;
    std::string outer_host_;
  };

  Time now() const noexcept override { return now_; }
  Random& random() noexcept { return random_; }
  /// Changes take hold with the next thing that is drawn.
  FaultPlan& faults() noexcept { return faults_; }
  using FaultCounts = std::array<std::uint64_t, kFaultNames.size()>;
  void met(Fault fault, std::uint64_t times = 1) noexcept { met_[static_cast<std::size_t>(fault)] += times; }
  /// Draws whether it happens now, and counts it when it does.
  bool strikes(Fault fault, double probability) noexcept {
    if (!random_.chance(probability)) return false;
    met(fault);
    return true;
  }
  const FaultCounts& faults_met() const noexcept { return met_; }

  void schedule(Event& event, Duration after) noexcept;
  void unschedule(Event& event) noexcept;
  /// When something happens next; Time::max() for never.
  Time next_event() const noexcept { return heap_.empty() ? Time::max() : heap_.front()->when; }
  /// Fires what is due; answers how many.
  unsigned run_due() noexcept;
  /// Moves the clock to the next event, or to `latest` where that comes first, and fires what is due.
  /// False when nothing will ever happen.
  bool advance(Time latest = Time::max()) noexcept;

  Network& network() noexcept { return *network_; }
  /// The disk of this name; it outlives every runtime that uses it. Made on first use.
  Disk& disk(std::string_view name, std::uint64_t size_bytes = 1 << 20);
  Disk* find_disk(std::string_view name) noexcept;

  /// Cuts what `from` sends off from `to`, or joins it again: pieces wait as if sent again and again.
  void set_cut(std::string_view from, std::string_view to, bool cut);
  bool cut(std::string_view from, std::string_view to) const;

  enum class Death : std::uint8_t {
    process,  ///< the system lives on: peers hear a reset, disks keep their caches
    power,    ///< peers hear nothing until they send to the host again, disks lose their caches
  };
  /// Ends all that runs on `host` as if at one instant. Its ports carry nothing from now on: what is and
  /// will be submitted completes as disconnected, so that the runtime on them can be destroyed. A new
  /// runtime on the same host begins afresh.
  void kill(std::string_view host, Death death);
  /// Does anything run there? A host without a port that lives answers nobody.
  bool lives(std::string_view host) const noexcept;
  /// Has anything ever run there?
  bool knows(std::string_view host) const noexcept { return hosts_.contains(host); }

  /// Notes what happened: into the hash, and into the tail that a failing run prints.
  void trace(const char* what, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) noexcept;
  std::uint64_t trace_hash() const noexcept { return hash_; }
  /// The last lines of the trace as text.
  std::string trace_tail(std::size_t lines_max) const;
  /// Called for each line as it is noted; empty for none.
  std::function<void(const TraceLine&)> on_trace;
  static std::string to_string(const TraceLine& line);

  /// For numbering what the trace speaks of.
  std::uint64_t next_id() noexcept { return ++last_id_; }

  void add(SimPort& port);
  void remove(SimPort& port) noexcept;

 private:
  static constexpr std::size_t kTraceLines = 4096;

  static bool before(const Event& one, const Event& two) noexcept {
    return one.when != two.when ? one.when < two.when : one.sequence < two.sequence;
  }
  void place(Event* event, std::size_t index) noexcept;
  void sift(std::size_t index) noexcept;

  Time now_ = Time(std::chrono::hours(1));  // not zero: "now - something" must not wrap
  std::uint64_t sequence_ = 0;
  std::vector<Event*> heap_;
  Random random_;
  FaultPlan faults_;
  FaultCounts met_{};
  std::uint64_t hash_;
  std::vector<TraceLine> tail_;
  std::size_t traced_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t port_order_ = 0;
  std::map<std::uint64_t, SimPort*> ports_;  // in the order of their making, never of their addresses
  std::set<std::string, std::less<>> hosts_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::map<std::string, std::unique_ptr<Disk>, std::less<>> disks_;
  std::unique_ptr<Network> network_;
};

}  // namespace netstor::sim
