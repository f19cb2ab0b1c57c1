// SPDX-License-Identifier: Apache-2.0
#pragma once
// NVMe/TCP: a link and the queue pair on it. At most one batch is sent and one receive waits at a time, so
// that a turn's work is one of each.

#include <netstor/ext/link.h>

#include <array>

#include "lib/proto/nvme/host_queue.h"
#include "transports/nvmeof/connection.h"

namespace netstor::nvmeof {

class TcpConnection final : public Connection {
 public:
  TcpConnection(NvmeofPort& port, Owner& owner, std::unique_ptr<Link> link, Kind kind,
                const nvme::tcp::HostQueueOptions& options);

  std::string_view peer() const noexcept override { return link_->peer(); }
  std::string describe() const override;
  void flush() override;

 private:
  void sent();
  void received();
  void close_link() noexcept override { link_->close(&link_closed_); }

  std::unique_ptr<Link> link_;
  bool sending_ = false;
  bool receiving_ = false;
  Op link_closed_;
  SendOp send_;
  RecvOp recv_;
  std::array<iovec, kLinkPiecesMax> pieces_{};
  nvme::tcp::HostQueue queue_;
  nvme::tcp::SendBatch batch_;
};

}  // namespace netstor::nvmeof
