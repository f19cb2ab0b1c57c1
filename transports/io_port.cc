// SPDX-License-Identifier: Apache-2.0
#include "transports/io_port.h"

#include <netstor/ext/device.h>

#include "transports/opened_device.h"
#include "transports/socket.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace netstor {
namespace {

/// One ConnectOp on its way: look the name up, then one address after another until one answers.
class Connecting {
 public:
  Connecting(IoPort& port, ConnectOp& op) : port_(port), op_(&op) {
    timer_.connecting = this;
    timer_.fire = [](detail::Timer& timer) noexcept { static_cast<Alarm&>(timer).connecting->out_of_time(); };
  }

  void start() {
    op_->driver_words[0] = reinterpret_cast<std::uintptr_t>(this);
    if (const auto numeric = numeric_address(op_->address)) {
      addresses_.push_back(*numeric);
      return try_next();
    }
    address_ = op_->address;
    work_.connecting = done_.connecting = this;
    work_.run = [](detail::Runnable& self) noexcept { static_cast<Step&>(self).connecting->look_up_name(); };
    done_.run = [](detail::Runnable& self) noexcept { static_cast<Step&>(self).connecting->looked_up(); };
    looking_up_ = true;
    if (op_->deadline != Time::max()) port_.context().loop().arm(timer_, op_->deadline);
    port_.context().run_blocking(work_, done_);
  }

  void end(OpResult result) {
    stop_attempt();
    op_->driver_words[0] = 0;
    port_.finish(*std::exchange(op_, nullptr), result);
    // The helper thread still writes here while it looks the name up.
    if (!looking_up_) delete this;
  }

 private:
  struct Alarm : detail::Timer {
    Connecting* connecting = nullptr;
  };
  struct Step : detail::Runnable {
    Connecting* connecting = nullptr;
  };

  void look_up_name() noexcept { looked_up_result_ = look_up(address_, addresses_); }

  void looked_up() {
    looking_up_ = false;
    if (op_ == nullptr) {
      delete this;
    } else if (!looked_up_result_.ok) {
      end(looked_up_result_);
    } else {
      try_next();
    }
  }

  void try_next() {
    while (next_ < addresses_.size()) {
      stop_attempt();
      fd_ = start_connect(addresses_[next_++]);
      if (fd_ < 0) {
        last_ = OpResult::system(-fd_);
        continue;
      }
      watch_ = &port_.make_watch(
          fd_, [](Watch& watch) noexcept { static_cast<Connecting*>(watch.user)->answered(); }, this);
      port_.arm(*watch_, POLLOUT);
      arm_timer();
      return;
    }
    end(last_);
  }

  /// An address that does not answer may not use up the time of those after it.
  void arm_timer() {
    if (op_->deadline == Time::max()) return;
    const Time now = port_.context().loop().now();
    const auto left = std::max(op_->deadline - now, Duration::zero());
    port_.context().loop().arm(timer_, now + left / static_cast<long>(addresses_.size() - next_ + 1));
  }

  void out_of_time() {
    last_ = OpResult::failure(ErrorKind::timed_out);
    if (looking_up_ || next_ == addresses_.size()) return end(last_);
    try_next();
  }

  void answered() {
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) {
      last_ = OpResult::system(error);
      return try_next();
    }
    port_.drop(*std::exchange(watch_, nullptr));
    auto link = port_.make_link(std::exchange(fd_, -1));
    if (!link) return end(result_of(link.error()));
    op_->link = *std::move(link);
    end(OpResult::success());
  }

  void stop_attempt() {
    if (timer_.armed()) port_.context().loop().disarm(timer_);
    if (watch_ != nullptr) port_.drop(*std::exchange(watch_, nullptr));
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  IoPort& port_;
  ConnectOp* op_;
  Address address_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
  OpResult last_ = OpResult::failure(ErrorKind::not_found);
  OpResult looked_up_result_;
  bool looking_up_ = false;
  int fd_ = -1;
  Watch* watch_ = nullptr;
  Alarm timer_;
  Step work_;
  Step done_;
};

class SocketListener final : public Listener {
 public:
  SocketListener(IoPort& port, int fd, Address address) : port_(port), fd_(fd), address_(std::move(address)) {
    watch_ = &port_.make_watch(
        fd_, [](Watch& watch) noexcept { static_cast<SocketListener*>(watch.user)->ready(); }, this);
  }
  ~SocketListener() override { SocketListener::close(); }

  Submit submit(AcceptOp& op) override {
    if (op_ != nullptr) return Submit::full;
    if (fd_ < 0) {
      port_.finish(op, OpResult::failure(ErrorKind::cancelled));
      return Submit::accepted;
    }
    op_ = &op;
    port_.arm(*watch_, POLLIN);
    return Submit::accepted;
  }

  void close() override {
    if (fd_ < 0) return;
    port_.drop(*watch_);
    ::close(std::exchange(fd_, -1));
    if (op_ != nullptr) port_.finish(*std::exchange(op_, nullptr), OpResult::failure(ErrorKind::cancelled));
  }

  const Address& address() const noexcept override { return address_; }

 private:
  void ready() {
    SocketAddress peer;
    const int fd = accept_one(fd_, peer);
    // The one who knocked has left again: wait for the next.
    if (fd == -EAGAIN || fd == -ECONNABORTED || fd == -EINTR) return port_.arm(*watch_, POLLIN);
    AcceptOp& op = *std::exchange(op_, nullptr);
    if (fd < 0) return port_.finish(op, OpResult::system(-fd));
    op.ticket = Ticket{};
    op.ticket.words[0] = static_cast<std::uint64_t>(fd);
    op.peer = to_text(peer);
    port_.finish(op, OpResult::success());
  }

  IoPort& port_;
  int fd_;
  Address address_;
  Watch* watch_;
  AcceptOp* op_ = nullptr;
};

/// One OpenOp on its way: opening and asking for sizes may block, so a helper thread does it.
struct Opening {
  struct Step : detail::Runnable {
    Opening* opening = nullptr;
  };

  Opening(IoPort& to, OpenOp& asked) : port(to), op(asked) {
    work.opening = done.opening = this;
    work.run = [](detail::Runnable& self) noexcept {
      Opening& opening = *static_cast<Step&>(self).opening;
      opening.opened = open_file(opening.op.uri, {.writable = opening.op.writable,
                                                  .create = opening.op.create,
                                                  .size_bytes = opening.op.size_bytes,
                                                  .cached = opening.op.cached});
    };
    done.run = [](detail::Runnable& self) noexcept {
      const std::unique_ptr<Opening> opening(static_cast<Step&>(self).opening);
      opening->answer();
    };
  }

  void answer() {
    auto device =
        opened.ok() ? port.make_device(*opened) : Result<std::unique_ptr<Device>>(std::move(opened).error());
    port.finish(op, take_opened(op, std::move(device)));
  }

  IoPort& port;
  OpenOp& op;
  Result<OpenedFile> opened = OpenedFile{};
  Step work;
  Step done;
};

}  // namespace

void IoPort::finish(Op& op, OpResult result) noexcept {
  const bool first = finished_.empty();
  finished_.add(op, result);
  if (first && outside_) wake();
}

void IoPort::connect(ConnectOp& op) { (new Connecting(*this, op))->start(); }

void IoPort::cancel_connect(ConnectOp& op) {
  auto* const connecting = reinterpret_cast<Connecting*>(op.driver_words[0]);
  if (connecting != nullptr) connecting->end(OpResult::failure(ErrorKind::cancelled));
}

void IoPort::open(OpenOp& op) {
  auto* const opening = new Opening(*this, op);
  context_.run_blocking(opening->work, opening->done);
}

Result<std::unique_ptr<Listener>> IoPort::listen(const Address& address) {
  Address bound;
  const int fd = make_listening(address, bound);
  if (fd == -ENOENT) {
    return Error(ErrorKind::not_found,
                 "listen on " + address.host + ":" + std::to_string(address.port) + ": no host of this name");
  }
  if (fd < 0) return Error::system(-fd, "listen on " + address.host + ":" + std::to_string(address.port));
  return std::unique_ptr<Listener>(std::make_unique<SocketListener>(*this, fd, std::move(bound)));
}

Result<std::unique_ptr<Link>> IoPort::adopt(const Ticket& ticket) {
  return make_link(static_cast<int>(ticket.words[0]));
}

void IoPort::refuse(const Ticket& ticket) noexcept { ::close(static_cast<int>(ticket.words[0])); }

}  // namespace netstor
