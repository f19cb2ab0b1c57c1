// SPDX-License-Identifier: Apache-2.0
#pragma once
// The endpoint on one shard: its connections, its part of the store, the memory that requests share, the
// verifier of signatures. Shards do not talk to each other.

#include <netstor/ext/driver.h>
#include <netstor/task.h>

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "lib/engine/blocking.h"
#include "lib/wire/http/date.h"
#include "lib/wire/s3/sigv4_verify.h"
#include "server/s3/config.h"
#include "server/s3/connection.h"
#include "server/s3/counters.h"
#include "server/s3/keys.h"
#include "server/s3/memory.h"
#include "server/s3/rdma_session.h"
#include "server/store/object_store.h"

namespace netstor::s3server {

class EndpointShard {
 public:
  /// On its shard. The store outlives it.
  EndpointShard(unsigned index, PortContext& context, Port& port, const EndpointConfig& config,
                store::ObjectStore& store, std::shared_ptr<const Keys> keys);
  ~EndpointShard();

  unsigned index() const noexcept { return index_; }
  detail::Loop& loop() noexcept { return context_.loop(); }
  PortContext& context() noexcept { return context_; }
  Port& port() noexcept { return port_; }
  const EndpointConfig& config() const noexcept { return config_; }
  store::ObjectShard& store() noexcept { return *store_; }
  /// As of now: who needs a user for longer holds them.
  const std::shared_ptr<const Keys>& keys() const noexcept { return keys_; }
  /// For requests that come from now on.
  void set_keys(std::shared_ptr<const Keys> keys) noexcept { keys_ = std::move(keys); }
  Memory& memory() noexcept { return memory_; }
  s3::Verifier& verifier() noexcept { return verifier_; }
  /// Sums over much data are taken there, so that the shard serves others meanwhile.
  detail::BlockingThread& hashing() noexcept { return hashing_; }

  Counters& counters() noexcept { return counters_; }
  ShardFacts facts() const;
  Duration slow_limit() const noexcept { return slow_limit_; }
  /// For connections that come from now on; only where there was a context at the start.
  void set_tls(std::shared_ptr<const tls::Context> tls) noexcept { tls_ = std::move(tls); }
  void set_slow_limit(Duration limit) noexcept { slow_limit_ = limit; }

  static http::WallTime wall_now() { return std::chrono::system_clock::now(); }
  /// The Date of an answer; made anew each second.
  std::string_view date();
  /// Unique in this process, and hard to guess before it was told.
  std::string next_request_id();

  void adopt(const Ticket& ticket, const std::string& peer);
  std::size_t connections() const noexcept { return connections_.size(); }
  std::vector<ConnectionFacts> list_connections() const;
  /// Ends every connection, then the store's part.
  Future<void> drain(Time deadline);
  void connection_gone(Connection& connection);

  // ---- Payload by RDMA.
  /// Has the memory for objects registered with the cards, the first time.
  Result<MessagePort*> use_messages();
  /// From now on sessions are offered, to be taken up there.
  void offer_rdma(const Address& at) { rdma_at_ = at; }
  bool offers_rdma() const noexcept { return rdma_at_.port != 0; }
  /// A new session of a connection, instead of the one that it has.
  Result<s3::RdmaOffer> offer_session(Connection& connection, std::string access_key_id);
  /// Which shard a session is of; of one that nobody offered any number.
  static unsigned shard_of(const s3::RdmaId& session) noexcept;
  void adopt_messages(const Ticket& request, const s3::RdmaGreeting& greeting, const std::string& peer);
  void session_gone(RdmaSession& session);

  /// `text()` is asked for only when it is said.
  template <class Text>
  void warn(net::Warnings::Kind kind, Text text) {
    if (config_.warnings != nullptr) config_.warnings->say(kind, loop().now(), text);
  }

 private:
  Task<void> wait_until_empty(Time deadline);

  const unsigned index_;
  PortContext& context_;
  Port& port_;
  const EndpointConfig config_;
  std::shared_ptr<const Keys> keys_;
  std::unique_ptr<store::ObjectShard> store_;
  Memory memory_;
  Counters counters_;
  std::shared_ptr<const tls::Context> tls_;
  Duration slow_limit_;
  s3::Verifier verifier_;
  detail::BlockingThread hashing_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<s3::RdmaId, std::unique_ptr<RdmaSession>> sessions_;  // until nothing moves in them any more
  MessagePort* messages_ = nullptr;
  Address rdma_at_;  // port 0: no sessions are offered
  std::uint64_t last_connection_ = 0;
  std::uint64_t request_id_;
  http::DateText date_;
  std::chrono::seconds date_second_{-1};
  bool draining_ = false;
};

}  // namespace netstor::s3server
