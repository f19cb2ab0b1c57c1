// SPDX-License-Identifier: Apache-2.0

#include "server/s3/endpoint.h"

#include "lib/base/assert.h"
#include "lib/engine/shard_loop.h"
#include "server/net/shards.h"
#include "server/s3/rdma_host.h"

namespace netstor::s3server {

Endpoint::Endpoint(Runtime& runtime, EndpointConfig config, store::ObjectStore& store, Keys keys)
    : runtime_(runtime),
      config_(std::move(config)),
      store_(store),
      keys_(std::make_shared<const Keys>(std::move(keys))),
      shards_(runtime.shards(), nullptr) {}

Endpoint::~Endpoint() { NETSTOR_ASSERT(stopped_); }

Result<std::unique_ptr<Endpoint>> Endpoint::start(Runtime& runtime, EndpointConfig config,
                                                  store::ObjectStore& store, Keys keys) {
  if (config.buffer_bytes < 2 * Memory::kLendingMax)
    return Error(ErrorKind::invalid_argument, "buffer_bytes: at least 2 MiB");
  std::unique_ptr<Endpoint> endpoint(new Endpoint(runtime, std::move(config), store, std::move(keys)));
  for (unsigned i = 0; i < runtime.shards(); ++i) {
    Endpoint* const made = endpoint.get();
    Result<void> done = runtime.shard(i).run_on([made, i] { return made->make_shard(i); }).get();
    if (!done) {
      static_cast<void>(endpoint->stop(Duration::zero()).get());
      return std::move(done).error();
    }
  }
  return endpoint;
}

Result<void> Endpoint::make_shard(unsigned index) {
  PortContext& context = detail::this_shard_loop();
  Result<Port*> port = context.port("tcp");
  if (!port) return std::move(port).error();
  auto shard = std::make_unique<EndpointShard>(index, context, **port, config_, store_, keys_);
  const bool usable = shard->memory().usable();
  shards_[index] = shard.release();
  if (!usable) return Error(ErrorKind::exhausted, "no address space for the buffers of a shard");
  return ok();
}

Future<Address> Endpoint::listen(Address address) {
  return runtime_.shard(0).run_on([this, address = std::move(address)] { return do_listen(address); });
}
Future<Address> Endpoint::listen_rdma(Address address) {
  return runtime_.shard(0).run_on([this, address = std::move(address)] { return do_listen_rdma(address); });
}
Future<void> Endpoint::prepare_bucket(std::string name, std::optional<store::AnonymousAccess> anonymous) {
  return runtime_.shard(0).run_on(
      [this, name = std::move(name), anonymous] { return do_prepare_bucket(name, anonymous); });
}
Future<void> Endpoint::stop(Duration grace) {
  return runtime_.shard(0).run_on([this, grace] { return do_stop(grace); });
}
Future<std::vector<store::Bucket>> Endpoint::buckets() {
  return runtime_.shard(0).run_on([this] { return shards_[0]->store().buckets(); });
}
Future<void> Endpoint::remove_bucket(std::string name) {
  return runtime_.shard(0).run_on(
      [this, name = std::move(name)] { return shards_[0]->store().remove_bucket(name); });
}
Future<void> Endpoint::set_keys(Keys keys) {
  return runtime_.shard(0).run_on([this, shared = std::make_shared<const Keys>(std::move(keys))] {
    return net::on_all_shards(runtime_, shards_, [shared](EndpointShard& shard) {
      shard.set_keys(shared);
      return ok();
    });
  });
}
Future<void> Endpoint::accept_connections(bool accept) {
  return runtime_.shard(0).run_on([this, accept] { accepting_ = accept; });
}
Future<Endpoint::Counts> Endpoint::counts() {
  return runtime_.shard(0).run_on([this] { return do_count(); });
}

Future<std::vector<ConnectionFacts>> Endpoint::connections() {
  return runtime_.shard(0).run_on([this] { return do_list_connections(); });
}
Future<std::vector<ShardFacts>> Endpoint::observe() {
  return runtime_.shard(0).run_on([this] { return do_observe(); });
}
Future<void> Endpoint::set_tls(std::shared_ptr<const tls::Context> tls) {
  return runtime_.shard(0).run_on([this, tls = std::move(tls)] {
    return net::on_all_shards(runtime_, shards_, [tls](EndpointShard& shard) {
      shard.set_tls(tls);
      return ok();
    });
  });
}
Future<void> Endpoint::set_slow_limit(Duration limit) {
  return runtime_.shard(0).run_on([this, limit] {
    return net::on_all_shards(runtime_, shards_, [limit](EndpointShard& shard) {
      shard.set_slow_limit(limit);
      return ok();
    });
  });
}

Result<Address> Endpoint::do_listen(const Address& address) {
  Result<std::unique_ptr<Listener>> listener = shards_[0]->port().listen(address);
  if (!listener) return std::move(listener).error();
  auto acceptor = std::make_unique<net::Acceptor>(
      shards_[0]->loop(), std::move(*listener),
      [this](const Ticket& ticket, const std::string& peer) { deal(ticket, peer); }, config_.warnings);
  const Address bound = acceptor->address();
  acceptor->start();
  acceptors_.push_back(std::move(acceptor));
  return bound;
}

void Endpoint::deal(const Ticket& ticket, const std::string& peer) {
  if (!accepting_) return shards_[0]->port().refuse(ticket);
  next_shard_ = (next_shard_ + 1) % static_cast<unsigned>(shards_.size());
  EndpointShard* const shard = shards_[next_shard_];
  runtime_.shard(next_shard_).run_on([shard, ticket, peer] { shard->adopt(ticket, peer); }).detach();
}

// Every shard has connections, and may have a session of each.
Task<Address> Endpoint::do_listen_rdma(Address address) {
  auto preparing = net::on_all_shards(runtime_, shards_, [](EndpointShard& shard) -> Result<void> {
    NETSTOR_CHECK_RETURN(shard.use_messages());
    return ok();
  });
  NETSTOR_CHECK(co_await std::move(preparing));
  NETSTOR_TRY(MessagePort* const port, shards_[0]->use_messages());
  NETSTOR_TRY(const bool acknowledges, port->acknowledges_writes(address));
  if (!acknowledges) {
    // The shards know of no port, and answer as those without RDMA.
    shards_[0]->warn(net::Warnings::Kind::accept, [&] {
      return "S3 over RDMA is not offered at " + address.host +
             ": an iWARP device does not tell when the payload that it writes is there";
    });
    co_return Address{.host = address.host, .port = 0};
  }
  NETSTOR_TRY(std::unique_ptr<Listener> listener, port->listen(address));
  auto acceptor = std::make_unique<net::Acceptor>(
      shards_[0]->loop(), std::move(listener),
      [this](const Ticket& ticket, const std::string& peer) { deal_messages(ticket, peer); },
      config_.warnings);
  const Address bound = acceptor->address();
  acceptor->start();
  acceptors_.push_back(std::move(acceptor));
  const Address offered{.host = rdma_host_to_offer(address), .port = bound.port};
  auto offering = net::on_all_shards(runtime_, shards_, [offered](EndpointShard& shard) {
    shard.offer_rdma(offered);
    return ok();
  });
  NETSTOR_CHECK(co_await std::move(offering));
  co_return bound;
}

void Endpoint::deal_messages(const Ticket& ticket, const std::string& peer) {
  MessagePort& port = **shards_[0]->use_messages();
  s3::RdmaStatus refusal = s3::RdmaStatus::ticket;
  const auto greeting = s3::decode_rdma_greeting(port.asked(ticket).view(), refusal);
  if (!greeting) return port.refuse_messages(ticket, encode(refusal));
  const unsigned index = EndpointShard::shard_of(greeting->session);
  if (index >= shards_.size()) return port.refuse_messages(ticket, encode(s3::RdmaStatus::ticket));
  EndpointShard* const shard = shards_[index];
  runtime_.shard(index)
      .run_on([shard, ticket, greeting = *greeting, peer] { shard->adopt_messages(ticket, greeting, peer); })
      .detach();
}

Task<void> Endpoint::do_prepare_bucket(std::string name, std::optional<store::AnonymousAccess> anonymous) {
  store::ObjectShard& store = shards_[0]->store();
  if (!store.bucket(name)) {
    auto creating = store.create_bucket(name);
    Result<store::Bucket> created = co_await std::move(creating);
    if (!created) co_return std::move(created).error();
  }
  if (!anonymous) co_return ok();
  auto setting = store.set_anonymous(name, *anonymous);
  Result<void> set = co_await std::move(setting);
  co_return std::move(set);
}

Task<void> Endpoint::do_stop(Duration grace) {
  auto closing_doors = net::close_all(acceptors_);
  auto no_more_come = co_await std::move(closing_doors);
  static_cast<void>(no_more_come);
  // All at once: one grace for all of them.
  auto draining = net::on_all_shards(
      runtime_, shards_, [grace](EndpointShard& shard) { return shard.drain(shard.loop().now() + grace); });
  Result<void> done = co_await std::move(draining);
  auto freeing = net::free_on_shards(runtime_, shards_);
  auto freed = co_await std::move(freeing);
  static_cast<void>(freed);
  stopped_ = true;
  co_return std::move(done);
}

Task<Endpoint::Counts> Endpoint::do_count() {
  auto asking = net::from_all_shards(runtime_, shards_, [](EndpointShard& shard) {
    return Counts{.connections = shard.connections(), .chunks = shard.memory().in_use()};
  });
  NETSTOR_TRY(const std::vector<Counts> each, co_await std::move(asking));
  Counts counts;
  for (const Counts& some : each) {
    counts.connections += some.connections;
    counts.chunks += some.chunks;
  }
  co_return counts;
}

Task<std::vector<ConnectionFacts>> Endpoint::do_list_connections() {
  auto asking =
      net::from_all_shards(runtime_, shards_, [](EndpointShard& shard) { return shard.list_connections(); });
  Result<std::vector<std::vector<ConnectionFacts>>> lists = co_await std::move(asking);
  if (!lists) co_return std::move(lists).error();
  std::vector<ConnectionFacts> all;
  for (const auto& list : *lists) all.insert(all.end(), list.begin(), list.end());
  co_return all;
}

Task<std::vector<ShardFacts>> Endpoint::do_observe() {
  return net::from_all_shards(runtime_, shards_, [](EndpointShard& shard) { return shard.facts(); });
}

}  // namespace netstor::s3server
