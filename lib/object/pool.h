// SPDX-License-Identifier: Apache-2.0
#pragma once
// One shard's connections to one place, and who waits for one of them.
//
//   Pool pool(loop, port, options, endpoint, tls);
//   Future<void> answered = pool.exchange(exchange);   // ready: look at exchange.outcome
//   pool.close();                                      // and free it when empty()

#include "lib/engine/shard_loop.h"
#include "lib/object/connection.h"
#include "lib/object/endpoint.h"
#include "lib/proto/tls/session.h"
#include "transports/message_link.h"

#include <memory>
#include <optional>
#include <vector>

namespace netstor::object {

class Pool {
 public:
  /// Of `options`: how many connections, and how long one may take. They outlive it. `tls`: of https.
  Pool(detail::ShardLoop& loop, Port& port, const BucketOptions& options, Endpoint endpoint,
       std::shared_ptr<const tls::Context> tls);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  detail::ShardLoop& loop() noexcept { return loop_; }
  Port& port() noexcept { return port_; }
  const BucketOptions& options() const noexcept { return options_; }
  const Endpoint& endpoint() const noexcept { return endpoint_; }
  /// Of a new connection; only with https.
  std::unique_ptr<tls::Session> make_session();

  /// Why payload cannot go by RDMA; nothing: it may.
  std::optional<std::string_view> rdma_obstacle();
  /// Instead of the shard's own; of this pool alone.
  void use_messages(MessagePort& port) noexcept {
    messages_ = &port;
    looked_for_messages_ = true;
  }
  /// Only when nothing stands in the way.
  MessagePort& messages() noexcept { return *messages_; }
  /// The service does not take payload by RDMA: it is not asked again for a while. `why` is the obstacle
  /// then.
  void rdma_declined(std::string why);

  /// Ready when it is answered, failed or cancelled, and its bytes are given back.
  Future<void> exchange(Exchange& exchange);

  /// Ends every connection; waiting exchanges are cancelled, as are those to come.
  void close();
  bool empty() const noexcept { return connections_.empty(); }

  // From the connections.
  void idle(Connection& connection);
  void not_idle(Connection& connection);
  void answered(Exchange& exchange);
  void ended(Connection& connection, std::optional<Error> why);

 private:
  friend class ExchangeState;
  struct Sweep : detail::Timer {
    Pool* pool = nullptr;
  };
  void start(Exchange& exchange);
  void cancel(Exchange& exchange);
  void wait(Exchange& exchange);
  void unlink(Exchange& exchange);
  void serve();
  void sweep();
  void sweep_soon();

  detail::ShardLoop& loop_;
  Port& port_;
  const BucketOptions& options_;
  const Endpoint endpoint_;
  const std::shared_ptr<const tls::Context> tls_;
  tls::Resumption resumption_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;  // the one that was used last at the end
  unsigned connecting_ = 0;
  Exchange* first_waiting_ = nullptr;
  Exchange* last_waiting_ = nullptr;
  unsigned waiting_ = 0;
  Sweep sweep_;
  bool closed_ = false;
  MessagePort* messages_ = nullptr;
  bool looked_for_messages_ = false;
  Time rdma_again_{};  // not before
  std::string rdma_declined_;
};

}  // namespace netstor::object
