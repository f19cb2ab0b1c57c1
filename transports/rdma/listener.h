// SPDX-License-Identifier: Apache-2.0
#pragma once
// Connections on their way in. A request is taken from the connection manager on the shard that listens, and
// answered on the shard that adopts it, to which its id moves.

#include "transports/rdma/port.h"

#include <deque>

namespace netstor::rdma {

/// What a ticket stands for.
struct Incoming {
  rdma_cm_id* id = nullptr;
  std::uint8_t responder_resources = 0;
  std::uint8_t initiator_depth = 0;
  MessageGreeting greeting;

  static Incoming& of(const Ticket& ticket) noexcept;
  /// Both use the ticket up.
  static Result<std::unique_ptr<MessageLink>> accept(RdmaPort& port, const Ticket& ticket,
                                                     const MessageShape& shape,
                                                     std::span<const std::byte> private_data,
                                                     std::span<const std::byte> refusal);
  static void refuse(const Ticket& ticket, std::span<const std::byte> private_data) noexcept;
};

class RdmaListener final : public Listener, public Listening {
 public:
  static Result<std::unique_ptr<Listener>> make(RdmaPort& port, const Address& address);
  static Result<bool> acknowledges_writes(const Address& address);
  ~RdmaListener() override;

  Submit submit(AcceptOp& op) override;
  void close() override;
  const Address& address() const noexcept override { return address_; }

 private:
  static constexpr std::size_t kWaitingMax = 128;

  explicit RdmaListener(RdmaPort& port) : port_(port) {}
  void said(const rdma_cm_event& event) noexcept override;
  void hand_over(AcceptOp& op, std::unique_ptr<Incoming> incoming);

  RdmaPort& port_;
  rdma_cm_id* id_ = nullptr;
  Address address_;
  AcceptOp* waiting_ = nullptr;
  std::deque<std::unique_ptr<Incoming>> came_;
};

}  // namespace netstor::rdma
