// SPDX-License-Identifier: Apache-2.0
#include "lib/object/object_shard.h"

#include "lib/base/assert.h"
#include "lib/object/bucket_core.h"
#include "lib/object/credentials.h"
#include "lib/object/helper_thread.h"

#include <algorithm>

namespace netstor::object {

namespace {
constexpr Duration kSweep = std::chrono::milliseconds(100);
}

/// What the owner of an exchange waits for.
class ExchangeState final : public detail::State<void> {
 public:
  ExchangeState(ObjectShard& shard, Exchange& exchange) noexcept : shard_(shard), exchange_(exchange) {
    destroy = [](StateBase& self) noexcept { dispose(static_cast<ExchangeState&>(self)); };
    on_cancel = [](StateBase& self) noexcept {
      auto& state = static_cast<ExchangeState&>(self);
      state.shard_.cancel(state.exchange_);
    };
  }

 private:
  ObjectShard& shard_;
  Exchange& exchange_;
};

ObjectShard::ObjectShard(detail::BucketCore& core, detail::ShardLoop& loop)
    : core_(core),
      loop_(loop),
      signer_(core.region()),
      users_([](void* self) noexcept { static_cast<ObjectShard*>(self)->unused(); }, this) {
  sweep_.shard = this;
  sweep_.fire = [](detail::Timer& timer) noexcept { static_cast<Sweep&>(timer).shard->sweep(); };
}

ObjectShard::~ObjectShard() { NETSTOR_ASSERT(connections_.empty() && waiting_ == 0); }

const BucketOptions& ObjectShard::options() const noexcept { return core_.options(); }
const Endpoint& ObjectShard::endpoint() const noexcept { return core_.endpoint(); }

std::unique_ptr<tls::Session> ObjectShard::make_session() {
  return std::make_unique<tls::Session>(core_.tls(), endpoint().host, &resumption_);
}

Future<void> ObjectShard::exchange(Exchange& exchange) {
  auto* state = detail::make_state<ExchangeState>(*this, exchange);
  state->retain();
  Future<void> future(state);
  exchange.prepare();
  exchange.state_ = state;
  start(exchange);
  return future;
}

void ObjectShard::start(Exchange& exchange) {
  if (closed_ || loop_.stopping()) {
    exchange.outcome = Exchange::Outcome::cancelled;
    return answered(exchange);
  }
  wait(exchange);
  serve();
}

void ObjectShard::wait(Exchange& exchange) {
  exchange.before_ = last_waiting_;
  exchange.after_ = nullptr;
  exchange.waiting_ = true;
  (last_waiting_ != nullptr ? last_waiting_->after_ : first_waiting_) = &exchange;
  last_waiting_ = &exchange;
  ++waiting_;
}

void ObjectShard::unlink(Exchange& exchange) {
  (exchange.before_ != nullptr ? exchange.before_->after_ : first_waiting_) = exchange.after_;
  (exchange.after_ != nullptr ? exchange.after_->before_ : last_waiting_) = exchange.before_;
  exchange.waiting_ = false;
  --waiting_;
}

void ObjectShard::serve() {
  if (waiting_ > 0) sweep_soon();
  while (first_waiting_ != nullptr && !idle_.empty()) {
    Connection& connection = *idle_.back();
    idle_.pop_back();
    Exchange& exchange = *first_waiting_;
    unlink(exchange);
    connection.begin(exchange);
  }
  while (connecting_ < waiting_ && connections_.size() < options().connections) {
    ++connecting_;
    connections_.push_back(
        std::make_unique<Connection>(*this, Address{.host = endpoint().host, .port = endpoint().port}));
  }
}

void ObjectShard::idle(Connection& connection) {
  if (connection.state() != Connection::State::idle) return;
  idle_.push_back(&connection);
  if (connection.was_new()) --connecting_;
  serve();
}

void ObjectShard::not_idle(Connection& connection) { std::erase(idle_, &connection); }

void ObjectShard::answered(Exchange& exchange) {
  ExchangeState* const state = std::exchange(exchange.state_, nullptr);
  if (state == nullptr) return;
  state->set(Result<void>());
  state->release();
}

void ObjectShard::ended(Connection& connection, std::optional<Error> why) {
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
    // What TLS found wrong will be as wrong the next time, but a handshake that broke off.
    const bool lasting = why->origin() == Origin::tls && why->kind() != ErrorKind::disconnected;
    exchange.failure = {.unanswered = !lasting, .never_sent = !lasting};
    answered(exchange);
  }
  serve();
}

void ObjectShard::cancel(Exchange& exchange) {
  if (exchange.waiting_) {
    unlink(exchange);
    exchange.outcome = Exchange::Outcome::cancelled;
    return answered(exchange);
  }
  if (exchange.connection_ != nullptr) exchange.connection_->cancel();
}

// Between two sweeps most connections are used again: those that are not learn of their end from now on, and
// are closed when they have been idle for long.
void ObjectShard::sweep() {
  const std::vector<Connection*> idle = idle_;
  bool all_watched = idle.size() == connections_.size();
  for (Connection* connection : idle) {
    const Duration since = loop_.now() - connection->idle_since();
    if (since >= options().idle_timeout) {
      connection->close();
    } else if (since >= kSweep) {
      connection->watch();
    } else {
      all_watched = false;
    }
  }
  if (closed_ || connections_.empty()) return;
  loop_.arm(sweep_, loop_.now() + (all_watched ? options().idle_timeout : kSweep));
}

void ObjectShard::sweep_soon() {
  const Time soon = loop_.now() + kSweep;
  if (sweep_.armed() && sweep_.when <= soon) return;
  if (sweep_.armed()) loop_.disarm(sweep_);
  loop_.arm(sweep_, soon);
}

Reservation ObjectShard::try_reserve(std::uint64_t bytes) noexcept {
  const std::uint64_t share = core_.memory_share();
  return held_bytes_ + bytes <= share ? Reservation(&held_bytes_, bytes) : Reservation();
}

Task<Reservation> ObjectShard::reserve(std::uint64_t bytes) {
  if (const std::uint64_t share = core_.memory_share(); bytes > share) {
    co_return Error(ErrorKind::exhausted, std::to_string(bytes) +
                                              " bytes are more than this shard's share of "
                                              "BucketOptions::memory_limit_bytes, " +
                                              std::to_string(share) +
                                              "; read into memory of your own, or raise the limit");
  }
  for (;;) {
    if (Reservation reserved = try_reserve(bytes)) co_return reserved;
    // Who waits for memory waits for transfers: looking again every millisecond is nothing beside them.
    NETSTOR_CHECK(co_await sleep(std::chrono::milliseconds(1)));
  }
}

Task<void> ObjectShard::open() {
  loop_.add_stop_hook(*this);
  NETSTOR_TRY(port_, loop_.port("tcp"));
  co_return ok();
}

bool ObjectShard::needs_credentials() const noexcept {
  constexpr auto kEarly = std::chrono::minutes(5);
  if (options().anonymous) return false;
  return !has_credentials_ ||
         (credentials_end_ && *credentials_end_ - kEarly < std::chrono::system_clock::now());
}

Task<void> ObjectShard::refresh_credentials() {
  while (refreshing_) NETSTOR_CHECK(co_await yield());
  if (!needs_credentials()) co_return ok();
  refreshing_ = true;
  auto finding = on_helper_thread(loop_, [this] { return core_.find_credentials(); });
  Result<Credentials> found = co_await std::move(finding);
  refreshing_ = false;
  if (!found) co_return std::move(found).error();
  signer_.set_identity({.access_key_id = found->access_key_id,
                        .secret_access_key = found->secret_access_key,
                        .session_token = found->session_token});
  credentials_end_ = found->expires;
  has_credentials_ = true;
  co_return ok();
}

Task<void> ObjectShard::close() {
  const detail::UseCount::Use use(users_);
  if (std::exchange(closed_, true)) {
    while (!finished_) NETSTOR_CHECK(co_await yield());
    co_return ok();
  }
  if (sweep_.armed()) loop_.disarm(sweep_);
  while (first_waiting_ != nullptr) cancel(*first_waiting_);
  std::vector<Connection*> open;
  for (auto& connection : connections_) open.push_back(connection.get());
  idle_.clear();
  for (Connection* connection : open) connection->cancel();
  while (!connections_.empty() || refreshing_) NETSTOR_CHECK(co_await yield());
  loop_.remove_stop_hook(*this);
  finished_ = true;
  co_return ok();
}

// From then on the core may be freed by any thread.
void ObjectShard::unused() noexcept {
  if (finished_ && !std::exchange(told_, true)) core_.part_closed();
}

void ObjectShard::stop(detail::Runnable& ended) noexcept {
  spawn(close()).then([&ended](Result<void>) { ended.run(ended); }).detach();
}

}  // namespace netstor::object
