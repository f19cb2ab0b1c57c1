// SPDX-License-Identifier: Apache-2.0
#pragma once
// The initiator's end of one NVMe/RDMA queue pair: requests become command capsules, each with one keyed
// descriptor of where its payload is or with the payload behind it; messages of the controller become answers
// (NVMe RDMA Transport 1.0). A pure state machine: no card, no future, time is told to it. Its owner moves
// the messages, and opens memory to the controller:
//
//   if (!queue.submit(request)) …full…
//   for (HostMessage out; queue.next(out);) …send it…; queue.sent(out.slot) when that has completed
//   if (!queue.received(bytes, ended_key)) …              // fault() says why; close
//
// A request is given back when its answer is here, its message has left, and the controller can reach its
// memory no more. The credit rule is depth: an answer can come for each command that is out, and no more, so
// that the owner lays out `depth` receives and gives each back before the queue sees its message.

#include <memory>
#include <span>

#include "lib/proto/nvme/host_slots.h"
#include "lib/wire/fabrics/rdma_fault.h"
#include "lib/wire/nvme/completion.h"

namespace netstor::nvme::rdma {

/// What the queue asks of who has the card.
class HostOwner {
 public:
  /// Where the request's payload is until settle(): in the capsule, or opened to the controller. False: there
  /// is no place for it now; it is asked again from next().
  virtual bool place(std::uint16_t slot, HostRequest& request, bool in_capsule, SglDescriptor& where) = 0;
  /// The controller is to reach the payload no more; then closed(slot), inside this call or later.
  virtual void close_window(std::uint16_t slot) = 0;
  /// The controller said that it can reach it no more.
  virtual void window_ended(std::uint16_t slot) = 0;
  /// What place() opened or took does not touch the caller's memory.
  virtual bool apart(std::uint16_t slot) const = 0;
  /// Takes back what place() gave. `deliver`: the request was answered well, and what it read is brought to
  /// where it belongs.
  virtual void settle(std::uint16_t slot, bool deliver) = 0;

 protected:
  ~HostOwner() = default;
};

struct HostQueueOptions {
  std::uint16_t depth = 128;
  std::uint32_t in_capsule_max = 0;
  std::uint32_t transfer_max = 1u << 20;
};

struct HostMessage {
  std::uint16_t slot = 0;
  HostRequest* request = nullptr;
  bool in_capsule = false;  // the payload goes behind the command
};

class HostQueue final : public HostCommands {
 public:
  HostQueue(HostOwner& owner, const HostQueueOptions& options);

  [[nodiscard]] bool submit(HostRequest& request) override;
  [[nodiscard]] bool submit_fused(HostRequest& first, HostRequest& second) override;
  // A request that was sent comes back at once only where its memory is its own again (HostOwner::apart());
  // else with the controller's answer.
  void cancel(HostRequest& request) override;
  void enable_flow_control(std::uint16_t entries, std::uint16_t head) override {
    flow_.enable(entries, head);
  }
  [[nodiscard]] unsigned room() const override { return slots_.room(); }
  [[nodiscard]] bool overdue(Time now) override { return slots_.overdue(now); }
  [[nodiscard]] Time next_deadline() const override { return slots_.next_deadline(); }
  void fail_all(Time now) override;

  // The next command that may go, its capsule complete in request->sqe; false when there is none. Of a fused
  // pair the second half follows at once.
  [[nodiscard]] bool next(HostMessage& out);
  void sent(std::uint16_t slot);
  void closed(std::uint16_t slot);
  // False when the connection is over.
  [[nodiscard]] bool received(std::span<const std::byte> message, std::uint32_t ended_key);
  [[nodiscard]] HostFault fault() const { return fault_; }

  [[nodiscard]] std::uint16_t depth() const { return slots_.depth(); }

 private:
  struct Slot : HostSlot {
    bool placed = false;
    bool in_capsule = false;
    bool sending = false;
    bool open = false;  // to the controller
    bool answered = false;
    bool cancel_wanted = false;
    std::uint32_t key = 0;
    Completion answer{};
  };

  bool place(Slot& slot, std::uint16_t index);
  void push(std::uint16_t index);
  bool fail(HostFault fault);
  void try_finish(std::uint16_t index);
  void try_detach(std::uint16_t index);
  void withdraw(std::uint16_t index);
  void give_back(std::uint16_t index, HostOutcome outcome);
  void drop(std::uint16_t index);
  void free(std::uint16_t index);

  HostOwner& owner_;
  HostSlots<Slot> slots_;
  std::unique_ptr<std::uint16_t[]> commands_;  // a ring of ring_mask_ + 1 entries, in order of sending
  std::uint32_t ring_mask_;
  std::uint32_t head_ = 0;
  std::uint32_t count_ = 0;
  bool broken_ = false;
  std::uint32_t in_capsule_max_;
  std::uint32_t transfer_max_;
  SqFlow flow_;
  HostFault fault_ = HostFault::none;
};

}  // namespace netstor::nvme::rdma
