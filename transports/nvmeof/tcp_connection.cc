// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/tcp_connection.h"

#include "lib/base/assert.h"
#include "transports/cause.h"

namespace netstor::nvmeof {

static_assert(nvme::tcp::SendBatch::kPiecesMax <= kLinkPiecesMax);

TcpConnection::TcpConnection(NvmeofPort& port, Owner& owner, std::unique_ptr<Link> link, Kind kind,
                             const nvme::tcp::HostQueueOptions& options)
    : Connection(port, owner, kind, queue_), link_(std::move(link)), queue_(options) {
  send_.user = recv_.user = link_closed_.user = this;
  send_.complete = [](Op& op) noexcept { static_cast<TcpConnection*>(op.user)->sent(); };
  recv_.complete = [](Op& op) noexcept { static_cast<TcpConnection*>(op.user)->received(); };
  link_closed_.complete = [](Op& op) noexcept { static_cast<TcpConnection*>(op.user)->link_ended(); };
}

void TcpConnection::flush() {
  if (state() > State::parting) return;
  if (!sending_ && queue_.has_work()) {
    batch_.clear();
    queue_.gather(batch_);
    if (!batch_.empty()) {
      send_.pieces = batch_.pieces();
      send_.piece_count = batch_.piece_count();
      sending_ = true;
      const Submit submitted = link_->submit(send_);
      NETSTOR_ASSERT(submitted == Submit::accepted);
    }
  }
  // The TermReq was the last to say.
  if (state() == State::parting) {
    if (!sending_) begin_close();
    return;
  }
  if (!receiving_) {
    recv_.pieces = pieces_.data();
    recv_.piece_count = queue_.want(pieces_.data(), static_cast<unsigned>(pieces_.size()));
    receiving_ = true;
    const Submit submitted = link_->submit(recv_);
    NETSTOR_ASSERT(submitted == Submit::accepted);
  }
  watch();
}

void TcpConnection::sent() {
  sending_ = false;
  if (state() == State::open && !send_.result.ok) return give_up(send_.result);
  // The batch has let go of its payload: what was answered or cancelled meanwhile is given back.
  if (state() <= State::parting && send_.result.ok) queue_.batch_sent();
  if (state() == State::parting) begin_close();
}

void TcpConnection::received() {
  receiving_ = false;
  if (state() != State::open) return;
  if (!recv_.result.ok) return give_up(recv_.result);
  if (recv_.result.bytes == 0) {
    return give_up(OpResult::failure(ErrorKind::disconnected, Origin::library, cause::kClosedByPeer));
  }
  const bool alive = queue_.received(static_cast<std::size_t>(recv_.result.bytes));
  count_copies(queue_.copied_bytes());
  if (alive || state() != State::open) return;
  const auto& fault = queue_.fault();
  const auto why = OpResult::failure(
      ErrorKind::protocol, Origin::library,
      fault ? cause::nvme_tcp(fault->error, fault->kind == nvme::tcp::HostFault::Kind::terminated) : 0);
  // flush() sends the TermReq where there is one to send; a batch in flight would have to be waited for.
  part(why, !sending_);
}

std::string TcpConnection::describe() const {
  const auto on = [](bool yes) { return yes ? "on\n" : "off\n"; };
  return std::string("header digest: ") + on(queue_.header_digest()) +
         "data digest: " + on(queue_.data_digest());
}

}  // namespace netstor::nvmeof
