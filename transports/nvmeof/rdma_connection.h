// SPDX-License-Identifier: Apache-2.0
#pragma once
// NVMe/RDMA: a message link and the queue pair on it. The payload of a command lies in the caller's memory,
// one registered piece of it, and the controller is let in there for as long as the command lasts; or, where
// a card cannot be given it so, in the connection's arena, and is copied (Metrics::copied_bytes).

#include "lib/proto/nvme/rdma_host_queue.h"
#include "transports/message_link.h"
#include "transports/nvmeof/arena.h"
#include "transports/nvmeof/connection.h"

namespace netstor::nvmeof {

class RdmaConnection final : public Connection, nvme::rdma::HostOwner, MessageObserver {
 public:
  /// What the link has to be made with.
  static MessageShape shape_of(const Plan& plan) noexcept;

  RdmaConnection(NvmeofPort& port, Owner& owner, std::unique_ptr<MessageLink> link, const Plan& plan);

  std::string_view peer() const noexcept override { return link_->peer(); }
  std::string describe() const override { return "card: " + link_->describe() + "\n"; }
  void flush() override;

 private:
  struct Place {  // of a slot
    RdmaConnection* connection = nullptr;
    std::uint16_t slot = 0;
    MessageOp send;
    MessageOp closing;
    iovec message[kMessagePiecesMax] = {};
    unsigned message_count = 1;
    MutableBytes run;  // of the arena; empty where the payload stays with the caller
    nvme::HostRequest* request = nullptr;
  };

  // nvme::rdma::HostOwner
  bool place(std::uint16_t slot, nvme::HostRequest& request, bool in_capsule,
             nvme::SglDescriptor& where) override;
  void close_window(std::uint16_t slot) override;
  void window_ended(std::uint16_t slot) override { link_->window_ended(slot); }
  bool apart(std::uint16_t slot) const override { return !places_[slot].run.empty(); }
  void settle(std::uint16_t slot, bool deliver) override;

  // MessageObserver
  void message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                    std::uint32_t ended_key) noexcept override;
  void link_lost(OpResult why) noexcept override { give_up(why); }

  void close_link() noexcept override { link_->close(link_closed_); }
  bool place_in_arena(Place& place, nvme::HostRequest& request);
  bool open(Place& place, iovec memory, const nvme::HostRequest& request, nvme::SglDescriptor& where);
  void sent(Place& place) noexcept;
  void closed(Place& place) noexcept;

  std::unique_ptr<MessageLink> link_;
  nvme::rdma::HostQueue queue_;
  std::unique_ptr<Place[]> places_;
  Arena arena_;
  std::uint64_t copied_ = 0;
  Op link_closed_;
};

}  // namespace netstor::nvmeof
