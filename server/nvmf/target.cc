// SPDX-License-Identifier: Apache-2.0

#include "server/nvmf/target.h"

#include <netstor/version.h>

#include <algorithm>
#include <bit>

#include "lib/base/assert.h"
#include "lib/engine/shard_loop.h"
#include "lib/wire/fabrics/nqn.h"
#include "server/net/shards.h"

namespace netstor::nvmf {

namespace {

Error invalid(const std::string& what) { return Error(ErrorKind::invalid_argument, what); }
Error unknown(const std::string& nqn) { return Error(ErrorKind::not_found, "no subsystem " + nqn); }

std::optional<Error> check(const SubsystemConfig& config) {
  const nvme::ControllerLimits& limits = config.limits;
  if (!nvme::valid_nqn(config.nqn) || config.nqn == nvme::kDiscoveryNqn)
    return invalid("nqn: not a name for a subsystem: " + config.nqn);
  if (config.serial.empty() || config.serial.size() > 20) return invalid("serial: 1 to 20 characters");
  if (config.model.size() > 40) return invalid("model: at most 40 characters");
  if (config.firmware.size() > 8) return invalid("firmware: at most 8 characters");
  if (config.nsid_max == 0 || config.nsid_max > 1024) return invalid("nsid_max: 1 to 1024");
  if (limits.queue_entries_max < 2 || limits.queue_entries_max > 4096)
    return invalid("queue_entries_max: 2 to 4096");
  if (limits.io_queues_max == 0) return invalid("io_queues_max: at least 1");
  if (!std::has_single_bit(limits.transfer_bytes_max) || limits.transfer_bytes_max < 4096 ||
      limits.transfer_bytes_max > net::kChunkBytes * (kRequestPiecesMax - 1)) {
    return invalid("transfer_bytes_max: a power of two from 4 KiB to 1 MiB");
  }
  if (limits.in_capsule_bytes % 16 != 0 || limits.in_capsule_bytes > 8192) {
    return invalid("in_capsule_bytes: a multiple of 16, at most 8192");
  }
  if (limits.async_events_max == 0 || limits.async_events_max > nvme::kAsyncEventsMax) {
    return invalid("async_events_max: 1 to 16");
  }
  return std::nullopt;
}

}  // namespace

Target::Target(Runtime& runtime, TargetConfig config)
    : runtime_(runtime), config_(config), shards_(runtime.shards(), nullptr) {}

Target::~Target() { NETSTOR_ASSERT(stopped_); }

Result<std::unique_ptr<Target>> Target::start(Runtime& runtime, TargetConfig config) {
  if (config.buffer_bytes < 2 * net::kChunkBytes * kRequestPiecesMax)
    return invalid("buffer_bytes: at least 2.2 MiB");
  std::unique_ptr<Target> target(new Target(runtime, config));
  for (unsigned i = 0; i < runtime.shards(); ++i) {
    Target* const made = target.get();
    Result<void> done = runtime.shard(i).run_on([made, i] { return made->make_shard(i); }).get();
    if (!done) {
      target->stop(Duration::zero()).get().value();
      return std::move(done).error();
    }
  }
  return target;
}

Result<void> Target::make_shard(unsigned index) {
  PortContext& context = detail::this_shard_loop();
  Result<Port*> port = context.port("tcp");
  if (!port) return std::move(port).error();
  auto shard = std::make_unique<TargetShard>(runtime_, index, context, **port, config_, shards_);
  if (!shard->pool().usable())
    return Error(ErrorKind::exhausted, "no address space for the buffers of a shard");
  shards_[index] = shard.release();
  return ok();
}

// ---- The doors: each call goes to the home shard.

Future<void> Target::add_subsystem(SubsystemConfig config) {
  return runtime_.shard(0).run_on([this, config = std::move(config)] { return do_add_subsystem(config); });
}
Future<void> Target::remove_subsystem(std::string nqn) {
  return runtime_.shard(0).run_on([this, nqn = std::move(nqn)] { return do_remove_subsystem(nqn); });
}
Future<void> Target::set_access(SubsystemConfig access) {
  return runtime_.shard(0).run_on([this, access = std::move(access)] { return do_set_access(access); });
}
Future<std::uint32_t> Target::add_namespace(std::string nqn, std::uint32_t nsid,
                                            store::StoredVolume& volume) {
  return runtime_.shard(0).run_on(
      [this, nqn = std::move(nqn), nsid, &volume] { return do_add_namespace(nqn, nsid, volume); });
}
Future<void> Target::remove_namespace(std::string nqn, std::uint32_t nsid) {
  return runtime_.shard(0).run_on(
      [this, nqn = std::move(nqn), nsid] { return do_remove_namespace(nqn, nsid); });
}
Future<void> Target::resize(std::string nqn, std::uint32_t nsid) {
  return runtime_.shard(0).run_on([this, nqn = std::move(nqn), nsid] { return do_resize(nqn, nsid); });
}
Future<Address> Target::listen(ListenConfig config) {
  return runtime_.shard(0).run_on([this, config = std::move(config)] { return do_listen(config); });
}
Future<void> Target::stop_listening(Address address) {
  return runtime_.shard(0).run_on(
      [this, address = std::move(address)] { return do_stop_listening(address); });
}
Future<void> Target::accept_connections(bool accept) {
  return runtime_.shard(0).run_on([this, accept] { accepting_ = accept; });
}
Future<std::vector<ConnectionFacts>> Target::connections() {
  return runtime_.shard(0).run_on([this] { return do_list_connections(); });
}
Future<std::uint64_t> Target::disconnect(std::function<bool(const ConnectionFacts&)> wanted) {
  return runtime_.shard(0).run_on([this, wanted = std::move(wanted)] { return do_disconnect(wanted); });
}
Future<void> Target::stop(Duration grace) {
  return runtime_.shard(0).run_on([this, grace] { return do_stop(grace); });
}
Future<std::vector<ShardFacts>> Target::observe() {
  return runtime_.shard(0).run_on([this] { return do_observe(); });
}
Future<void> Target::set_slow_limit(Duration limit) {
  return runtime_.shard(0).run_on([this, limit] {
    return net::on_all_shards(runtime_, shards_, [limit](TargetShard& shard) {
      shard.set_slow_limit(limit);
      return ok();
    });
  });
}

// ---- Changes come one after the other.

Task<void> Target::lock() {
  while (busy_) {
    auto pause = sleep(std::chrono::milliseconds(1));
    auto paused = co_await std::move(pause);
    static_cast<void>(paused);
  }
  busy_ = true;
  co_return ok();
}

void Target::unlock() { busy_ = false; }

template <class F>
Task<void> Target::on_each(F function) {
  for (TargetShard* const shard : shards_) {
    if (shard == nullptr) continue;
    auto asked = runtime_.shard(shard->index()).run_on([shard, function] { return function(*shard); });
    Result<void> done = co_await std::move(asked);
    if (!done) co_return std::move(done).error();
  }
  co_return ok();
}

Task<void> Target::publish() {
  auto directory = std::make_shared<Directory>();
  directory->generation = ++generation_;
  for (const auto& [nqn, subsystem] : subsystems_) directory->subsystems.push_back(subsystem.config);
  directory->paths = paths_;
  std::shared_ptr<const Directory> shared = std::move(directory);
  auto telling = on_each([shared](TargetShard& shard) {
    shard.set_directory(shared);
    return ok();
  });
  Result<void> told = co_await std::move(telling);
  co_return std::move(told);
}

Task<void> Target::do_add_subsystem(SubsystemConfig config) {
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  if (config.firmware.empty()) config.firmware = std::string(linked_version()).substr(0, 8);
  std::optional<Error> error = check(config);
  if (!error && subsystems_.contains(config.nqn)) {
    error.emplace(ErrorKind::already_exists, "subsystem " + config.nqn + " is there already");
  }
  if (error) {
    unlock();
    co_return std::move(*error);
  }
  const std::string nqn = config.nqn;
  subsystems_[nqn].config = std::make_shared<SubsystemConfig>(std::move(config));
  auto publishing = publish();
  Result<void> done = co_await std::move(publishing);
  unlock();
  co_return std::move(done);
}

Task<void> Target::do_remove_subsystem(std::string nqn) {
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  const auto found = subsystems_.find(nqn);
  if (found == subsystems_.end()) {
    unlock();
    co_return unknown(nqn);
  }
  auto removed = subsystems_.extract(found);
  const std::map<std::uint32_t, store::StoredVolume*> namespaces = removed.mapped().namespaces;
  auto publishing = publish();
  Result<void> done = co_await std::move(publishing);
  if (done) {
    auto closing = on_each([nqn](TargetShard& shard) {
      shard.close_subsystem(nqn);
      return ok();
    });
    done = co_await std::move(closing);
  }
  for (const auto& [nsid, volume] : namespaces) {
    auto closing = close_everywhere(nqn, nsid);
    Result<void> closed = co_await std::move(closing);
    if (done) done = std::move(closed);
  }
  if (!done) subsystems_.insert(std::move(removed));  // who tries again goes on where this one ended
  unlock();
  co_return std::move(done);
}

Task<void> Target::do_set_access(SubsystemConfig access) {
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  const auto found = subsystems_.find(access.nqn);
  if (found == subsystems_.end()) {
    unlock();
    co_return unknown(access.nqn);
  }
  auto config = std::make_shared<SubsystemConfig>(*found->second.config);
  config->hosts = std::move(access.hosts);
  config->only_listed = access.only_listed;
  config->secrets = std::move(access.secrets);
  config->only_authenticated = access.only_authenticated;
  config->tls_keys = std::move(access.tls_keys);
  found->second.config = std::move(config);
  auto publishing = publish();
  Result<void> done = co_await std::move(publishing);
  unlock();
  co_return std::move(done);
}

// ---- Namespaces.

Task<void> Target::open_everywhere(std::string nqn, std::uint32_t nsid, store::StoredVolume& volume) {
  auto opening =
      on_each([nqn, nsid, &volume](TargetShard& shard) { return shard.open_namespace(nqn, nsid, volume); });
  Result<void> done = co_await std::move(opening);
  co_return std::move(done);
}

Task<void> Target::close_everywhere(std::string nqn, std::uint32_t nsid) {
  // Whatever one shard answers: the others have to let go of the volume, too.
  auto closing = net::on_all_shards(
      runtime_, shards_, [nqn, nsid](TargetShard& shard) { return shard.close_namespace(nqn, nsid); });
  Result<void> done = co_await std::move(closing);
  co_return std::move(done);
}

Task<void> Target::tell_everywhere(std::string nqn, std::uint32_t nsid) {
  auto telling = on_each([nqn, nsid](TargetShard& shard) {
    shard.tell_namespace(nqn, nsid);
    return ok();
  });
  Result<void> done = co_await std::move(telling);
  co_return std::move(done);
}

Task<std::uint32_t> Target::do_add_namespace(std::string nqn, std::uint32_t nsid,
                                             store::StoredVolume& volume) {
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  const auto found = subsystems_.find(nqn);
  std::optional<Error> error;
  if (found == subsystems_.end()) {
    error = unknown(nqn);
  } else {
    auto& namespaces = found->second.namespaces;
    if (nsid == 0) {
      nsid = 1;
      while (namespaces.contains(nsid)) ++nsid;
    }
    if (nsid > found->second.config->nsid_max) {
      error = invalid("nsid: at most " + std::to_string(found->second.config->nsid_max));
    } else if (namespaces.contains(nsid)) {
      error.emplace(ErrorKind::already_exists,
                    "namespace " + std::to_string(nsid) + " of " + nqn + " is there already");
    }
  }
  if (error) {
    unlock();
    co_return std::move(*error);
  }
  auto opening = open_everywhere(nqn, nsid, volume);
  Result<void> done = co_await std::move(opening);
  if (!done) {
    auto closing = close_everywhere(nqn, nsid);
    auto closed = co_await std::move(closing);
    static_cast<void>(closed);
    unlock();
    co_return std::move(done).error();
  }
  found->second.namespaces[nsid] = &volume;
  auto telling = tell_everywhere(nqn, nsid);
  done = co_await std::move(telling);
  unlock();
  if (!done) co_return std::move(done).error();
  co_return nsid;
}

Task<void> Target::do_remove_namespace(std::string nqn, std::uint32_t nsid) {
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  const auto found = subsystems_.find(nqn);
  if (found == subsystems_.end() || !found->second.namespaces.contains(nsid)) {
    unlock();
    co_return Error(ErrorKind::not_found, "no namespace " + std::to_string(nsid) + " of " + nqn);
  }
  auto closing = close_everywhere(nqn, nsid);
  Result<void> done = co_await std::move(closing);
  if (done) {
    found->second.namespaces.erase(nsid);  // not before: who tries again goes on where this one ended
    auto telling = tell_everywhere(nqn, nsid);
    done = co_await std::move(telling);
  }
  unlock();
  co_return std::move(done);
}

Task<void> Target::do_resize(std::string nqn, std::uint32_t nsid) {
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  const auto found = subsystems_.find(nqn);
  if (found == subsystems_.end() || !found->second.namespaces.contains(nsid)) {
    unlock();
    co_return Error(ErrorKind::not_found, "no namespace " + std::to_string(nsid) + " of " + nqn);
  }
  auto opening = open_everywhere(nqn, nsid, *found->second.namespaces[nsid]);
  Result<void> done = co_await std::move(opening);
  if (done) {
    auto telling = tell_everywhere(nqn, nsid);
    done = co_await std::move(telling);
  }
  unlock();
  co_return std::move(done);
}

// ---- Listening, and the end.

void Target::deal(const Ticket& ticket, const std::string& peer, TlsUse tls, bool rdma) {
  if (!accepting_) {
    if (!rdma) return shards_[0]->port().refuse(ticket);
    if (const auto messages = shards_[0]->use_messages()) (*messages)->refuse_messages(ticket, {});
    return;
  }
  next_shard_ = (next_shard_ + 1) % static_cast<unsigned>(shards_.size());
  TargetShard* const shard = shards_[next_shard_];
  runtime_.shard(next_shard_)
      .run_on([shard, ticket, peer, tls, rdma] { shard->adopt(ticket, peer, tls, rdma); })
      .detach();
}

// Every shard may be dealt a connection.
Task<Port*> Target::prepare_to_listen(bool rdma) {
  if (!rdma) co_return &shards_[0]->port();
  auto preparing = on_each([](TargetShard& shard) -> Result<void> {
    NETSTOR_CHECK_RETURN(shard.use_messages());
    return ok();
  });
  NETSTOR_CHECK(co_await std::move(preparing));
  NETSTOR_TRY(MessagePort* const messages, shards_[0]->use_messages());
  co_return static_cast<Port*>(messages);
}

Task<Address> Target::do_listen(ListenConfig config) {
  if (config.tls != TlsUse::none && config_.tls == nullptr)
    co_return invalid("listen: TLS is asked for, and the target has no context for it");
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  auto preparing = prepare_to_listen(config.rdma);
  Result<Port*> port = co_await std::move(preparing);
  Result<std::unique_ptr<Listener>> listener =
      port ? (*port)->listen(config.address) : Result<std::unique_ptr<Listener>>(std::move(port).error());
  if (!listener) {
    unlock();
    co_return std::move(listener).error();
  }
  auto acceptor = std::make_unique<net::Acceptor>(
      shards_[0]->loop(), std::move(*listener),
      [this, tls = config.tls, rdma = config.rdma](const Ticket& ticket, const std::string& peer) {
        deal(ticket, peer, tls, rdma);
      },
      config_.warnings);
  const Address address = acceptor->address();
  acceptor->start();
  acceptors_.push_back(std::move(acceptor));
  paths_.push_back({.host = config.advertised_host.empty() ? address.host : config.advertised_host,
                    .port = address.port,
                    .port_id = ++last_port_id_,
                    .tls = config.tls,
                    .rdma = config.rdma});
  auto publishing = publish();
  Result<void> done = co_await std::move(publishing);
  unlock();
  if (!done) co_return std::move(done).error();
  co_return address;
}

Task<void> Target::do_stop_listening(Address address) {
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  const auto found = std::find_if(acceptors_.begin(), acceptors_.end(), [&address](const auto& each) {
    return each->address().host == address.host && each->address().port == address.port;
  });
  if (found == acceptors_.end()) {
    unlock();
    co_return Error(ErrorKind::not_found,
                    "nobody listens on " + address.host + ":" + std::to_string(address.port));
  }
  // Paths lie beside their acceptors.
  paths_.erase(paths_.begin() + (found - acceptors_.begin()));
  std::vector<std::unique_ptr<net::Acceptor>> ending;
  ending.push_back(std::move(*found));
  acceptors_.erase(found);
  auto closing = net::close_all(ending);
  auto closed = co_await std::move(closing);
  static_cast<void>(closed);
  auto publishing = publish();
  Result<void> done = co_await std::move(publishing);
  unlock();
  co_return std::move(done);
}

Task<std::vector<ConnectionFacts>> Target::do_list_connections() {
  std::vector<ConnectionFacts> all;
  auto asking = net::from_all_shards(runtime_, shards_,
                                     [](const TargetShard& shard) { return shard.list_connections(); });
  NETSTOR_TRY(const auto each, co_await std::move(asking));
  for (const auto& some : each) all.insert(all.end(), some.begin(), some.end());
  co_return all;
}

Task<std::uint64_t> Target::do_disconnect(std::function<bool(const ConnectionFacts&)> wanted) {
  std::uint64_t count = 0;
  auto asking = net::from_all_shards(
      runtime_, shards_, [&wanted](TargetShard& shard) { return shard.close_connections(wanted); });
  NETSTOR_TRY(const auto each, co_await std::move(asking));
  for (const std::uint64_t some : each) count += some;
  co_return count;
}

Task<void> Target::do_stop(Duration grace) {
  auto locking = lock();
  auto locked = co_await std::move(locking);
  static_cast<void>(locked);
  auto closing_doors = net::close_all(acceptors_);
  auto no_more_come = co_await std::move(closing_doors);
  static_cast<void>(no_more_come);
  // All at once: one grace for all of them, and nobody is served on meanwhile.
  auto draining = net::on_all_shards(
      runtime_, shards_, [grace](TargetShard& shard) { return shard.drain(shard.loop().now() + grace); });
  Result<void> done = co_await std::move(draining);
  for (const auto& [nqn, subsystem] : subsystems_) {
    for (const auto& [nsid, volume] : subsystem.namespaces) {
      auto closing = close_everywhere(nqn, nsid);
      Result<void> closed = co_await std::move(closing);
      if (done) done = std::move(closed);
    }
  }
  subsystems_.clear();
  auto freeing = net::free_on_shards(runtime_, shards_);
  auto freed = co_await std::move(freeing);
  static_cast<void>(freed);
  stopped_ = true;
  unlock();
  co_return std::move(done);
}

Task<std::vector<ShardFacts>> Target::do_observe() {
  return net::from_all_shards(runtime_, shards_, [](TargetShard& shard) { return shard.facts(); });
}

}  // namespace netstor::nvmf
