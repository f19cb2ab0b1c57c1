// SPDX-License-Identifier: Apache-2.0
// A TCP link on a ring. An operation is one submission that names the caller's own bytes; nothing is copied
// and nothing kept but the two headers.
//
// SEND_ZC is not used: it pays from tens of kibibytes per piece on real network cards only, costs a second
// completion, and over loopback the kernel copies all the same.

#include "transports/socket.h"
#include "transports/uring/port.h"

#include "lib/base/assert.h"

#include <unistd.h>

#include <cerrno>

namespace netstor::uring {
namespace {

class UringLink final : public Link {
 public:
  UringLink(UringPort& port, int fd)
      : port_(port), fd_(fd), fixed_(port.ring().add_file(fd)), peer_(peer_text(fd)) {
    send_.link = recv_.link = this;
    send_.completed = [](Request& request, std::int32_t result, std::uint32_t) noexcept {
      static_cast<Half&>(request).link->sent(result);
    };
    recv_.completed = [](Request& request, std::int32_t result, std::uint32_t flags) noexcept {
      static_cast<Half&>(request).link->received(result, flags);
    };
    eager_.link = this;
    eager_.attempt = [](EagerReceive& receive) noexcept {
      return static_cast<Eager&>(receive).link->attempt_recv();
    };
    eager_.hand_over = [](EagerReceive& receive) noexcept {
      static_cast<Eager&>(receive).link->prepare_recv();
    };
  }
  ~UringLink() override { NETSTOR_ASSERT(fd_ < 0); }

  Submit submit(SendOp& op) override {
    NETSTOR_ASSERT(!closing_);
    if (send_.op != nullptr) return Submit::full;
    send_.op = &op;
    send_.header.msg_iov = const_cast<iovec*>(op.pieces);
    send_.header.msg_iovlen = op.piece_count;
    unsent_ = 0;
    for (unsigned i = 0; i < op.piece_count; ++i) unsent_ += op.pieces[i].iov_len;
    send_bytes_ = unsent_;
    prepare_send();
    return Submit::accepted;
  }

  Submit submit(RecvOp& op) override {
    NETSTOR_ASSERT(!closing_);
    if (recv_.op != nullptr) return Submit::full;
    recv_.op = &op;
    recv_.header.msg_iov = const_cast<iovec*>(op.pieces);
    recv_.header.msg_iovlen = op.piece_count;
    peek_flag_ = op.peek ? MSG_PEEK : 0;
    // What is there already is best fetched together with the next send.
    if (has_more_ || !port_.try_while_polling(eager_)) prepare_recv();
    return Submit::accepted;
  }

  void close(Op* closed) override {
    closing_ = true;
    closed_ = closed;
    if (send_.op != nullptr) port_.ring().cancel(send_);
    if (eager_.waiting) port_.give_to_ring(eager_);
    if (recv_.op != nullptr) port_.ring().cancel(recv_);
    if (send_.op == nullptr && recv_.op == nullptr) {
      close_socket();
      if (closed != nullptr) port_.finish(*closed, OpResult::success());
    }
  }

  std::optional<std::uint64_t> acknowledged_bytes() const noexcept override {
    return netstor::acknowledged_bytes(fd_);
  }
  std::string_view peer() const noexcept override { return peer_; }

 private:
  /// One direction: at most one operation.
  struct Half : Request {
    UringLink* link = nullptr;
    Op* op = nullptr;
    msghdr header{};
  };

  struct Eager : EagerReceive {
    UringLink* link = nullptr;
  };

  io_uring_sqe& prepare(Half& half, unsigned one_piece, unsigned many_pieces) noexcept {
    const iovec* const pieces = half.header.msg_iov;
    if (half.header.msg_iovlen == 1 && pieces->iov_len <= kOnePieceMax) {
      return port_.ring().prepare(&half, one_piece, fd_, fixed_, pieces->iov_base,
                                  static_cast<unsigned>(pieces->iov_len));
    }
    return port_.ring().prepare(&half, many_pieces, fd_, fixed_, &half.header, 1);
  }

  void prepare_send() noexcept {
    // WAITALL: the kernel goes on by itself when the socket's buffer has room again (5.19 and later).
    prepare(send_, IORING_OP_SEND, IORING_OP_SENDMSG).msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
  }

  void prepare_recv() noexcept {
    io_uring_sqe& sqe = prepare(recv_, IORING_OP_RECV, IORING_OP_RECVMSG);
    sqe.msg_flags = static_cast<unsigned>(peek_flag_);
    // When the last receive emptied the socket, trying before waiting is a wasted walk through TCP.
    if (!has_more_ && port_.ring().is_modern()) sqe.ioprio = IORING_RECVSEND_POLL_FIRST;
  }

  bool attempt_recv() noexcept {
    ++port_.context().metrics().system_calls;
    const ssize_t got = ::recvmsg(fd_, &recv_.header, MSG_DONTWAIT | peek_flag_);
    const std::int32_t result = got < 0 ? -errno : static_cast<std::int32_t>(got);
    if (is_passing(result)) return false;
    port_.tried(eager_);
    std::size_t room = 0;
    for (std::size_t i = 0; i < recv_.header.msg_iovlen; ++i) room += recv_.header.msg_iov[i].iov_len;
    const bool filled = got > 0 && static_cast<std::size_t>(got) == room;
    received(result, filled ? IORING_CQE_F_SOCK_NONEMPTY : 0);
    return true;
  }

  void sent(std::int32_t result) noexcept {
    if (result < 0) {
      if (is_passing(result)) return prepare_send();
      return end(send_, OpResult::system(-result, Effect::unknown));
    }
    unsent_ -= static_cast<std::size_t>(result);
    if (unsent_ == 0) return end(send_, OpResult::success(send_bytes_));
    if (closing_) return end(send_, OpResult::system(ECANCELED, Effect::unknown));
    if (result == 0) return end(send_, OpResult::system(EPIPE, Effect::unknown));
    skip_sent(static_cast<std::size_t>(result));
    prepare_send();
  }

  /// The list is ours until the operation completes (link.h).
  void skip_sent(std::size_t bytes) noexcept {
    msghdr& header = send_.header;
    while (bytes >= header.msg_iov->iov_len) {
      bytes -= header.msg_iov->iov_len;
      ++header.msg_iov;
      --header.msg_iovlen;
    }
    header.msg_iov->iov_base = static_cast<std::byte*>(header.msg_iov->iov_base) + bytes;
    header.msg_iov->iov_len -= bytes;
  }

  void received(std::int32_t result, std::uint32_t flags) noexcept {
    has_more_ = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0 || (peek_flag_ != 0 && result > 0);
    if (result >= 0) return end(recv_, OpResult::success(static_cast<std::uint64_t>(result)));
    if (is_passing(result)) return prepare_recv();
    end(recv_, OpResult::system(-result));
  }

  bool is_passing(std::int32_t result) const noexcept {
    return (result == -EINTR || result == -EAGAIN) && !closing_;
  }

  void end(Half& half, OpResult result) noexcept {
    Op& op = *std::exchange(half.op, nullptr);
    const bool last = closing_ && send_.op == nullptr && recv_.op == nullptr;
    UringPort& port = port_;
    Op* const closed = closed_;
    if (last) close_socket();
    op.result = result;
    op.complete(op);  // without `closed` to wait for, its owner may free the link here
    if (last && closed != nullptr) port.finish(*closed, OpResult::success());
  }

  void close_socket() noexcept {
    port_.ring().remove_file(fixed_);
    ::close(std::exchange(fd_, -1));
  }

  static constexpr std::size_t kOnePieceMax = 1 << 30;  // a submission's length has 32 bits

  UringPort& port_;
  int fd_;
  int fixed_;
  bool has_more_ = false;
  int peek_flag_ = 0;
  bool closing_ = false;
  Half recv_;
  Eager eager_;
  Half send_;
  std::size_t unsent_ = 0;
  std::size_t send_bytes_ = 0;
  Op* closed_ = nullptr;
  std::string peer_;
};

}  // namespace

std::unique_ptr<Link> make_uring_link(UringPort& port, int fd) {
  tune_link(fd);
  // On a non-blocking socket io_uring answers EAGAIN where it should wait.
  set_blocking(fd, true);
  return std::make_unique<UringLink>(port, fd);
}

}  // namespace netstor::uring
