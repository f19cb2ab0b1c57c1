// SPDX-License-Identifier: Apache-2.0
//
// Link to queue and back.

#include "server/nvmf/tcp_connection.h"

#include <utility>

#include "lib/base/assert.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

using nvme::TargetRequest;

TcpConnection::TcpConnection(TargetShard& shard, std::uint64_t id, std::unique_ptr<Link> link)
    : Connection(shard, id, queue_),
      queue_(*this, {.allow_header_digest = shard.config().allow_header_digest,
                     .allow_data_digest = shard.config().allow_data_digest}),
      link_(std::move(link)) {
  send_.user = recv_.user = closed_.user = this;
  send_.complete = [](Op& op) noexcept { static_cast<TcpConnection*>(op.user)->was_sent(); };
  recv_.complete = [](Op& op) noexcept { static_cast<TcpConnection*>(op.user)->received(); };
  closed_.complete = [](Op& op) noexcept { static_cast<TcpConnection*>(op.user)->link_closed(); };
}

void TcpConnection::begin(TlsUse tls) {
  tls_use_ = tls;
  if (tls != TlsUse::none) return look_at_first_byte();
  receive();
}

void TcpConnection::receive() {
  recv_.pieces = recv_pieces_;
  recv_.piece_count = queue_.want(recv_pieces_, static_cast<unsigned>(std::size(recv_pieces_)));
  receiving_ = true;
  const Submit submitted = link_->submit(recv_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

// Whatever else the host sends goes nowhere.
void TcpConnection::receive_rest() {
  recv_pieces_[0] = {.iov_base = batch_.header(), .iov_len = nvme::tcp::SendBatch::kHeaderBytes};
  recv_.pieces = recv_pieces_;
  recv_.piece_count = 1;
  receiving_ = true;
  const Submit submitted = link_->submit(recv_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void TcpConnection::received() {
  receiving_ = false;
  if (closing()) return;
  if (!recv_.result.ok || recv_.result.bytes == 0) {
    tell_of_handshake();
    return end();
  }
  if (recv_.peek) return saw_first_byte();
  if (lingering()) return receive_rest();
  if (draining()) return;
  queue_.received(recv_.result.bytes);
  shard().context().metrics().copied_bytes +=
      queue_.copied_bytes() - std::exchange(copied_bytes_, queue_.copied_bytes());
  if (queue_.error()) [[unlikely]]
    warn_of_protocol();
  after_queue();
}

// Once: nothing is given to the queue after it.
void TcpConnection::warn_of_protocol() {
  shard().warn(net::Warnings::Kind::protocol, [this] {
    std::string text(peer());
    text += queue_.ended() ? ": ended its connection: " : ": broke NVMe/TCP and was disconnected: ";
    text += to_string(queue_.error()->fes);
    return text + on_subsystem();
  });
}

void TcpConnection::data_digest_wrong(const TargetRequest& request) {
  shard().warn(net::Warnings::Kind::digest, [&] {
    return std::string(peer()) + ": data digest wrong in command " + std::to_string(request.command.cid()) +
           on_subsystem() + "; it was refused";
  });
}

// The queue was told something: there may be answers, and it may have come to an end.
void TcpConnection::after_queue() {
  if (queue_.ended()) return end();
  if (queue_.has_answers()) schedule_flush();
  // A connection that broke the rules is not read any further; its TermReq is on the way.
  if (!receiving_ && !draining() && !queue_.error()) receive();
}

void TcpConnection::flush() {
  if (sending_ || !queue_.gather(batch_)) return;
  sending_ = true;
  send_.pieces = batch_.pieces();
  send_.piece_count = batch_.piece_count();
  const Submit submitted = link_->submit(send_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void TcpConnection::was_sent() {
  sending_ = false;
  if (closing()) return;
  if (!send_.result.ok) return end();
  queue_.sent();
  if (queue_.ended()) {
    // The TermReq must not be lost in a reset.
    linger();
    if (!receiving_) receive_rest();
    return;
  }
  answers_left();
}

}  // namespace netstor::nvmf
