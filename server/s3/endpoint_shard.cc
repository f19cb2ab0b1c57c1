// SPDX-License-Identifier: Apache-2.0

#include "server/s3/endpoint_shard.h"

#include <array>

#include "lib/base/assert.h"
#include "lib/base/encoding.h"
#include "transports/tls_link.h"

namespace netstor::s3server {

namespace {

/// Freed from the run queue, so that nobody up the stack is inside it.
struct Burial : detail::Runnable {
  std::unique_ptr<Connection> connection;
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

EndpointShard::~EndpointShard() { NETSTOR_ASSERT(connections_.empty()); }

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
    if (config_.warnings != nullptr) {
      config_.warnings->say(net::Warnings::Kind::connections_max, loop().now(), [&] {
        return peer + ": refused, a shard serves " + std::to_string(config_.connections_max) +
               " S3 connections already";
      });
    }
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
  while (!connections_.empty()) {
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
  auto* const burial = new Burial;
  burial->run = [](detail::Runnable& self) noexcept { delete static_cast<Burial*>(&self); };
  burial->connection = std::move(found->second);
  connections_.erase(found);
  loop().push(*burial);
}

}  // namespace netstor::s3server
