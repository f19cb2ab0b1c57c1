// SPDX-License-Identifier: Apache-2.0

#include "server/nvmf/target_shard.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/wire/fabrics/nqn.h"
#include "server/net/messages.h"
#include "server/nvmf/rdma_connection.h"
#include "server/nvmf/tcp_connection.h"

namespace netstor::nvmf {

namespace {

// A busy host asks, sends and reads within a fraction of it.
constexpr Duration kRetirePatience = std::chrono::seconds(2);

std::shared_ptr<const SubsystemConfig> discovery_config() {
  auto config = std::make_shared<SubsystemConfig>();
  config->nqn = nvme::kDiscoveryNqn;
  config->serial = "discovery";
  config->limits.io_queues_max = 0;
  config->limits.queue_entries_max = 128;
  return config;
}

/// Freed from the run queue, so that nobody up the stack is inside it.
struct Burial : detail::Runnable {
  std::unique_ptr<Connection> connection;
};

}  // namespace

TargetShard::TargetShard(Runtime& runtime, unsigned index, PortContext& context, Port& port,
                         const TargetConfig& config, const std::vector<TargetShard*>& shards)
    : runtime_(runtime),
      index_(index),
      context_(context),
      port_(port),
      config_(config),
      shards_(shards),
      pool_(config.buffer_bytes),
      slow_limit_(config.slow_limit),
      directory_(std::make_shared<Directory>()),
      tls_keys_(directory_),
      discovery_(discovery_config(), directory_, true) {}

TargetShard::~TargetShard() {
  NETSTOR_ASSERT(connections_.empty());
  if (messages_ != nullptr) messages_->forget_memory(pool_.memory());
}

Result<MessagePort*> TargetShard::use_messages() {
  if (messages_ == nullptr) {
    NETSTOR_TRY_RETURN(messages_, net::use_messages(context_, pool_.memory()));
  }
  return messages_;
}

ShardFacts TargetShard::facts() const {
  ShardFacts facts{.shard = index_,
                   .counters = counters_,
                   .connections = connections_.size(),
                   .controllers = controllers_.size(),
                   .chunks = pool_.count(),
                   .chunks_lent = pool_.in_use()};
  for (const auto& [nqn, subsystem] : subsystems_) {
    for (std::uint32_t nsid = subsystem->next_nsid(0); nsid != 0; nsid = subsystem->next_nsid(nsid)) {
      const ShardNamespace& space = *subsystem->at(nsid);
      facts.volumes.push_back(
          {.nqn = nqn, .nsid = nsid, .uuid = space.view().uuid, .traffic = space.traffic});
    }
  }
  return facts;
}

// ---- Connections.

void TargetShard::adopt(const Ticket& ticket, const std::string& peer, TlsUse tls, bool rdma) {
  Port& port = rdma ? *messages_ : port_;
  if (draining_) return port.refuse(ticket);
  if (connections_.size() >= config_.connections_max) {
    ++counters_.turned_away;
    warn(net::Warnings::Kind::connections_max, [&] {
      return peer + ": refused, a shard has its " + std::to_string(config_.connections_max) +
             " connections already";
    });
    return port.refuse(ticket);
  }
  const std::uint64_t id = ++last_connection_;
  std::unique_ptr<Connection> connection;
  if (rdma) {
    connection = RdmaConnection::answer(*this, id, *messages_, ticket, peer);
  } else if (auto link = port.adopt(ticket)) {
    connection = std::make_unique<TcpConnection>(*this, id, std::move(*link));
  }
  if (connection == nullptr) return;
  ++counters_.accepted;
  Connection& started = *connection;
  connections_.emplace(id, std::move(connection));
  started.start(tls);
}

void TargetShard::close_connection(std::uint64_t id) {
  if (const auto found = connections_.find(id); found != connections_.end()) found->second->end();
}

std::vector<ConnectionFacts> TargetShard::list_connections() const {
  std::vector<ConnectionFacts> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection->facts());
  return all;
}

std::uint64_t TargetShard::close_connections(const std::function<bool(const ConnectionFacts&)>& wanted) {
  std::vector<Connection*> ending;
  for (const auto& [id, connection] : connections_) {
    if (wanted(connection->facts())) ending.push_back(connection.get());
  }
  for (Connection* const each : ending) each->end();
  return ending.size();
}

Future<void> TargetShard::drain(Time deadline) { return spawn(wait_until_empty(deadline)); }

Task<void> TargetShard::wait_until_empty(Time deadline) {
  draining_ = true;
  std::vector<Connection*> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection.get());
  for (Connection* const each : all) each->drain(deadline);
  while (!connections_.empty()) {
    auto pause = sleep(std::chrono::milliseconds(1));
    auto paused = co_await std::move(pause);
    static_cast<void>(paused);
  }
  co_return ok();
}

void TargetShard::connection_ends(Connection& connection, HostedController* hosted, std::uint16_t qid,
                                  std::uint16_t cntlid) {
  if (hosted != nullptr) {
    close_queues(*hosted);
    controllers_.erase(hosted->controller.identity().cntlid);
  } else if (qid != 0) {
    release_queue(cntlid, {.shard = index_, .id = connection.id()});
  }
}

void TargetShard::connection_gone(Connection& connection) {
  const auto found = connections_.find(connection.id());
  if (found == connections_.end()) return;
  stop_waiting(connection);
  auto* const burial = new Burial;
  burial->run = [](detail::Runnable& self) noexcept { delete static_cast<Burial*>(&self); };
  burial->connection = std::move(found->second);
  connections_.erase(found);
  loop().push(*burial);
}

// ---- Memory: connections that found none stand in a row, and nobody overtakes the first.

bool TargetShard::take_chunks(Connection& connection, std::uint64_t bytes, iovec* pieces, unsigned& count) {
  const bool first = first_waiting_ == nullptr || first_waiting_ == &connection;
  if (first && pool_.take(bytes, pieces, count)) return true;
  if (!connection.is_waiting) {
    connection.is_waiting = true;
    connection.next_waiting = nullptr;
    (first_waiting_ == nullptr ? first_waiting_ : last_waiting_->next_waiting) = &connection;
    last_waiting_ = &connection;
  }
  return false;
}

void TargetShard::serve_waiting_connections() {
  while (first_waiting_ != nullptr) {
    Connection& connection = *first_waiting_;
    if (!connection.memory_freed()) return;
    first_waiting_ = connection.next_waiting;
    connection.is_waiting = false;
  }
}

void TargetShard::stop_waiting(Connection& connection) {
  if (!connection.is_waiting) return;
  Connection* before = nullptr;
  for (Connection* each = first_waiting_; each != &connection; each = each->next_waiting) before = each;
  (before == nullptr ? first_waiting_ : before->next_waiting) = connection.next_waiting;
  if (last_waiting_ == &connection) last_waiting_ = before;
  connection.is_waiting = false;
  serve_waiting();
}

// ---- Subsystems.

ShardSubsystem* TargetShard::find(std::string_view nqn) noexcept {
  if (nqn == nvme::kDiscoveryNqn) return &discovery_;
  const bool known = std::any_of(directory_->subsystems.begin(), directory_->subsystems.end(),
                                 [nqn](const auto& each) { return each->nqn == nqn; });
  const auto found = known ? subsystems_.find(std::string(nqn)) : subsystems_.end();
  return found == subsystems_.end() ? nullptr : found->second.get();
}

// Subsystems that are gone keep their place: requests and controllers may still refer to it, and a name
// that comes back is the same subsystem.
void TargetShard::set_directory(std::shared_ptr<const Directory> directory) {
  directory_ = std::move(directory);
  for (const auto& config : directory_->subsystems) {
    auto& place = subsystems_[config->nqn];
    if (place == nullptr) {
      place = std::make_unique<ShardSubsystem>(config, directory_, false);
    } else {
      place->configure(config);
    }
  }
  for (const auto& [cntlid, hosted] : controllers_) {
    if (!hosted->subsystem.discovery()) continue;
    hosted->controller.discovery_changed();
    hosted->admin.tell_events();
  }
}

Future<void> TargetShard::open_namespace(std::string nqn, std::uint32_t nsid, store::StoredVolume& volume) {
  return spawn(install(std::move(nqn), nsid, volume));
}

Future<void> TargetShard::close_namespace(std::string nqn, std::uint32_t nsid) {
  return spawn(uninstall(std::move(nqn), nsid));
}

// Retires a namespace and frees it when it is gone. What a request has in use waits for its host: for data
// that was asked for, for answers to be read from where the store keeps them. A host that takes its time
// loses its connection, so that it does not hold up whoever changes the volumes.
Task<void> TargetShard::retire(std::unique_ptr<ShardNamespace> space) {
  if (space == nullptr) co_return ok();
  struct Gone : detail::Runnable {
    Promise<void> promise;
  } gone;
  gone.run = [](detail::Runnable& self) noexcept { static_cast<Gone&>(self).promise.set(ok()); };
  struct Patience : detail::Timer {
    TargetShard* shard = nullptr;
    const ShardNamespace* space = nullptr;
  } patience;
  patience.shard = this;
  patience.space = space.get();
  patience.fire = [](detail::Timer& self) noexcept {
    const auto& spent = static_cast<Patience&>(self);
    spent.shard->end_users_of(*spent.space);
  };
  auto waited = gone.promise.future();
  loop().arm(patience, loop().now() + kRetirePatience);
  space->retire(gone);
  Result<void> done = co_await std::move(waited);
  if (patience.armed()) loop().disarm(patience);
  co_return std::move(done);
}

void TargetShard::end_users_of(const ShardNamespace& space) {
  std::vector<Connection*> ending;
  for (const auto& [id, connection] : connections_) {
    if (connection->uses(space)) ending.push_back(connection.get());
  }
  for (Connection* const each : ending) each->end();
}

// The new store is opened before the old one is let go, so that a resize leaves no gap.
Task<void> TargetShard::install(std::string nqn, std::uint32_t nsid, store::StoredVolume& volume) {
  auto opening = volume.open(context_);
  Result<std::unique_ptr<store::BlockStore>> store = co_await std::move(opening);
  if (!store) co_return std::move(store).error();
  const auto found = subsystems_.find(nqn);
  NETSTOR_ASSERT(found != subsystems_.end());
  auto space = std::make_unique<ShardNamespace>(nsid, volume.identity(), std::move(*store));
  if (space->store().limits().transfer_bytes_max < found->second->limits().transfer_bytes_max) {
    auto closing = retire(std::move(space));
    auto closed = co_await std::move(closing);
    static_cast<void>(closed);
    co_return Error(ErrorKind::invalid_argument, "the store of volume " + volume.identity().name +
                                                     " takes smaller transfers than subsystem " + nqn +
                                                     " allows");
  }
  auto retiring = retire(found->second->replace(nsid, std::move(space)));
  Result<void> retired = co_await std::move(retiring);
  co_return std::move(retired);
}

Task<void> TargetShard::uninstall(std::string nqn, std::uint32_t nsid) {
  const auto found = subsystems_.find(nqn);
  if (found == subsystems_.end()) co_return ok();
  auto retiring = retire(found->second->replace(nsid, nullptr));
  Result<void> retired = co_await std::move(retiring);
  co_return std::move(retired);
}

void TargetShard::tell_namespace(const std::string& nqn, std::uint32_t nsid) {
  for (const auto& [cntlid, hosted] : controllers_) {
    if (hosted->subsystem.nqn() != nqn) continue;
    hosted->controller.namespace_changed(nsid);
    hosted->admin.tell_events();
  }
}

void TargetShard::close_subsystem(const std::string& nqn) {
  std::vector<Connection*> ending;
  for (const auto& [cntlid, hosted] : controllers_) {
    if (hosted->subsystem.nqn() == nqn) ending.push_back(&hosted->admin);
  }
  for (Connection* const each : ending) each->end();
}

// ---- Controllers.

HostedController* TargetShard::make_controller(Connection& admin, ShardSubsystem& subsystem,
                                               nvme::ControllerIdentity identity) {
  const auto step = static_cast<std::uint32_t>(shards_.size());
  const std::uint32_t places = nvme::kCntlidMax / step;
  for (std::uint32_t tried = 0; tried < places; ++tried) {
    last_controller_ = (last_controller_ + 1) % places;
    const std::uint32_t cntlid = last_controller_ * step + index_;
    if (cntlid == 0 || controllers_.contains(static_cast<std::uint16_t>(cntlid))) continue;
    identity.cntlid = static_cast<std::uint16_t>(cntlid);
    auto hosted = std::make_unique<HostedController>(subsystem, std::move(identity), loop().now(), admin);
    HostedController* const made = hosted.get();
    controllers_.emplace(static_cast<std::uint16_t>(cntlid), std::move(hosted));
    return made;
  }
  return nullptr;
}

nvme::ConnectVerdict TargetShard::claim_queue(const nvme::Connect& connect, const nvme::ConnectData& data,
                                              const ShardConnection& connection) {
  const auto found = controllers_.find(data.cntlid);
  if (found == controllers_.end()) {
    return {.status = nvme::refused(nvme::FabricsStatus::connect_invalid_parameters),
            .where = nvme::kRefusedCntlid};
  }
  HostedController& hosted = *found->second;
  const nvme::ConnectVerdict verdict = hosted.controller.check_io_connect(connect, data);
  if (!verdict.ok()) return verdict;
  const bool taken = std::any_of(hosted.queues.begin(), hosted.queues.end(),
                                 [&connect](const auto& queue) { return queue.qid == connect.qid; });
  if (taken) return {.status = nvme::refused(nvme::GenericStatus::command_sequence_error)};
  hosted.queues.push_back({.qid = connect.qid, .connection = connection});
  return {};
}

void TargetShard::unclaim_queue(std::uint16_t cntlid, const ShardConnection& connection) {
  const auto found = controllers_.find(cntlid);
  if (found == controllers_.end()) return;
  std::erase_if(found->second->queues,
                [&connection](const auto& queue) { return queue.connection == connection; });
}

void TargetShard::release_queue(std::uint16_t cntlid, const ShardConnection& connection) {
  TargetShard& owner = owner_of(cntlid);
  shard_of(owner).run_on([&owner, cntlid, connection] { owner.unclaim_queue(cntlid, connection); }).detach();
}

void TargetShard::close_queues(HostedController& hosted) {
  for (const HostedController::Queue& queue : std::exchange(hosted.queues, {})) {
    TargetShard& other = *shards_[queue.connection.shard];
    shard_of(other).run_on([&other, id = queue.connection.id] { other.close_connection(id); }).detach();
  }
}

}  // namespace netstor::nvmf
