// SPDX-License-Identifier: Apache-2.0

#include "server/s3/endpoint_shard.h"

#include <sys/random.h>

#include <array>
#include <cerrno>

#include "lib/base/assert.h"
#include "lib/base/bytes.h"
#include "lib/base/encoding.h"
#include "server/net/messages.h"
#include "transports/tls_link.h"

namespace netstor::s3server {

namespace {

/// Freed from the run queue, so that nobody up the stack is inside it.
template <class T>
struct Burial : detail::Runnable {
  explicit Burial(std::unique_ptr<T> gone) : gone_(std::move(gone)) {
    run = [](detail::Runnable& self) noexcept { delete static_cast<Burial*>(&self); };
  }

 private:
  std::unique_ptr<T> gone_;
};

}  // namespace

EndpointShard::EndpointShard(unsigned index, PortContext& context, Port& port, const EndpointConfig& config,
                             store::ObjectStore& store, std::shared_ptr<const Keys> keys)
    : index_(index),
      context_(context),
      port_(port),
      config_(config),
      keys_(std::move(keys)),
      store_(store.attach(context)),
      memory_(context.loop(), config.buffer_bytes),
      tls_(config.tls),
      slow_limit_(config.slow_limit),
      request_id_(context.random()) {}

EndpointShard::~EndpointShard() {
  NETSTOR_ASSERT(connections_.empty() && sessions_.empty());
  if (messages_ != nullptr) messages_->forget_memory(memory_.region());
}

std::string_view EndpointShard::date() {
  const auto now = wall_now();
  const auto second = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
  if (second != date_second_) {
    date_second_ = second;
    date_ = http::encode_http_date(now);
  }
  return date_;
}

// Steps of an odd number visit all 2^64 values (Knuth, 6.4).
std::string EndpointShard::next_request_id() {
  request_id_ += 0x9E3779B97F4A7C15u;
  std::array<std::byte, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(request_id_ >> (56 - 8 * i));
  return to_hex(bytes);
}

ShardFacts EndpointShard::facts() const {
  return {.shard = index_,
          .counters = counters_,
          .connections = connections_.size(),
          .chunks = memory_.count(),
          .chunks_lent = memory_.in_use()};
}

void EndpointShard::adopt(const Ticket& ticket, const std::string& peer) {
  if (draining_) return port_.refuse(ticket);
  if (connections_.size() >= config_.connections_max) {
    ++counters_.turned_away;
    warn(net::Warnings::Kind::connections_max, [&] {
      return peer + ": refused, a shard serves " + std::to_string(config_.connections_max) +
             " S3 connections already";
    });
    return port_.refuse(ticket);
  }
  Result<std::unique_ptr<Link>> link = port_.adopt(ticket);
  if (!link) return;
  ++counters_.accepted;
  if (tls_) {
    // The handshake is a part of the wait for a request: ServerOptions::idle_timeout ends a slow one.
    auto secure = std::make_unique<TlsLink>(loop(), context_.metrics(), *std::move(link),
                                            std::make_unique<tls::Session>(tls_, ""));
    secure->start(nullptr);
    link = std::unique_ptr<Link>(std::move(secure));
  }
  const std::uint64_t id = ++last_connection_;
  auto connection = std::make_unique<Connection>(*this, id, std::move(*link));
  Connection& started = *connection;
  connections_.emplace(id, std::move(connection));
  started.start();
}

std::vector<ConnectionFacts> EndpointShard::list_connections() const {
  std::vector<ConnectionFacts> all;
  for (const auto& [id, connection] : connections_)
    all.push_back({.shard = index_, .peer = std::string(connection->peer())});
  return all;
}

Future<void> EndpointShard::drain(Time deadline) { return spawn(wait_until_empty(deadline)); }

Task<void> EndpointShard::wait_until_empty(Time deadline) {
  draining_ = true;
  std::vector<Connection*> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection.get());
  for (Connection* const each : all) each->drain(deadline);
  while (!connections_.empty() || !sessions_.empty()) {
    auto pause = sleep(std::chrono::milliseconds(1));
    auto paused = co_await std::move(pause);
    static_cast<void>(paused);
  }
  auto closing = store_->close();
  Result<void> closed = co_await std::move(closing);
  co_return std::move(closed);
}

void EndpointShard::connection_gone(Connection& connection) {
  const auto found = connections_.find(connection.id());
  if (found == connections_.end()) return;
  auto* const burial = new Burial<Connection>(std::move(found->second));
  connections_.erase(found);
  loop().push(*burial);
}

// ---- Payload by RDMA.

Result<MessagePort*> EndpointShard::use_messages() {
  if (messages_ == nullptr) {
    NETSTOR_TRY_RETURN(messages_, net::use_messages(context_, memory_.region()));
  }
  return messages_;
}

// A session is named after its shard, so that whoever accepts connections finds it; the rest is chance.
Result<s3::RdmaOffer> EndpointShard::offer_session(Connection& connection, std::string access_key_id) {
  s3::RdmaOffer offer{.port = rdma_at_.port,
                      .seconds = static_cast<std::uint32_t>(
                          std::chrono::duration_cast<std::chrono::seconds>(RdmaTerms::kTicketLife).count()),
                      .bytes_max = RdmaTerms::kBytesMax,
                      .host = rdma_at_.host};
  for (s3::RdmaId* const each : {&offer.session, &offer.ticket}) {
    if (::getrandom(each->data(), each->size(), 0) != static_cast<ssize_t>(each->size()))
      return Error::system(errno, "random numbers");
  }
  store_be<std::uint16_t>(offer.session.data(), static_cast<std::uint16_t>(index_));
  if (connection.rdma() != nullptr) connection.rdma()->end();
  auto session =
      std::make_unique<RdmaSession>(*this, connection, offer.session, offer.ticket, std::move(access_key_id));
  connection.use_rdma(*session);
  sessions_.emplace(offer.session, std::move(session));
  return offer;
}

unsigned EndpointShard::shard_of(const s3::RdmaId& session) noexcept {
  return load_be<std::uint16_t>(session.data());
}

void EndpointShard::adopt_messages(const Ticket& request, const s3::RdmaGreeting& greeting,
                                   const std::string& peer) {
  const auto found = sessions_.find(greeting.session);
  if (found == sessions_.end() || draining_)
    return messages_->refuse_messages(request, encode(s3::RdmaStatus::ticket));
  found->second->answer(*messages_, request, greeting.ticket, peer);
}

void EndpointShard::session_gone(RdmaSession& session) {
  const auto found = sessions_.find(session.terms().session());
  if (found == sessions_.end()) return;
  auto* const burial = new Burial<RdmaSession>(std::move(found->second));
  sessions_.erase(found);
  loop().push(*burial);
}

}  // namespace netstor::s3server
