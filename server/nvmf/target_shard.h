// SPDX-License-Identifier: Apache-2.0
#pragma once
// The target on one shard: its connections, the controllers whose admin queues are here, its view of every
// subsystem, and the memory that its requests share. Shards talk by run_on() alone, about who exists and who
// has to end; never about an I/O.
//
// A controller's number names the shard that it lives on (number modulo shards), so that an I/O queue which
// was accepted elsewhere finds it without asking anybody.

#include <netstor/shard.h>

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "server/net/chunk_pool.h"
#include "server/nvmf/connection.h"
#include "server/nvmf/tls_keys.h"
#include "transports/message_link.h"

namespace netstor::nvmf {

/// A connection by name: it may be gone already.
struct ShardConnection {
  unsigned shard = 0;
  std::uint64_t id = 0;
  friend bool operator==(const ShardConnection&, const ShardConnection&) = default;
};

/// A controller and the queues that belong to it.
struct HostedController {
  HostedController(ShardSubsystem& its_subsystem, nvme::ControllerIdentity identity, Time now,
                   Connection& its_admin)
      : controller(its_subsystem, std::move(identity), now), subsystem(its_subsystem), admin(its_admin) {}
  struct Queue {
    std::uint16_t qid = 0;
    ShardConnection connection;
  };
  nvme::Controller controller;
  ShardSubsystem& subsystem;
  Connection& admin;
  std::vector<Queue> queues;
};

class TargetShard {
 public:
  /// On its shard. `shards` are all of the target, this one too, and complete before the first connection.
  TargetShard(Runtime& runtime, unsigned index, PortContext& context, Port& port, const TargetConfig& config,
              const std::vector<TargetShard*>& shards);
  ~TargetShard();

  unsigned index() const noexcept { return index_; }
  detail::Loop& loop() noexcept { return context_.loop(); }
  PortContext& context() noexcept { return context_; }
  const TargetConfig& config() const noexcept { return config_; }
  net::ChunkPool& pool() noexcept { return pool_; }
  Counters& counters() noexcept { return counters_; }
  ShardFacts facts() const;
  /// Commands that took so long are told of.
  Duration slow_limit() const noexcept { return slow_limit_; }
  void set_slow_limit(Duration limit) noexcept { slow_limit_ = limit; }
  Port& port() noexcept { return port_; }
  /// Makes this shard ready for NVMe/RDMA connections; what the machine cannot is unsupported.
  Result<MessagePort*> use_messages();

  // ---- Connections.
  void adopt(const Ticket& ticket, const std::string& peer, TlsUse tls, bool rdma);
  /// `text()` is asked for only when somebody hears it.
  template <class Text>
  void warn(net::Warnings::Kind kind, Text text) {
    if (config_.warnings != nullptr) config_.warnings->say(kind, loop().now(), std::move(text));
  }
  void close_connection(std::uint64_t id);
  std::size_t connections() const noexcept { return connections_.size(); }
  std::vector<ConnectionFacts> list_connections() const;
  /// Ends those that it says so of, and with an admin queue its controller's others; answers how many.
  std::uint64_t close_connections(const std::function<bool(const ConnectionFacts&)>& wanted);
  /// Ready when no connection is left.
  Future<void> drain(Time deadline);
  /// From Connection::end().
  void connection_ends(Connection& connection, HostedController* hosted, std::uint16_t qid,
                       std::uint16_t cntlid);
  /// Nothing of it is in use any more: frees it, soon.
  void connection_gone(Connection& connection);

  // ---- Memory that is shared in order.
  bool take_chunks(Connection& connection, std::uint64_t bytes, iovec* pieces, unsigned& count);
  void serve_waiting() {
    if (first_waiting_ != nullptr) [[unlikely]]
      serve_waiting_connections();
  }

  // ---- TLS.
  TlsKeys& tls_keys() noexcept { return tls_keys_; }
  /// A host that has a key has to use it.
  bool may_connect_plain(std::string_view subsystem_nqn, std::string_view host_nqn) const {
    return tls_key_of(*directory_, subsystem_nqn, host_nqn) == nullptr;
  }

  // ---- Subsystems.
  ShardSubsystem* find(std::string_view nqn) noexcept;
  void set_directory(std::shared_ptr<const Directory> directory);
  Future<void> open_namespace(std::string nqn, std::uint32_t nsid, store::StoredVolume& volume);
  Future<void> close_namespace(std::string nqn, std::uint32_t nsid);
  /// Tells the controllers here that a namespace came, went or changed.
  void tell_namespace(const std::string& nqn, std::uint32_t nsid);
  /// Ends every connection to a subsystem; new ones are refused once the directory lacks it.
  void close_subsystem(const std::string& nqn);

  // ---- Controllers.
  HostedController* make_controller(Connection& admin, ShardSubsystem& subsystem,
                                    nvme::ControllerIdentity identity);
  nvme::ConnectVerdict claim_queue(const nvme::Connect& connect, const nvme::ConnectData& data,
                                   const ShardConnection& connection);
  void unclaim_queue(std::uint16_t cntlid, const ShardConnection& connection);
  void close_queues(HostedController& hosted);
  std::size_t controllers() const noexcept { return controllers_.size(); }

  // ---- Others.
  TargetShard& owner_of(std::uint16_t cntlid) noexcept { return *shards_[cntlid % shards_.size()]; }
  Shard& shard_of(const TargetShard& other) noexcept { return runtime_.shard(other.index_); }
  /// The queue that claim_queue() gave is not used any more: tells the controller's shard.
  void release_queue(std::uint16_t cntlid, const ShardConnection& connection);

 private:
  Task<void> install(std::string nqn, std::uint32_t nsid, store::StoredVolume& volume);
  Task<void> uninstall(std::string nqn, std::uint32_t nsid);
  Task<void> retire(std::unique_ptr<ShardNamespace> space);
  void end_users_of(const ShardNamespace& space);
  Task<void> wait_until_empty(Time deadline);
  void serve_waiting_connections();
  void stop_waiting(Connection& connection);

  Runtime& runtime_;
  const unsigned index_;
  PortContext& context_;
  Port& port_;
  MessagePort* messages_ = nullptr;
  const TargetConfig config_;
  const std::vector<TargetShard*>& shards_;
  net::ChunkPool pool_;
  Counters counters_;
  Duration slow_limit_;
  std::shared_ptr<const Directory> directory_;
  TlsKeys tls_keys_;
  ShardSubsystem discovery_;
  std::unordered_map<std::string, std::unique_ptr<ShardSubsystem>> subsystems_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::unordered_map<std::uint16_t, std::unique_ptr<HostedController>> controllers_;
  std::uint64_t last_connection_ = 0;
  std::uint32_t last_controller_ = 0;
  bool draining_ = false;
  Connection* first_waiting_ = nullptr;
  Connection* last_waiting_ = nullptr;
};

}  // namespace netstor::nvmf
