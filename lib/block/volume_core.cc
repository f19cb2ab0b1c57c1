// SPDX-License-Identifier: Apache-2.0
#include "lib/block/volume_core.h"

#include <algorithm>

namespace netstor::detail {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Error invalid(std::string text) { return {ErrorKind::invalid_argument, "VolumeOptions::" + std::move(text)}; }

Result<void> check(const VolumeOptions& options, unsigned shards) {
  const auto within = [](Duration value, Duration least, Duration most) {
    return value >= least && value <= most;
  };
  if (options.queue_depth < 1 || options.queue_depth > 1024) return invalid("queue_depth must be 1 to 1024");
  if (options.queues > shards) {
    return invalid("queues is " + std::to_string(options.queues) + ", but the runtime has " +
                   std::to_string(shards) + " shards; 0 means one on each");
  }
  if (!within(options.connect_timeout, milliseconds(1), minutes(10)))
    return invalid("connect_timeout: 1 ms to 10 min");
  if (!within(options.io_timeout, milliseconds(1), hours(1))) return invalid("io_timeout: 1 ms to 1 h");
  if (options.keep_alive != Duration::zero() && !within(options.keep_alive, seconds(1), hours(1))) {
    return invalid("keep_alive: 0 (off), or 1 s to 1 h");
  }
  if (!within(options.reconnect_delay, milliseconds(1), hours(1)))
    return invalid("reconnect_delay: 1 ms to 1 h");
  if (options.reconnect_delay_max < options.reconnect_delay || options.reconnect_delay_max > hours(1)) {
    return invalid("reconnect_delay_max: reconnect_delay to 1 h");
  }
  if (!within(options.path_loss_timeout, Duration::zero(), hours(24 * 365))) {
    return invalid("path_loss_timeout: 0 to a year");
  }
  return {};
}

}  // namespace

VolumeCore::VolumeCore(Engine& engine, ShardLoop& home, std::string uri, Uri parsed, VolumeOptions options)
    : engine_(engine),
      home_(home),
      uri_(std::move(uri)),
      parsed_(std::move(parsed)),
      options_(std::move(options)),
      parts_(engine.shards()),
      lost_(engine.shards()) {
  const unsigned queues = options_.queues == 0 ? engine.shards() : options_.queues;
  for (unsigned i = 0; i < queues; ++i) {
    const unsigned at = (home.index() + i) % engine.shards();
    parts_[at] = std::make_unique<VolumeShard>(*this, engine.loop(at));
    ++live_parts_;
  }
  for (Lost& lost : lost_) {
    lost.core = this;
    lost.run = [](Runnable& self) noexcept {
      VolumeCore& core = *static_cast<Lost&>(self).core;
      // News of a session that is over already says nothing about this one.
      if (static_cast<Lost&>(self).generation != core.generation_ || core.ending_) return;
      if (core.opening_ || core.recovering_) {
        core.lost_meanwhile_ = true;
      } else {
        core.begin_recovery();
      }
    };
  }
}

VolumeShard* VolumeCore::here() noexcept {
  Loop* const loop = current_loop;
  if (loop == nullptr || loop->index() >= parts_.size() || &engine_.loop(loop->index()) != loop)
    return nullptr;
  return parts_[loop->index()].get();
}

Task<Volume> VolumeCore::open(Engine& engine, std::string uri, VolumeOptions options) {
  NETSTOR_CHECK(check(options, engine.shards()));
  NETSTOR_TRY(Uri parsed, Uri::parse(uri));
  auto* core =
      new VolumeCore(engine, this_shard_loop(), std::move(uri), std::move(parsed), std::move(options));
  auto up = core->bring_up();
  Result<void> opened = co_await std::move(up);
  core->opening_ = false;
  if (!opened) {
    auto ending = end(core);
    Result<void> ended = co_await std::move(ending);
    co_return ended ? std::move(opened).error() : std::move(ended).error();
  }
  core->limits_ = core->home_part().limits();
  core->size_changed(core->limits_.size_bytes);
  core->describe(core->limits_);
  if (core->lost_meanwhile_ && !core->ending_) core->begin_recovery();
  co_return Volume(std::shared_ptr<VolumeCore>(core, &VolumeCore::release));
}

void VolumeCore::describe(const DeviceLimits& limits) {
  info_.uri = uri_;
  info_.size_bytes = limits.size_bytes;
  info_.block_bytes = limits.block_bytes;
  info_.transfer_bytes_max = limits.transfer_bytes_max;
  info_.atomic_bytes = limits.atomic_bytes;
  info_.queues = static_cast<std::uint32_t>(
      std::count_if(parts_.begin(), parts_.end(), [](const auto& part) { return part != nullptr; }));
  info_.queue_depth = limits.depth;
  info_.writable = limits.writable && !options_.read_only;
  info_.volatile_cache = limits.volatile_cache;
  info_.description = home_part().describe();
}

Task<void> VolumeCore::bring_up() {
  ++generation_;
  auto first = home_part().open(std::nullopt);
  NETSTOR_CHECK(co_await std::move(first));
  const std::optional<Ticket> share = home_part().share();
  Result<void> all;
  for (auto& part : parts_) {
    if (part == nullptr || &part->loop() == &home_) continue;
    auto joined = part->loop().shard().run_on([&part, share] { return part->open(share); });
    all = co_await std::move(joined);
    if (!all) break;
  }
  if (!all) {
    auto down = take_down();
    NETSTOR_CHECK(co_await std::move(down));
  }
  co_return all;
}

Result<void> VolumeCore::recognise(const Device& device) {
  const std::string identity = device.identity();
  const std::uint32_t block_bytes = device.limits().block_bytes;
  stranger_ = known_ && (identity != identity_ || block_bytes != block_bytes_);
  if (stranger_) {
    return Error(ErrorKind::not_found, uri_ + ": another volume answers by this name now (" + identity +
                                           ", blocks of " + std::to_string(block_bytes) +
                                           " bytes; this was " + identity_ + ", " +
                                           std::to_string(block_bytes_) + ")");
  }
  known_ = true;
  identity_ = identity;
  block_bytes_ = block_bytes;
  size_changed(device.limits().size_bytes);
  return {};
}

Task<void> VolumeCore::refuse_all() {
  std::vector<Future<void>> told;
  for (auto& part : parts_) {
    if (part == nullptr) continue;
    told.push_back(part->loop().shard().run_on(
        [&part] { return part->refuse(OpResult::failure(ErrorKind::not_found)); }));
  }
  auto all = co_await when_all(std::move(told));
  static_cast<void>(all);
  co_return ok();
}

Task<void> VolumeCore::take_down() {
  std::vector<Future<void>> ends;
  for (auto& part : parts_) {
    if (part != nullptr) ends.push_back(part->loop().shard().run_on([&part] { return part->drop(); }));
  }
  auto all = co_await when_all(std::move(ends));
  static_cast<void>(all);
  co_return ok();
}

void VolumeCore::path_lost(VolumeShard& shard) noexcept {
  Lost& news = lost_[shard.loop().index()];
  news.generation = generation_;
  home_.post(news);
}

void VolumeCore::begin_recovery() {
  recovering_ = true;
  recovery_ = spawn(recover());
}

Task<void> VolumeCore::recover() {
  auto down = take_down();
  NETSTOR_CHECK(co_await std::move(down));
  Duration pause = options_.reconnect_delay;
  while (!ending_ && !home_.stopping()) {
    // Half to the whole of the pause, so that many hosts do not come back in step.
    const Duration half = pause / 2;
    const auto jitter =
        Duration(static_cast<std::int64_t>(home_.random() % static_cast<std::uint64_t>(half.count() + 1)));
    Result<void> slept = co_await sleep(half + jitter);
    if (!slept || ending_) break;
    lost_meanwhile_ = false;
    auto up = bring_up();
    Result<void> opened = co_await std::move(up);
    if (opened && !lost_meanwhile_) {
      ++home_.metrics().reconnects;
      break;
    }
    if (opened) {
      auto again = take_down();
      NETSTOR_CHECK(co_await std::move(again));
    } else if (stranger_) {
      // Nothing is sent there. Whoever waits hears of it now; perhaps the right one comes back.
      auto refusing = refuse_all();
      NETSTOR_CHECK(co_await std::move(refusing));
    }
    pause = std::min(pause * 2, options_.reconnect_delay_max);
  }
  recovering_ = false;
  co_return ok();
}

Task<void> VolumeCore::stop_recovering() {
  ending_ = true;
  if (!recovering_) co_return ok();
  recovery_.cancel();
  while (recovering_) NETSTOR_CHECK(co_await yield());
  co_return ok();
}

Task<void> VolumeCore::close() {
  if (std::exchange(closing_, true)) {
    while (!closed_) NETSTOR_CHECK(co_await yield());
    co_return ok();
  }
  auto quiet = stop_recovering();
  NETSTOR_CHECK(co_await std::move(quiet));
  std::vector<Future<void>> ends;
  for (auto& part : parts_) {
    if (part != nullptr) ends.push_back(part->loop().shard().run_on([&part] { return part->close(); }));
  }
  auto all = co_await when_all(std::move(ends));
  static_cast<void>(all);
  // News that a part posted before it was closed is behind its answer in our mailbox, or was read already.
  closed_ = true;
  co_return ok();
}

Task<void> VolumeCore::end(VolumeCore* core) {
  auto closed = core->close();
  Result<void> result = co_await std::move(closed);
  // The end of the runtime may be closing it, too.
  for (auto& part : core->parts_) {
    if (part == nullptr) continue;
    auto unused = part->loop().shard().run_on([&part] { return part->users().none(); });
    NETSTOR_CHECK(co_await std::move(unused));
  }
  delete core;
  co_return result;
}

void VolumeCore::release(VolumeCore* core) noexcept {
  if (core->live_parts_.load(std::memory_order_acquire) == 0) {
    delete core;  // closed, or its runtime has ended
  } else {
    core->home_.shard().run_on([core] { return end(core); }).detach();
  }
}

}  // namespace netstor::detail
