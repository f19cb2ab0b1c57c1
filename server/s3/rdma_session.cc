// SPDX-License-Identifier: Apache-2.0

#include "server/s3/rdma_session.h"

#include "lib/base/assert.h"
#include "server/s3/connection.h"
#include "server/s3/endpoint_shard.h"

namespace netstor::s3server {

namespace {

// A request has two transfers under way; cards that take few pieces at once need several works for each.
// That the bytes are there is said by another way than they go.
constexpr MessageShape kShape{
    .receive_bytes = 64, .receives = 1, .operations = 2, .transfers = 10, .acknowledged_writes = true};

}  // namespace

RdmaSession::RdmaSession(EndpointShard& shard, Connection& connection, const s3::RdmaId& session,
                         const s3::RdmaId& ticket, std::string access_key_id)
    : shard_(shard),
      connection_(&connection),
      terms_(session, ticket, std::move(access_key_id), shard.loop().now()) {
  closed_.user = this;
  closed_.complete = [](Op& op) noexcept {
    auto& mine = *static_cast<RdmaSession*>(op.user);
    mine.shard_.session_gone(mine);
  };
}

RdmaSession::~RdmaSession() { NETSTOR_ASSERT(connection_ == nullptr); }

void RdmaSession::answer(MessagePort& port, const Ticket& request, const s3::RdmaId& ticket,
                         std::string_view peer) {
  if (ended_ || !terms_.take_ticket(ticket, shard_.loop().now()))
    return port.refuse_messages(request, encode(s3::RdmaStatus::ticket));
  auto link = port.adopt_messages(request, kShape, encode(s3::RdmaStatus::accepted),
                                  encode(s3::RdmaStatus::resources));
  if (!link) {
    shard_.warn(net::Warnings::Kind::accept,
                [&] { return std::string(peer) + ": S3 over RDMA: " + link.error().text(); });
    return;
  }
  link_ = *std::move(link);
  link_->observe(*this);
  terms_.begin(shard_.loop().now());
  ++shard_.counters().rdma_sessions;
}

// Nothing is said over it: who does speaks something else.
void RdmaSession::message_came(std::uint32_t, std::span<const std::byte>, std::uint32_t) noexcept { end(); }

void RdmaSession::link_lost(OpResult) noexcept { end(); }

detail::Loop& RdmaSession::loop() noexcept { return shard_.loop(); }

Duration RdmaSession::patience(bool to_client) const noexcept {
  const http::ServerOptions& http = shard_.config().http;
  return to_client ? http.send_timeout : http.body_timeout;
}

void RdmaSession::end() {
  if (std::exchange(ended_, true)) return;
  terms_.end();
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->forget_rdma();
  if (link_ == nullptr) return shard_.session_gone(*this);
  link_->close(closed_);
}

RdmaTransfer::RdmaTransfer() {
  user = this;
  complete = [](Op& op) noexcept {
    auto& mine = *static_cast<RdmaTransfer*>(op.user);
    mine.running_ = false;
    if (mine.alarm_.armed()) mine.alarm_.session->loop().disarm(mine.alarm_);
    if (mine.waiting_) std::exchange(mine.waiting_, nullptr).resume();
  };
  alarm_.fire = [](detail::Timer& self) noexcept { static_cast<Alarm&>(self).session->end(); };
}

void RdmaTransfer::start(RdmaSession& session, bool to_client, RemoteMemory where, const iovec* from,
                         unsigned count) {
  verb = to_client ? Verb::write : Verb::read;
  remote = where;
  pieces = from;
  piece_count = count;
  running_ = true;
  alarm_.session = &session;
  session.loop().arm(alarm_, session.loop().now() + session.patience(to_client));
  const Submit submitted = session.link()->submit(*this);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

}  // namespace netstor::s3server
