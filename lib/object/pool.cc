// SPDX-License-Identifier: Apache-2.0
#include "lib/object/pool.h"

#include "lib/base/assert.h"

#include <algorithm>

namespace netstor::object {

namespace {
constexpr Duration kSweep = std::chrono::milliseconds(100);
constexpr Duration kWithoutRdma = std::chrono::minutes(1);
}  // namespace

/// What the owner of an exchange waits for.
class ExchangeState final : public detail::State<void> {
 public:
  ExchangeState(Pool& pool, Exchange& exchange) noexcept : pool_(pool), exchange_(exchange) {
    destroy = [](StateBase& self) noexcept { dispose(static_cast<ExchangeState&>(self)); };
    on_cancel = [](StateBase& self) noexcept {
      auto& state = static_cast<ExchangeState&>(self);
      state.pool_.cancel(state.exchange_);
    };
  }

 private:
  Pool& pool_;
  Exchange& exchange_;
};

Pool::Pool(detail::ShardLoop& loop, Port& port, const BucketOptions& options, Endpoint endpoint,
           std::shared_ptr<const tls::Context> tls)
    : loop_(loop), port_(port), options_(options), endpoint_(std::move(endpoint)), tls_(std::move(tls)) {
  sweep_.pool = this;
  sweep_.fire = [](detail::Timer& timer) noexcept { static_cast<Sweep&>(timer).pool->sweep(); };
}

Pool::~Pool() { NETSTOR_ASSERT(connections_.empty() && waiting_ == 0 && !sweep_.armed()); }

std::unique_ptr<tls::Session> Pool::make_session() {
  return std::make_unique<tls::Session>(tls_, endpoint_.host, &resumption_);
}

std::optional<std::string_view> Pool::rdma_obstacle() {
  if (options_.rdma == RdmaUse::never) return "it is not asked for";
  if (options_.anonymous) return "nobody gets a session without credentials";
  // The session is of one connection from end to end.
  if (endpoint_.proxy) return "there is a proxy on the way";
  if (endpoint_.tls && options_.rdma == RdmaUse::automatic)
    return "RDMA does not encrypt, and the endpoint is https";
  if (!std::exchange(looked_for_messages_, true)) {
    if (Result<Port*> port = loop_.port("rdma")) messages_ = (*port)->messages();
  }
  if (messages_ == nullptr) return "there is no RDMA device here (netstor info --capabilities)";
  if (loop_.now() < rdma_again_) return rdma_declined_;
  return std::nullopt;
}

void Pool::rdma_declined(std::string why) {
  rdma_again_ = loop_.now() + kWithoutRdma;
  rdma_declined_ = std::move(why);
}

Future<void> Pool::exchange(Exchange& exchange) {
  auto* state = detail::make_state<ExchangeState>(*this, exchange);
  state->retain();
  Future<void> future(state);
  exchange.prepare();
  exchange.state_ = state;
  start(exchange);
  return future;
}

void Pool::start(Exchange& exchange) {
  if (closed_ || loop_.stopping()) {
    exchange.outcome = Exchange::Outcome::cancelled;
    return answered(exchange);
  }
  wait(exchange);
  serve();
  if (exchange.waiting_) exchange.trace("bucket", "waits for a connection");
}

void Pool::wait(Exchange& exchange) {
  exchange.before_ = last_waiting_;
  exchange.after_ = nullptr;
  exchange.waiting_ = true;
  (last_waiting_ != nullptr ? last_waiting_->after_ : first_waiting_) = &exchange;
  last_waiting_ = &exchange;
  ++waiting_;
}

void Pool::unlink(Exchange& exchange) {
  (exchange.before_ != nullptr ? exchange.before_->after_ : first_waiting_) = exchange.after_;
  (exchange.after_ != nullptr ? exchange.after_->before_ : last_waiting_) = exchange.before_;
  exchange.waiting_ = false;
  --waiting_;
}

void Pool::serve() {
  if (waiting_ > 0) sweep_soon();
  while (first_waiting_ != nullptr && !idle_.empty()) {
    Connection& connection = *idle_.back();
    idle_.pop_back();
    Exchange& exchange = *first_waiting_;
    unlink(exchange);
    connection.begin(exchange);
  }
  while (connecting_ < waiting_ && connections_.size() < options_.connections) {
    ++connecting_;
    connections_.push_back(std::make_unique<Connection>(*this));
  }
}

void Pool::idle(Connection& connection) {
  if (connection.state() != Connection::State::idle) return;
  idle_.push_back(&connection);
  if (connection.was_new()) --connecting_;
  serve();
}

void Pool::not_idle(Connection& connection) { std::erase(idle_, &connection); }

void Pool::answered(Exchange& exchange) {
  ExchangeState* const state = std::exchange(exchange.state_, nullptr);
  if (state == nullptr) return;
  state->set(Result<void>());
  state->release();
}

void Pool::ended(Connection& connection, std::optional<Error> why) {
  if (connection.was_new()) --connecting_;
  std::erase_if(connections_, [&](const auto& one) { return one.get() == &connection; });
  if (closed_) return;
  // One that could not be made takes one of the waiting along: the others may still get through.
  if (why && first_waiting_ != nullptr) {
    Exchange& exchange = *first_waiting_;
    unlink(exchange);
    exchange.outcome = Exchange::Outcome::failed;
    exchange.kind = why->kind();
    exchange.why = why->text();
    exchange.origin = why->origin();
    exchange.native = why->native();
    // What TLS found wrong will be as wrong the next time, but a handshake that broke off; and what a proxy
    // does not allow.
    const bool lasting = (why->origin() == Origin::tls && why->kind() != ErrorKind::disconnected) ||
                         why->kind() == ErrorKind::permission_denied;
    exchange.failure = {.unanswered = !lasting, .never_sent = !lasting};
    answered(exchange);
  }
  serve();
}

void Pool::cancel(Exchange& exchange) {
  if (exchange.waiting_) {
    unlink(exchange);
    exchange.outcome = Exchange::Outcome::cancelled;
    return answered(exchange);
  }
  if (exchange.connection_ != nullptr) exchange.connection_->cancel();
}

// Between two sweeps most connections are used again: those that are not learn of their end from now on, and
// are closed when they have been idle for long.
void Pool::sweep() {
  const std::vector<Connection*> idle = idle_;
  bool all_watched = idle.size() == connections_.size();
  for (Connection* connection : idle) {
    const Duration since = loop_.now() - connection->idle_since();
    if (since >= options_.idle_timeout) {
      connection->close();
    } else if (since >= kSweep) {
      connection->watch();
    } else {
      all_watched = false;
    }
  }
  if (closed_ || connections_.empty()) return;
  loop_.arm(sweep_, loop_.now() + (all_watched ? options_.idle_timeout : kSweep));
}

void Pool::sweep_soon() {
  const Time soon = loop_.now() + kSweep;
  if (sweep_.armed() && sweep_.when <= soon) return;
  if (sweep_.armed()) loop_.disarm(sweep_);
  loop_.arm(sweep_, soon);
}

// The connections end in turns to come.
void Pool::close() {
  closed_ = true;
  if (sweep_.armed()) loop_.disarm(sweep_);
  while (first_waiting_ != nullptr) cancel(*first_waiting_);
  std::vector<Connection*> open;
  for (auto& connection : connections_) open.push_back(connection.get());
  idle_.clear();
  for (Connection* connection : open) connection->cancel();
}

}  // namespace netstor::object
