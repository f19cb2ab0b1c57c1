// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/simulation.h"

#include "transports/sim/disk.h"

#include <algorithm>
#include <cstdio>

namespace netstor::sim {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {
using Failure = std::optional<std::string>;

// Longer than any keep-alive, timeout and retransmission of the options below, so that nothing is still on
// its way: a path that was lost without notice has been noticed, and a request that was abandoned has ended.
constexpr Duration kQuiet = seconds(60);
constexpr unsigned kTriesMax = 10;
// Of the seeds: there is less to find on a disk without a network before it.
constexpr double kDiskShare = 0.2;
}  // namespace

Simulation::Simulation(std::uint64_t seed, const SimulationOptions& options)
    : options_(options), world_(seed), kind_(options.target), begin_(world_.now()) {
  // A planted defect lives in the server's store.
  if (kind_ == TargetKind::any) {
    const bool disk = world_.random().chance(kDiskShare);
    kind_ = disk && options.defect == Defect::none ? TargetKind::disk : TargetKind::nvme;
  }
  if (options.trace) {
    world_.on_trace = [](const TraceLine& line) { std::fputs(World::to_string(line).c_str(), stderr); };
  }
  world_.faults() = Chaos::calm();
}

Simulation::~Simulation() {
  if (target_ && target_->up()) target_->kill(World::Death::process);
  // What still waits is answered by the death of its host; the rest by time, which stands while the runtime
  // ends.
  world_.kill(kClientHost, World::Death::process);
  const bool closed = users_ && !users_->volume.valid();
  if (client_ && !closed) {
    Future<void> closing;
    if (users_) closing = client_->shard(0).run_on([volume = users_->volume] { return volume.close(); });
    runtimes_.run_until([&] { return closing.valid() && closing.ready(); }, minutes(1));
  }
  if (client_) runtimes_.remove(*client_);
  const World::Enter enter(world_, kClientHost);
  if (users_) users_->volume = Volume();
  client_.reset();
}

VolumeOptions Simulation::draw_options() {
  Random& random = world_.random();
  VolumeOptions options;
  options.host_nqn = "nqn.2026-01.io.netstor:simulation";
  constexpr std::uint16_t kDepths[] = {1, 2, 8, 32, 128};
  options.queue_depth = kDepths[random.below(std::size(kDepths))];
  options.header_digest = random.chance(0.5);
  options.data_digest = random.chance(0.5);
  options.connect_timeout = milliseconds(500);
  options.io_timeout = seconds(random.between(1, 5));
  options.keep_alive = random.chance(0.2) ? Duration::zero() : Duration(seconds(random.between(1, 5)));
  options.reconnect_delay = milliseconds(10);
  options.reconnect_delay_max = milliseconds(200);
  constexpr Duration kPatience[] = {Duration::zero(), milliseconds(500), seconds(60)};
  options.path_loss_timeout = kPatience[random.below(std::size(kPatience))];
  return options;
}

std::optional<std::string> Simulation::run() {
  if (Failure failed = bring_up()) return failed;
  if (Failure failed = work()) return failed;
  if (Failure failed = reckon()) return failed;
  return close();
}

std::optional<std::string> Simulation::bring_up() {
  const auto server_shards = static_cast<unsigned>(world_.random().between(1, 3));
  const auto client_shards = static_cast<unsigned>(world_.random().between(1, 3));
  target_ = kind_ == TargetKind::disk ? make_disk_target(world_)
                                      : make_nvme_target(world_, runtimes_, server_shards, options_.defect);
  if (Result<void> started = target_->start(); !started) return "start: " + started.error().to_string();
  auto client = runtimes_.start(kClientHost, client_shards);
  if (!client) return "client: " + client.error().to_string();
  client_.emplace(std::move(client).value());
  runtimes_.add(kClientHost, *client_);

  volume_options_ = draw_options();
  auto opening = Volume::open(*client_, target_->uri(), volume_options_);
  if (!runtimes_.run_until([&] { return opening.ready(); }, minutes(1))) return "the volume was never opened";
  auto opened = opening.get();
  if (!opened) return "open: " + opened.error().to_string();
  const VolumeInfo info = opened->info();
  const WorkloadLimits limits{
      .blocks = kVolumeBlocks,
      .compare_and_write_blocks_max = std::max<std::uint64_t>(1, info.atomic_bytes / kPatternBytes)};
  users_ = std::make_unique<Users>(world_, world_.random().next(), limits, options_.requests);
  users_->volume = std::move(opened).value();
  chaos_ = std::make_unique<Chaos>(world_, runtimes_, *target_);
  chaos_->on_death = [this](World::Death death) {
    death == World::Death::power ? users_->model.power_failed() : users_->model.settle();
  };
  return std::nullopt;
}

std::optional<std::string> Simulation::work() {
  chaos_->begin();
  std::vector<Future<void>> lanes;
  const auto users = world_.random().between(1, 10);
  for (std::uint64_t i = 0; i < users; ++i) {
    Shard& shard = client_->shard(static_cast<unsigned>(world_.random().below(client_->shards())));
    lanes.push_back(shard.run_on([this] { return users_->run(); }));
  }
  const auto done = [&] {
    if (users_->violation() || chaos_->failure() || !target_->broken().empty()) return true;
    return std::all_of(lanes.begin(), lanes.end(), [](const auto& lane) { return lane.ready(); });
  };
  // Faults go on while there is work, but not for ever; then everything has to be answered.
  bool ended = runtimes_.run_until(done, minutes(2));
  chaos_->heal();
  if (!ended) ended = runtimes_.run_until(done, minutes(10));
  if (chaos_->failure()) return "restart: " + *chaos_->failure();
  if (!target_->broken().empty()) return target_->broken();
  if (users_->violation()) return users_->violation();
  if (!ended) return "never answered: " + users_->unanswered();
  return std::nullopt;
}

std::optional<std::string> Simulation::reckon() {
  runtimes_.run_for(kQuiet);
  users_->settle();
  // A dead path may only be noticed now, and a volume without patience then fails what asked: ask again.
  const auto succeeds = [&](auto work) {
    for (unsigned tries = 0; tries < kTriesMax && !users_->violation(); ++tries) {
      if (tries > 0) runtimes_.run_for(seconds(1));
      auto future = client_->shard(0).run_on(work);
      if (!runtimes_.run_until([&] { return future.ready(); }, minutes(10))) return false;
      if (auto answer = future.get(); answer && *answer) return true;
    }
    return false;
  };
  if (!succeeds([this] { return users_->read_all(); })) {
    return users_->violation() ? users_->violation() : "the healed volume cannot be read";
  }
  if (users_->violation()) return users_->violation();
  const auto flush = [this]() -> Task<bool> {
    auto flushing = users_->volume.flush();
    Result<void> flushed = co_await std::move(flushing);
    co_return flushed.ok();
  };
  if (!succeeds(flush)) return "the healed volume cannot be flushed";
  const Disk& disk = target_->disk();
  const auto reading = users_->model.begin_read();
  std::vector<Version> stable;
  for (std::uint64_t i = 0; i < kVolumeBlocks; ++i) {
    stable.push_back(identify_block(Bytes(disk.stable_block(i), kPatternBytes), i));
  }
  if (auto wrong = users_->model.read_done(reading, 0, stable))
    return "on the medium after a flush: " + *wrong;
  return std::nullopt;
}

std::optional<std::string> Simulation::close() {
  auto metrics = client_->shard(0).run_on([] { return Shard::current()->metrics(); });
  auto closing = client_->shard(0).run_on([volume = users_->volume] { return volume.close(); });
  if (!runtimes_.run_until([&] { return closing.ready() && metrics.ready(); }, minutes(1))) {
    return "the volume was never closed";
  }
  metrics_ = std::move(metrics.get()).value();
  if (const Result<void> closed = closing.get(); !closed) return "close: " + closed.error().to_string();
  users_->check_memory();
  users_->reclaim();
  runtimes_.run_for(kQuiet);
  // Without a keep-alive nobody tells a server that a connection fell silent for good.
  const std::string missing = target_->missing();
  if (!missing.empty() && volume_options_.keep_alive > Duration::zero()) return "not given back: " + missing;
  users_->check_memory();
  if (users_->violation()) return users_->violation();
  users_->volume = Volume();
  target_->stop(runtimes_);
  if (!target_->broken().empty()) return target_->broken();
  return std::nullopt;
}

Tally Simulation::tally() const {
  Tally tally = users_ ? users_->tally : Tally();
  tally.stored = target_ ? target_->completed() : 0;
  tally.replays = metrics_.replays;
  tally.reconnects = metrics_.reconnects;
  tally.faults = world_.faults_met();
  tally.time = world_.now() - begin_;
  return tally;
}

}  // namespace netstor::sim
