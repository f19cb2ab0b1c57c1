// SPDX-License-Identifier: Apache-2.0
#pragma once
// The NVMe over Fabrics target of a process:
//
//   auto target = Target::start(runtime, {}).value();
//   target->add_subsystem({.nqn = "nqn.2026-01.io.netstor:v", .serial = "1"}).get().value();
//   target->add_namespace("nqn.2026-01.io.netstor:v", 1, *volume).get().value();
//   Address at = target->listen({.address = {"0.0.0.0", 4420}}).get().value();
//   …
//   target->stop(std::chrono::seconds(5)).get();        // before the volumes and the runtime go
//
// Every change goes through the home shard (0), one after the other, and then to all shards; it is in force
// everywhere when its future is ready.
//
// Thread rule: any thread, like Shard::run_on(). Error rule: already_exists, not_found, invalid_argument,
// and what listen() and the stores answer.

#include <netstor/shard.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "server/net/acceptor.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

class Target {
 public:
  /// Makes the target's part of each shard. Foreign threads, or the one that drives an embedded runtime.
  static Result<std::unique_ptr<Target>> start(Runtime& runtime, TargetConfig config);
  /// Stopped targets only.
  ~Target();

  Future<void> add_subsystem(SubsystemConfig config);
  /// Its hosts are disconnected; its namespaces are closed.
  Future<void> remove_subsystem(std::string nqn);
  /// Who may connect from now on, and by what secrets: `access.nqn` names the subsystem, and of the rest
  /// hosts, only_listed, secrets, only_authenticated and tls_keys are taken. Hosts that are connected stay;
  /// their new queues are judged anew.
  Future<void> set_access(SubsystemConfig access);

  /// `volume` must live until the namespace was removed or the target stopped. nsid 0: the lowest free one,
  /// which is the answer.
  Future<std::uint32_t> add_namespace(std::string nqn, std::uint32_t nsid, store::StoredVolume& volume);
  /// Ready when no request uses the volume any more.
  Future<void> remove_namespace(std::string nqn, std::uint32_t nsid);
  /// The volume's size has changed: opens it anew, and tells the hosts.
  Future<void> resize(std::string nqn, std::uint32_t nsid);

  /// Answers the address with the port that was chosen where 0 was asked for.
  Future<Address> listen(ListenConfig config);
  /// Connections that came by this address stay. Errors: not_found.
  Future<void> stop_listening(Address address);
  /// False: new connections are closed at once, until it is true again. Addresses stay taken.
  Future<void> accept_connections(bool accept);

  Future<std::vector<ConnectionFacts>> connections();
  /// Ends those that `wanted` (any shard, at the same time) says so of, whatever is under way; their hosts
  /// may come again. Answers how many.
  Future<std::uint64_t> disconnect(std::function<bool(const ConnectionFacts&)> wanted);

  /// No new connections; commands under way are answered, for `grace` at most; then everything is closed.
  Future<void> stop(Duration grace);

  /// What every shard has counted. Empty when the target was stopped.
  Future<std::vector<ShardFacts>> observe();
  /// TargetConfig::slow_limit from now on.
  Future<void> set_slow_limit(Duration limit);

 private:
  struct Subsystem {
    std::shared_ptr<const SubsystemConfig> config;
    std::map<std::uint32_t, store::StoredVolume*> namespaces;
  };

  Target(Runtime& runtime, TargetConfig config);
  Result<void> make_shard(unsigned index);

  // On the home shard.
  Task<void> do_add_subsystem(SubsystemConfig config);
  Task<void> do_remove_subsystem(std::string nqn);
  Task<void> do_set_access(SubsystemConfig access);
  Task<std::uint32_t> do_add_namespace(std::string nqn, std::uint32_t nsid, store::StoredVolume& volume);
  Task<void> do_remove_namespace(std::string nqn, std::uint32_t nsid);
  Task<void> do_resize(std::string nqn, std::uint32_t nsid);
  Task<Port*> prepare_to_listen(bool rdma);
  Task<Address> do_listen(ListenConfig config);
  Task<void> do_stop_listening(Address address);
  Task<std::vector<ConnectionFacts>> do_list_connections();
  Task<std::uint64_t> do_disconnect(std::function<bool(const ConnectionFacts&)> wanted);
  Task<void> do_stop(Duration grace);
  Task<std::vector<ShardFacts>> do_observe();

  Task<void> lock();
  void unlock();
  Task<void> publish();
  Task<void> open_everywhere(std::string nqn, std::uint32_t nsid, store::StoredVolume& volume);
  Task<void> close_everywhere(std::string nqn, std::uint32_t nsid);
  Task<void> tell_everywhere(std::string nqn, std::uint32_t nsid);
  void deal(const Ticket& ticket, const std::string& peer, TlsUse tls, bool rdma);
  /// `function(TargetShard&)` on every shard, one after the other; the first error ends it.
  template <class F>
  Task<void> on_each(F function);

  Runtime& runtime_;
  const TargetConfig config_;
  std::vector<TargetShard*> shards_;
  std::map<std::string, Subsystem, std::less<>> subsystems_;
  std::vector<Directory::Path> paths_;
  std::uint64_t generation_ = 0;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
  unsigned next_shard_ = 0;
  std::uint16_t last_port_id_ = 0;
  bool accepting_ = true;
  bool busy_ = false;
  bool stopped_ = false;
};

}  // namespace netstor::nvmf
