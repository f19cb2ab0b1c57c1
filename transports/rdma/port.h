// SPDX-License-Identifier: Apache-2.0
#pragma once
// One shard's RDMA: its cards, its links, and what the connection manager says. Completions are polled;
// before the shard sleeps the completion queues are armed, so that fd() tells of them.

#include "transports/finished_ops.h"
#include "transports/message_link.h"
#include "transports/rdma/card.h"
#include "transports/rdma/link.h"

#include <vector>

namespace netstor::rdma {

/// So often the other end's card shall ask again when we have no receive for what it sends; who keeps to the
/// credit rule never meets that. The time between is the card's, up to 0.7 s. 7 would be for ever.
inline constexpr std::uint8_t kNotReadyRetries = 6;

/// "10.0.0.1:4420" of the other end.
std::string peer_text(rdma_cm_id& id);

class RdmaPort final : public MessagePort {
 public:
  static Result<std::unique_ptr<RdmaPort>> make(PortContext& context);
  ~RdmaPort() override;

  unsigned poll(unsigned max) override;
  void flush() override;
  int fd() const noexcept override { return epoll_; }
  bool may_sleep() override;
  void sleep_until(Time deadline) override;
  void wake() noexcept override;
  Result<void> register_memory(MutableBytes memory) override;
  void forget_memory(MutableBytes memory) noexcept override;

  Result<std::unique_ptr<Listener>> listen(const Address& address) override;
  MessagePort* messages() noexcept override { return this; }
  Result<bool> acknowledges_writes(const Address& address) override;
  void connect_messages(MessageConnectOp& op) override;
  void cancel_messages(MessageConnectOp& op) override;
  const MessageGreeting& asked(const Ticket& ticket) const noexcept override;
  Result<std::unique_ptr<MessageLink>> adopt_messages(const Ticket& ticket, const MessageShape& shape,
                                                      std::span<const std::byte> private_data,
                                                      std::span<const std::byte> refusal) override;
  void refuse_messages(const Ticket& ticket, std::span<const std::byte> private_data) noexcept override;
  void refuse(const Ticket& ticket) noexcept override { refuse_messages(ticket, {}); }

  PortContext& context() noexcept { return context_; }
  detail::Loop& loop() noexcept { return context_.loop(); }
  rdma_event_channel* channel() noexcept { return channel_; }
  /// The shard's card for a device; made when first needed.
  Result<Card*> card(ibv_context* device);
  /// Everything that was registered is registered there.
  bool reaches_all(const Card& card) const noexcept;

  /// Completes `op` from poll().
  void finish(Op& op, OpResult result) noexcept { finished_.add(op, result); }
  /// Something of it is to be handed to its card by flush().
  void has_work(RdmaLink& link) noexcept;
  /// end() is called once it is drained.
  void closing(RdmaLink& link) { closing_.push_back(&link); }
  void remove(RdmaLink& link) noexcept;
  /// While somebody waits for the connection manager it is asked in each turn.
  void eager(int change) noexcept { eager_ += change; }

 private:
  explicit RdmaPort(PortContext& context) noexcept : context_(context) {}
  Result<void> watch(int fd);
  unsigned hear();
  unsigned end_drained();

  PortContext& context_;
  rdma_event_channel* channel_ = nullptr;
  int epoll_ = -1;
  int event_ = -1;
  int eager_ = 0;
  Time heard_{};  // when the connection manager was asked last
  bool slept_ = false;
  FinishedOps finished_;
  std::vector<std::unique_ptr<Card>> cards_;
  std::vector<MutableBytes> registered_;
  std::vector<RdmaLink*> closing_;
  RdmaLink* with_work_ = nullptr;
};

}  // namespace netstor::rdma
