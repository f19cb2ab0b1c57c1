// SPDX-License-Identifier: Apache-2.0
#pragma once
// A TCP link on a non-blocking socket.

#include "transports/posix/port.h"
#include "transports/socket.h"

#include <sys/socket.h>

namespace netstor::posix {

class PosixLink final : public Link, public Waiter, public Member<SendingTag>, public Member<ReceivingTag> {
 public:
  PosixLink(PosixPort& port, int fd);
  ~PosixLink() override;
  int start() noexcept;

  Submit submit(SendOp& op) override;
  Submit submit(RecvOp& op) override;
  void close(Op* closed) override;
  std::optional<std::uint64_t> acknowledged_bytes() const noexcept override {
    return netstor::acknowledged_bytes(fd_);
  }
  std::string_view peer() const noexcept override { return peer_; }

  void act() noexcept override;
  void try_send() noexcept;

 private:
  void try_receive() noexcept;
  void end_send(OpResult result) noexcept;
  void end_receive(OpResult result) noexcept;
  void set_blocked(bool blocked) noexcept;

  PosixPort& port_;
  int fd_;
  bool readable_ = true;  // may be: to be tried
  bool ended_ = false;    // the peer's end or an error: stays readable
  bool blocked_ = false;  // a send waits for room
  SendOp* send_ = nullptr;
  RecvOp* receive_ = nullptr;
  msghdr unsent_{};
  std::size_t unsent_bytes_ = 0;
  std::size_t send_bytes_ = 0;
  std::string peer_;
};

}  // namespace netstor::posix
