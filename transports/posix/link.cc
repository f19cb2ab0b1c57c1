// SPDX-License-Identifier: Apache-2.0
#include "transports/posix/link.h"

#include "lib/base/assert.h"
#include "transports/socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace netstor::posix {

PosixLink::PosixLink(PosixPort& port, int fd) : port_(port), fd_(fd), peer_(peer_text(fd)) {}

PosixLink::~PosixLink() { NETSTOR_ASSERT(fd_ < 0); }

int PosixLink::start() noexcept {
  tune_link(fd_);
  const int error = port_.add(fd_, *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  if (error != 0) ::close(std::exchange(fd_, -1));
  return error;
}

Submit PosixLink::submit(SendOp& op) {
  NETSTOR_ASSERT(fd_ >= 0);
  if (send_ != nullptr) return Submit::full;
  send_ = &op;
  unsent_.msg_iov = const_cast<iovec*>(op.pieces);
  unsent_.msg_iovlen = op.piece_count;
  unsent_bytes_ = 0;
  for (unsigned i = 0; i < op.piece_count; ++i) unsent_bytes_ += op.pieces[i].iov_len;
  send_bytes_ = unsent_bytes_;
  port_.send_at_flush(*this);
  return Submit::accepted;
}

Submit PosixLink::submit(RecvOp& op) {
  NETSTOR_ASSERT(fd_ >= 0);
  if (receive_ != nullptr) return Submit::full;
  receive_ = &op;
  if (readable_) {
    port_.look_at(*this);
  } else {
    port_.receiving(*this);
  }
  return Submit::accepted;
}

void PosixLink::act() noexcept {
  const std::uint32_t seen = std::exchange(events, 0);
  if ((seen & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
  if ((seen & EPOLLIN) != 0 || ended_) readable_ = true;
  if (receive_ != nullptr) try_receive();
  if (blocked_ && (seen & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    set_blocked(false);
    try_send();
  }
}

void PosixLink::try_receive() noexcept {
  msghdr header{};
  header.msg_iov = const_cast<iovec*>(receive_->pieces);
  header.msg_iovlen = receive_->piece_count;
  port_.count_call();
  const bool peek = receive_->peek;
  const ssize_t got = ::recvmsg(fd_, &header, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
  if (got < 0 && errno == EINTR) return port_.look_at(*this);
  if (got < 0 && errno == EAGAIN) {
    readable_ = false;
    return port_.receiving(*this);
  }
  if (got < 0) return end_receive(OpResult::system(errno));
  std::size_t room = 0;
  for (unsigned i = 0; i < receive_->piece_count; ++i) room += receive_->pieces[i].iov_len;
  // Less than asked for: the socket is empty, and the kernel tells when that changes.
  readable_ = ended_ || (peek && got != 0) || static_cast<std::size_t>(got) == room;
  end_receive(OpResult::success(static_cast<std::uint64_t>(got)));
}

void PosixLink::try_send() noexcept {
  for (;;) {
    port_.count_call();
    const ssize_t sent = ::sendmsg(fd_, &unsent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return set_blocked(true);
    if (sent < 0) return end_send(OpResult::system(errno, Effect::unknown));
    auto bytes = static_cast<std::size_t>(sent);
    unsent_bytes_ -= bytes;
    if (unsent_bytes_ == 0) return end_send(OpResult::success(send_bytes_));
    // The list is ours until the operation completes (link.h).
    while (bytes >= unsent_.msg_iov->iov_len) {
      bytes -= unsent_.msg_iov->iov_len;
      ++unsent_.msg_iov;
      --unsent_.msg_iovlen;
    }
    unsent_.msg_iov->iov_base = static_cast<std::byte*>(unsent_.msg_iov->iov_base) + bytes;
    unsent_.msg_iov->iov_len -= bytes;
  }
}

void PosixLink::set_blocked(bool blocked) noexcept {
  if (blocked != std::exchange(blocked_, blocked)) port_.send_blocked(blocked ? 1 : -1);
}

void PosixLink::end_send(OpResult result) noexcept { port_.finish(*std::exchange(send_, nullptr), result); }

void PosixLink::end_receive(OpResult result) noexcept {
  port_.not_receiving(*this);
  port_.finish_in_poll(*std::exchange(receive_, nullptr), result);
}

void PosixLink::close(Op* closed) {
  set_blocked(false);
  port_.not_receiving(*this);
  Member<ReadyTag>::unlist();
  Member<SendingTag>::unlist();
  ::close(std::exchange(fd_, -1));
  if (send_ != nullptr) end_send(OpResult::system(ECANCELED, Effect::unknown));
  if (receive_ != nullptr) port_.finish(*std::exchange(receive_, nullptr), OpResult::system(ECANCELED));
  if (closed != nullptr) port_.finish(*closed, OpResult::success());
}

}  // namespace netstor::posix
