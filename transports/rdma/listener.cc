// SPDX-License-Identifier: Apache-2.0
#include "transports/rdma/listener.h"

#include "lib/base/assert.h"
#include "transports/socket.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>

namespace netstor::rdma {

namespace {

constexpr int kBacklog = 128;

bool is_iwarp(const ibv_context& device) { return device.device->transport_type == IBV_TRANSPORT_IWARP; }

}  // namespace

Incoming& Incoming::of(const Ticket& ticket) noexcept {
  return *reinterpret_cast<Incoming*>(static_cast<std::uintptr_t>(ticket.words[0]));
}

Result<std::unique_ptr<MessageLink>> Incoming::accept(RdmaPort& port, const Ticket& ticket,
                                                      const MessageShape& shape,
                                                      std::span<const std::byte> private_data,
                                                      std::span<const std::byte> refusal) {
  const std::unique_ptr<Incoming> incoming(&of(ticket));
  rdma_cm_id* const id = incoming->id;
  const auto drop = [&](Error error) {
    ::rdma_reject(id, refusal.data(), static_cast<std::uint8_t>(refusal.size()));
    ::rdma_destroy_id(id);
    return error;
  };
  if (id->channel != port.channel() && ::rdma_migrate_id(id, port.channel()) != 0)
    return drop(Error::system(errno, "bring an RDMA connection to its shard"));
  // What is read from it would wait for ever in some cards.
  if (shape.transfers != 0 && incoming->initiator_depth == 0)
    return drop(Error(ErrorKind::unsupported, "the peer answers no reads (responder_resources 0)"));
  if (shape.acknowledged_writes && is_iwarp(*id->verbs))
    return drop(Error(ErrorKind::unsupported, "an iWARP device does not tell when its writes are there"));
  Result<Card*> card = port.card(id->verbs);
  if (!card) return drop(std::move(card).error());
  if (!port.reaches_all(**card)) {
    return drop(Error(ErrorKind::exhausted,
                      "the memory for data could not be registered; raise the limit of locked memory "
                      "(ulimit -l; see netstor info --capabilities)"));
  }
  Result<std::unique_ptr<RdmaLink>> made = RdmaLink::make(port, **card, id, shape);
  if (!made) return drop(std::move(made).error());
  std::unique_ptr<RdmaLink> link = *std::move(made);
  link->greet(incoming->greeting.bytes, incoming->greeting.length);
  rdma_conn_param wanted{};
  wanted.private_data = private_data.data();
  wanted.private_data_len = static_cast<std::uint8_t>(private_data.size());
  const ibv_device_attr& abilities = (*card)->abilities();
  wanted.responder_resources =
      static_cast<std::uint8_t>(std::min<int>(incoming->responder_resources, abilities.max_qp_rd_atom));
  wanted.initiator_depth =
      static_cast<std::uint8_t>(std::min<int>(incoming->initiator_depth, abilities.max_qp_init_rd_atom));
  wanted.rnr_retry_count = kNotReadyRetries;
  if (::rdma_accept(id, &wanted) != 0) {
    Error error = Error::system(errno, "accept an RDMA connection");
    link->abandon();
    ::rdma_destroy_id(id);
    return error;
  }
  if (wanted.initiator_depth != 0) link->nudge_until_heard(false);
  return std::unique_ptr<MessageLink>(std::move(link));
}

void Incoming::refuse(const Ticket& ticket, std::span<const std::byte> private_data) noexcept {
  const std::unique_ptr<Incoming> incoming(&of(ticket));
  ::rdma_reject(incoming->id, private_data.data(), static_cast<std::uint8_t>(private_data.size()));
  ::rdma_destroy_id(incoming->id);
}

Result<std::unique_ptr<Listener>> RdmaListener::make(RdmaPort& port, const Address& address) {
  const auto numeric = numeric_address(address);
  if (!numeric)
    return Error(ErrorKind::invalid_argument, "listen: " + address.host + " is no numeric address");
  std::unique_ptr<RdmaListener> listener(new RdmaListener(port));
  const std::string what = "listen on " + address.host + " port " + std::to_string(address.port);
  if (::rdma_create_id(port.channel(), &listener->id_, static_cast<Listening*>(listener.get()),
                       RDMA_PS_TCP) != 0)
    return Error::system(errno, what);
  if (::rdma_bind_addr(listener->id_, const_cast<sockaddr*>(numeric->get())) != 0 ||
      ::rdma_listen(listener->id_, kBacklog) != 0) {
    return Error::system(errno, what);
  }
  listener->address_ = {.host = address.host, .port = ntohs(::rdma_get_src_port(listener->id_))};
  return std::unique_ptr<Listener>(std::move(listener));
}

Result<bool> RdmaListener::acknowledges_writes(const Address& address) {
  const auto numeric = numeric_address({.host = address.host, .port = 0});
  if (!numeric) return Error(ErrorKind::invalid_argument, address.host + " is no numeric address");
  rdma_cm_id* bound = nullptr;
  if (::rdma_create_id(nullptr, &bound, nullptr, RDMA_PS_TCP) != 0)
    return Error::system(errno, "reach the RDMA connection manager");
  const std::unique_ptr<rdma_cm_id, int (*)(rdma_cm_id*)> id(bound, ::rdma_destroy_id);
  if (::rdma_bind_addr(id.get(), const_cast<sockaddr*>(numeric->get())) != 0)
    return Error::system(errno, "find the RDMA device of " + address.host);
  if (id->verbs != nullptr) return !is_iwarp(*id->verbs);
  int count = 0;
  const std::unique_ptr<ibv_context*, void (*)(ibv_context**)> devices(::rdma_get_devices(&count),
                                                                       ::rdma_free_devices);
  return count == 0 || std::any_of(devices.get(), devices.get() + count,
                                   [](const ibv_context* each) { return !is_iwarp(*each); });
}

RdmaListener::~RdmaListener() { RdmaListener::close(); }

void RdmaListener::hand_over(AcceptOp& op, std::unique_ptr<Incoming> incoming) {
  op.peer = peer_text(*incoming->id);
  op.ticket = {};
  op.ticket.words[0] = reinterpret_cast<std::uintptr_t>(incoming.release());
  port_.finish(op, OpResult::success());
}

void RdmaListener::said(const rdma_cm_event& event) noexcept {
  if (event.event != RDMA_CM_EVENT_CONNECT_REQUEST) return;
  // Of what befalls it until it is adopted nobody needs to hear: accepting it fails then.
  event.id->context = nullptr;
  if (came_.size() >= kWaitingMax || id_ == nullptr) {
    ::rdma_reject(event.id, nullptr, 0);
    ::rdma_destroy_id(event.id);
    return;
  }
  auto incoming = std::make_unique<Incoming>();
  incoming->id = event.id;
  incoming->responder_resources = event.param.conn.responder_resources;
  incoming->initiator_depth = event.param.conn.initiator_depth;
  incoming->greeting.length = event.param.conn.private_data_len;
  if (incoming->greeting.length != 0)
    std::copy_n(static_cast<const std::byte*>(event.param.conn.private_data), incoming->greeting.length,
                incoming->greeting.bytes);
  if (waiting_ != nullptr) return hand_over(*std::exchange(waiting_, nullptr), std::move(incoming));
  came_.push_back(std::move(incoming));
}

Submit RdmaListener::submit(AcceptOp& op) {
  if (waiting_ != nullptr) return Submit::full;
  if (id_ == nullptr) {
    port_.finish(op, OpResult::failure(ErrorKind::cancelled));
  } else if (came_.empty()) {
    waiting_ = &op;
  } else {
    hand_over(op, std::move(came_.front()));
    came_.pop_front();
  }
  return Submit::accepted;
}

void RdmaListener::close() {
  if (id_ != nullptr) ::rdma_destroy_id(std::exchange(id_, nullptr));
  for (auto& each : came_) {
    ::rdma_reject(each->id, nullptr, 0);
    ::rdma_destroy_id(each->id);
  }
  came_.clear();
  if (waiting_ != nullptr)
    port_.finish(*std::exchange(waiting_, nullptr), OpResult::failure(ErrorKind::cancelled));
}

}  // namespace netstor::rdma
