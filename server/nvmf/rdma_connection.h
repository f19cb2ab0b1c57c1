// SPDX-License-Identifier: Apache-2.0
#pragma once
// NVMe/RDMA: a message link and the queue pair on it. Data is pulled out of the host's memory and pushed into
// it from the shard's pool; what came inside a capsule stays in its receive buffer until the command is
// answered.

#include "lib/proto/nvme/rdma_target_queue.h"
#include "server/nvmf/connection.h"
#include "transports/message_link.h"

namespace netstor::nvmf {

class RdmaConnection final : public Connection, nvme::rdma::TargetCard, MessageObserver {
 public:
  /// Answers a host's request on this shard: a connection, or null when it was refused. `ticket` is used up.
  static std::unique_ptr<Connection> answer(TargetShard& shard, std::uint64_t id, MessagePort& port,
                                            const Ticket& ticket, const std::string& peer);
  ~RdmaConnection() override;

  std::string_view peer() const noexcept override { return link_->peer(); }

 private:
  struct Work {  // of a node
    RdmaConnection* connection = nullptr;
    nvme::TargetRequest* request = nullptr;
    MessageOp transfer;
    MessageOp response;
    iovec response_piece{};
    MutableBytes registered;  // for this answer alone
  };

  RdmaConnection(TargetShard& shard, std::uint64_t id, MessagePort& port, std::unique_ptr<MessageLink> link,
                 const nvme::RdmaRequest& asked);

  // Connection
  void begin(TlsUse) override {}
  std::optional<TlsRefusal> refusal_of_tls(const nvme::ConnectData& data) override;
  void flush() override;
  void close_link() override { link_->close(closed_); }
  bool reads_are_copied() const noexcept override { return true; }
  std::uint32_t in_capsule_bytes(bool admin, std::uint32_t offered) const noexcept override;
  bool keyed_data() const noexcept override { return true; }
  bool fits(const nvme::Connect& connect) const noexcept override {
    return connect.qid == asked_.qid && connect.sqsize <= asked_.hsqsize;
  }

  // nvme::rdma::TargetCard
  void give_back(std::uint32_t receive) noexcept override { link_->give_back(receive); }
  std::byte* connect_memory(unsigned number) noexcept override;

  // MessageObserver
  void message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                    std::uint32_t ended_key) noexcept override;
  void link_lost(OpResult why) noexcept override;

  Work& work_of(const nvme::TargetRequest& request) noexcept;
  void pull(const nvme::rdma::TargetWork& work);
  void answer(const nvme::rdma::TargetWork& work);
  void submit(MessageOp& op);
  void transferred(Work& work) noexcept;
  void responded(Work& work) noexcept;

  MessagePort& port_;
  nvme::rdma::TargetQueue queue_;
  std::unique_ptr<MessageLink> link_;
  const nvme::RdmaRequest asked_;
  std::unique_ptr<Work[]> works_;  // of the nodes before Connect, then of those after it
  Op closed_;
};

}  // namespace netstor::nvmf
