// SPDX-License-Identifier: Apache-2.0
// A server on simulated links, over a file on the simulated disk: the product's own target and file store.

#include "server/nvmf/target.h"

#include "server/store/file_store.h"
#include "tests/sim/broken_store.h"
#include "tests/sim/pattern.h"
#include "tests/sim/target.h"
#include "tests/sim/watched_store.h"
#include "transports/sim/disk.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <thread>

namespace netstor::sim {

namespace {

constexpr const char* kNqn = "nqn.2026-01.io.netstor:simulated";
constexpr std::uint16_t kPort = 4420;
constexpr Duration kPatience = std::chrono::hours(1);  // not less than what Defect::forget keeps

/// The file store looks whether its file still has a name, so there has to be one. Its bytes are the
/// simulated disk's; one empty file serves all seeds.
class NamedFile {
 public:
  NamedFile() {
    const int file = mkstemp(path_);
    if (file < 0 || ftruncate(file, kVolumeBlocks * kPatternBytes) != 0) std::abort();
    ::close(file);
  }
  ~NamedFile() { unlink(path_); }
  static const char* path() {
    static const NamedFile file;
    return file.path_;
  }

 private:
  char path_[32] = "/tmp/netstor-simulate-XXXXXX";
};

class NvmeTarget final : public Target {
 public:
  NvmeTarget(World& world, Runtimes& runtimes, unsigned shards, Defect defect)
      : world_(world),
        runtimes_(runtimes),
        shards_(shards),
        defect_(defect),
        disk_(world.disk(NamedFile::path(), kVolumeBlocks * kPatternBytes)) {
    watch_.report = [this](std::string what) {
      if (broken_.empty()) broken_ = std::move(what);
    };
    // Drawn once: a server that was restarted is the same server.
    limits_.transfer_bytes_max = 1U << world.random().between(14, 20);
    limits_.queue_entries_max = static_cast<std::uint16_t>(1U << world.random().between(5, 7));
  }
  ~NvmeTarget() override {
    if (runtime_) kill(World::Death::process);
  }

  std::string uri() const override {
    return "nvme+tcp://" + std::string(kServerHost) + ':' + std::to_string(kPort) + '/' + kNqn;
  }
  Disk& disk() override { return disk_; }
  bool mortal() const override { return true; }
  bool up() const override { return runtime_.has_value(); }

  Result<void> start() override;
  void kill(World::Death death) override {
    world_.kill(kServerHost, death);
    end();
  }
  void stop(Runtimes&) override { end(); }
  std::string missing() const override;
  std::string broken() const override { return broken_; }
  std::uint64_t completed() const override { return watch_.completed; }

 private:
  template <class T>
  Result<T> wait(Future<T> future) const {
    if (!runtimes_.run_until([&] { return future.ready(); }, kPatience)) {
      return Error(ErrorKind::timed_out, "the server never answered");
    }
    return future.get();
  }
  Result<std::unique_ptr<nvmf::Target>> make_target();
  void end();

  World& world_;
  Runtimes& runtimes_;
  const unsigned shards_;
  const Defect defect_;
  Disk& disk_;
  nvme::ControllerLimits limits_;
  StoreWatch watch_;
  std::string broken_;
  std::unique_ptr<store::StoredVolume> volume_;
  std::optional<Runtime> runtime_;
  std::unique_ptr<nvmf::Target> target_;
};

Result<void> NvmeTarget::start() {
  world_.trace("start");
  NETSTOR_TRY_RETURN(Runtime runtime, runtimes_.start(kServerHost, shards_));
  runtime_.emplace(std::move(runtime));
  runtimes_.add(kServerHost, *runtime_);
  const store::VolumeIdentity identity{
      .name = "simulated", .nqn = kNqn, .uuid = {1}, .nguid = {1}, .serial = "1"};
  NETSTOR_TRY_RETURN(volume_,
                     store::make_file_volume(identity, NamedFile::path(), disk_.size_bytes(), kPatternBytes));
  if (defect_ != Defect::none) volume_ = make_broken_volume(std::move(volume_), defect_);
  volume_ = make_watched_volume(std::move(volume_), watch_);
  NETSTOR_TRY_RETURN(target_, make_target());
  nvmf::SubsystemConfig subsystem;
  subsystem.nqn = kNqn;
  subsystem.serial = "1";
  subsystem.limits = limits_;
  NETSTOR_CHECK_RETURN(wait(target_->add_subsystem(std::move(subsystem))));
  NETSTOR_TRY_RETURN([[maybe_unused]] const std::uint32_t nsid,
                     wait(target_->add_namespace(kNqn, 1, *volume_)));
  nvmf::ListenConfig listen;
  listen.address = {"0.0.0.0", kPort};
  NETSTOR_TRY_RETURN([[maybe_unused]] const Address at, wait(target_->listen(std::move(listen))));
  return {};
}

// Target::start() waits for each shard, so it needs a thread of its own while this one turns them. Nothing
// else may happen meanwhile, or how often they are turned would show: nothing is due, and time stands.
Result<std::unique_ptr<nvmf::Target>> NvmeTarget::make_target() {
  while (world_.run_due() > 0) {
  }
  const World::Enter enter(world_, kServerHost);
  Result<std::unique_ptr<nvmf::Target>> made = std::unique_ptr<nvmf::Target>();
  std::atomic<bool> done = false;
  std::thread starter([&] {
    made = nvmf::Target::start(*runtime_, {.buffer_bytes = 4 << 20});
    done.store(true);
  });
  while (!done.load()) {
    for (unsigned i = 0; i < shards_; ++i) runtime_->shard(i).run_once();
    detail::current_loop = nullptr;
  }
  starter.join();
  return made;
}

void NvmeTarget::end() {
  if (target_) static_cast<void>(wait(target_->stop(Duration::zero())));
  target_.reset();
  runtimes_.remove(*runtime_);
  const World::Enter enter(world_, kServerHost);
  runtime_.reset();
  volume_.reset();
}

std::string NvmeTarget::missing() const {
  const auto facts = wait(target_->observe());
  if (!facts) return facts.error().to_string();
  std::size_t connections = 0, controllers = 0, chunks = 0;
  for (const nvmf::ShardFacts& each : *facts) {
    connections += each.connections;
    controllers += each.controllers;
    chunks += each.chunks_lent;
  }
  if (connections == 0 && controllers == 0 && chunks == 0) return {};
  return std::to_string(connections) + " connections, " + std::to_string(controllers) + " controllers and " +
         std::to_string(chunks) + " buffers of the server";
}

}  // namespace

std::unique_ptr<Target> make_nvme_target(World& world, Runtimes& runtimes, unsigned shards, Defect defect) {
  return std::make_unique<NvmeTarget>(world, runtimes, shards, defect);
}

}  // namespace netstor::sim
