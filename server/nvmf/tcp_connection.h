// SPDX-License-Identifier: Apache-2.0
#pragma once
// NVMe/TCP: a link and the queue pair that speaks over it, one receive and one send in flight.

#include <netstor/ext/link.h>

#include "lib/proto/nvme/target_queue.h"
#include "server/nvmf/connection.h"
#include "transports/tls_link.h"

namespace netstor::nvmf {

class TcpConnection final : public Connection {
 public:
  TcpConnection(TargetShard& shard, std::uint64_t id, std::unique_ptr<Link> link);

  std::string_view peer() const noexcept override { return link_->peer(); }

 private:
  void begin(TlsUse tls) override;
  void never_began() override { tell_of_handshake(); }
  std::optional<TlsRefusal> refusal_of_tls(const nvme::ConnectData& data) override;
  void flush() override;
  void close_link() override { link_->close(&closed_); }
  bool busy_sending() const noexcept override { return sending_; }
  // A digest is of what was there when it was made.
  bool reads_are_copied() const noexcept override { return queue_.data_digests(); }
  std::uint32_t in_capsule_bytes(bool admin, std::uint32_t offered) const noexcept override {
    return admin ? nvme::tcp::kAdminInCapsuleBytes : offered;
  }
  void data_digest_wrong(const nvme::TargetRequest& request) override;

  void look_at_first_byte();
  void saw_first_byte();
  void begin_tls();
  void tell_of_handshake();
  void tell_of_refusal(TlsRefusal why, std::string_view text);
  void receive();
  void receive_rest();
  void received();
  void was_sent();
  void after_queue();
  void warn_of_protocol();

  nvme::tcp::TargetQueue queue_;
  std::unique_ptr<Link> link_;
  TlsUse tls_use_ = TlsUse::none;
  TlsLink* tls_ = nullptr;  // link_, when it is one
  bool sending_ = false;
  bool receiving_ = false;
  std::uint64_t copied_bytes_ = 0;  // of the queue's, in the shard's counter already
  SendOp send_;
  RecvOp recv_;
  Op closed_;
  iovec recv_pieces_[kLinkPiecesMax > 64 ? 64 : kLinkPiecesMax];
  nvme::tcp::SendBatch batch_;
};

}  // namespace netstor::nvmf
