// SPDX-License-Identifier: Apache-2.0
#pragma once
// The S3 endpoint of a process:
//
//   auto endpoint = Endpoint::start(runtime, {}, *store, keys).value();
//   Address at = endpoint->listen({"127.0.0.1", 9000}).get().value();
//   …
//   endpoint->stop(std::chrono::seconds(5)).get();      // before the store and the runtime go
//
// Connections are dealt to the shards in turn and stay there.
//
// Thread rule: any thread, like Shard::run_on(); one stop(), and nothing after it. Error rule: what the
// system and the store answer.

#include <netstor/shard.h>

#include <memory>
#include <vector>

#include "server/net/acceptor.h"
#include "server/s3/endpoint_shard.h"

namespace netstor::s3server {

class Endpoint {
 public:
  /// Makes the endpoint's part of each shard. Foreign threads, or the one that drives an embedded runtime.
  /// The store must live until stop() has answered. Errors: invalid_argument (buffer_bytes), exhausted.
  static Result<std::unique_ptr<Endpoint>> start(Runtime& runtime, EndpointConfig config,
                                                 store::ObjectStore& store, Keys keys);
  ~Endpoint();

  /// Answers the address with the port that was chosen where 0 was asked for.
  Future<Address> listen(Address address);
  /// Offers payload by RDMA (docs/formats/s3-rdma.md), over connections that come there. Once. `host` of an
  /// RDMA device, or 0.0.0.0 or [::] for all: then clients come where they have come by HTTP. Errors: those
  /// of the driver for RDMA. Of an iWARP device nothing is offered: a warning says so, and the answer is port
  /// 0.
  Future<Address> listen_rdma(Address address);
  /// A bucket, made when it is not there, with this access for everybody.
  Future<void> prepare_bucket(std::string name, std::optional<store::AnonymousAccess> anonymous);
  /// No new connections; requests under way are answered, for `grace` at most; then everything is closed.
  Future<void> stop(Duration grace);

  /// In the order of their names.
  Future<std::vector<store::Bucket>> buckets();
  /// Errors: the store's; fault() says no_such_bucket, bucket_not_empty.
  Future<void> remove_bucket(std::string name);

  /// Who may do what, for requests that begin from now on.
  Future<void> set_keys(Keys keys);
  /// False: new connections are closed at once, until it is true again. Addresses stay taken.
  Future<void> accept_connections(bool accept);

  struct Counts {
    std::size_t connections = 0;
    std::size_t chunks = 0;  ///< of the memory, lent to requests
  };
  Future<Counts> counts();
  Future<std::vector<ConnectionFacts>> connections();
  /// What every shard has counted. Empty when the endpoint was stopped.
  Future<std::vector<ShardFacts>> observe();
  /// EndpointConfig::tls for connections that come from now on.
  Future<void> set_tls(std::shared_ptr<const tls::Context> tls);
  /// EndpointConfig::slow_limit from now on.
  Future<void> set_slow_limit(Duration limit);

 private:
  Endpoint(Runtime& runtime, EndpointConfig config, store::ObjectStore& store, Keys keys);
  Result<void> make_shard(unsigned index);
  Result<Address> do_listen(const Address& address);
  Task<Address> do_listen_rdma(Address address);
  Task<void> do_prepare_bucket(std::string name, std::optional<store::AnonymousAccess> anonymous);
  Task<void> do_stop(Duration grace);
  Task<Counts> do_count();
  Task<std::vector<ConnectionFacts>> do_list_connections();
  Task<std::vector<ShardFacts>> do_observe();
  void deal(const Ticket& ticket, const std::string& peer);
  void deal_messages(const Ticket& ticket, const std::string& peer);

  Runtime& runtime_;
  const EndpointConfig config_;
  store::ObjectStore& store_;
  const std::shared_ptr<const Keys> keys_;  // those of the start
  std::vector<EndpointShard*> shards_;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
  unsigned next_shard_ = 0;
  bool accepting_ = true;
  bool stopped_ = false;
};

}  // namespace netstor::s3server
