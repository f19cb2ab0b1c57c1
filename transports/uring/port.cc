// SPDX-License-Identifier: Apache-2.0
#include "transports/uring/port.h"

#include "transports/socket.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace netstor::uring {
namespace {

/// The ring waits on an epoll descriptor that waits on the watched one. A ring holds on to what it waits for
/// until the kernel's workers have taken it apart, some time after its process has ended or was killed: a
/// listener held so would keep its port from the process that follows. epoll holds on to nothing.
struct UringWatch : Watch, Request {
  ~UringWatch() {
    if (epoll >= 0) ::close(epoll);
  }
  int epoll = -1;
  bool known = false;  // to epoll
  bool armed = false;
  bool dropped = false;
};

}  // namespace

UringPort::~UringPort() {
  if (waker_.fd >= 0) ::close(waker_.fd);
}

Result<void> UringPort::open_ring() {
  if (const int error = ring_.open(); error != 0) return Error::system(-error, "io_uring");
  waker_.fd = ::eventfd(0, EFD_CLOEXEC);
  if (waker_.fd < 0) return Error::system(errno, "eventfd");
  waker_.port = this;
  waker_.completed = [](Request& request, std::int32_t, std::uint32_t) noexcept {
    static_cast<Waker&>(request).port->arm_waker();
  };
  arm_waker();
  return {};
}

void UringPort::arm_waker() noexcept {
  ring_.prepare(&waker_, IORING_OP_READ, waker_.fd, -1, &waker_.count, sizeof waker_.count);
}

// Nothing is to be done: the event shows no more work, either. It comes with work, or a moment later: then
// somebody wakes who waits for it, and the next poll drains it. While a shard polls without pause this costs
// one system call after each work, not one a turn.
void UringPort::quieten() noexcept {
  if (has_work()) {
    quiet_ = false;
  } else if (!std::exchange(quiet_, true)) {
    ring_.drain_event_fd();  // before work is looked for once more, so that none is missed
  }
}

bool UringPort::may_sleep() {
  quiet_ = false;
  return true;
}

unsigned UringPort::poll(unsigned max) {
  unsigned done = has_finished() ? run_finished(max) : 0;
  if (is_watched_from_outside()) quieten();
  if (!ring_.has_completions() && ring_.wants_enter()) ring_.enter();
  done += ring_.reap(max - done);
  if (!eager_.empty() && done < max) done += eager_.attempt();
  return done;
}

void UringPort::flush() {
  if (ring_.has_prepared()) ring_.enter();
}

int UringPort::fd() const noexcept {
  if (!is_watched_from_outside()) {
    watched_from_outside();
    eager_.hand_over();
    ring_.enter();
  }
  return ring_.event_fd();
}

void UringPort::sleep_until(Time deadline) {
  if (has_finished() || ring_.has_completions()) return flush();
  eager_.hand_over();
  if (deadline == Time::max()) return ring_.enter_and_wait(std::nullopt);
  ring_.enter_and_wait(std::max(deadline - context().loop().now(), Duration::zero()));
}

void UringPort::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(::write(waker_.fd, &one, sizeof one));
}

Result<void> UringPort::register_memory(MutableBytes memory) {
  if (!ring_.add_memory(memory)) ++context().metrics().registrations_degraded;
  return {};
}

void UringPort::forget_memory(MutableBytes memory) noexcept { ring_.remove_memory(memory); }

Watch& UringPort::make_watch(int fd, void (*ready)(Watch&) noexcept, void* user) {
  auto* const watch = new UringWatch;
  watch->fd = fd;
  watch->ready = ready;
  watch->user = user;
  watch->epoll = ::epoll_create1(EPOLL_CLOEXEC);
  watch->completed = [](Request& request, std::int32_t, std::uint32_t) noexcept {
    auto& self = static_cast<UringWatch&>(request);
    self.armed = false;
    if (self.dropped) {
      delete &self;
    } else {
      self.ready(self);
    }
  };
  return *watch;
}

void UringPort::arm(Watch& watch, short events) {
  auto& self = static_cast<UringWatch&>(watch);
  self.armed = true;
  epoll_event event{.events = static_cast<std::uint32_t>(events), .data = {}};
  const bool behind =
      ::epoll_ctl(self.epoll, self.known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, self.fd, &event) == 0;
  self.known = behind;
  io_uring_sqe& sqe = ring_.prepare(&self);
  // Where there is no epoll left the ring waits on the descriptor itself.
  io_uring_prep_poll_add(&sqe, behind ? self.epoll : self.fd,
                         behind ? POLLIN : static_cast<unsigned>(events));
  io_uring_sqe_set_data(&sqe, static_cast<Request*>(&self));
}

void UringPort::drop(Watch& watch) noexcept {
  auto& self = static_cast<UringWatch&>(watch);
  if (!self.armed) {
    delete &self;
    return;
  }
  self.dropped = true;
  ring_.cancel(self);
  // Now, so that the kernel lets go of the descriptor: a listener's port is free once it is closed.
  ring_.enter();
}

Result<std::unique_ptr<Link>> UringPort::make_link(int fd) { return make_uring_link(*this, fd); }

Result<std::unique_ptr<Device>> UringPort::make_device(const OpenedFile& file) {
  return make_uring_device(*this, file);
}

}  // namespace netstor::uring
