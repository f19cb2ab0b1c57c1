// SPDX-License-Identifier: Apache-2.0
#include "transports/posix/port.h"

#include "transports/posix/link.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace netstor::posix {
namespace {

constexpr unsigned kEventsMax = 128;
/// So many sockets are tried themselves instead of asking epoll first.
constexpr unsigned kTriedDirectly = 2;
/// And epoll is asked all the same, once in so many polls, for what nobody counts (peers that end).
constexpr unsigned kAskEvery = 32;

struct PosixWatch final : Watch, Waiter {
  void act() noexcept override {
    armed = false;
    --*armed_watches;
    ready(*this);  // which may drop this
  }
  int* armed_watches = nullptr;
  bool armed = false;
};

}  // namespace

PosixPort::PosixPort(PortContext& context) noexcept
    : IoPort(context),
      threads_(
          [](void* user) noexcept {
            auto& port = *static_cast<PosixPort*>(user);
            if (port.asleep_.load(std::memory_order_seq_cst) ||
                port.outside_.load(std::memory_order_seq_cst)) {
              port.wake();
            }
          },
          this) {}

PosixPort::~PosixPort() {
  threads_.end();  // they write to what is closed here
  if (event_ >= 0) ::close(event_);
  if (epoll_ >= 0) ::close(epoll_);
}

Result<void> PosixPort::open_epoll() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_ < 0 || event_ < 0) return Error::system(errno, "epoll");
  // Edge-triggered, and so never read: each write is an edge.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event) != 0) return Error::system(errno, "epoll");
  return {};
}

unsigned PosixPort::poll(unsigned max) {
  if (threads_.has_answers()) threads_.deliver();
  if (!has_finished()) look();
  while (!ready_.empty()) ready_.take().act();
  return run_finished(max);
}

void PosixPort::look() noexcept {
  static constexpr timespec kNow{};
  const bool others = armed_watches_ > 0 || blocked_sends_ > 0 || is_watched_from_outside();
  if (!others && receiving_count_ == 0) return;
  if (others || receiving_count_ > kTriedDirectly || ++looks_ % kAskEvery == 0) return collect(&kNow);
  receiving_.for_each([this](PosixLink& link) { ready_.add(link); });
}

void PosixPort::collect(const timespec* timeout) noexcept {
  epoll_event found[kEventsMax];
  count_call();
  int count = ::epoll_pwait2(epoll_, found, kEventsMax, timeout, nullptr);
  if (count < 0 && errno == ENOSYS) {  // before Linux 5.11: milliseconds
    const long ms =
        timeout == nullptr ? -1 : timeout->tv_sec * 1000 + (timeout->tv_nsec + 999'999) / 1'000'000;
    count = ::epoll_wait(epoll_, found, kEventsMax, static_cast<int>(std::min(ms, 3'600'000L)));
  }
  // Nobody is called here: what one does may end another that stands further down in the list.
  for (int i = 0; i < count; ++i) {
    auto* const waiter = static_cast<Waiter*>(found[i].data.ptr);
    if (waiter == nullptr) continue;
    waiter->events |= found[i].events;
    ready_.add(*waiter);
  }
}

void PosixPort::flush() {
  while (!sending_.empty()) sending_.take().try_send();
}

int PosixPort::fd() const noexcept {
  watched_from_outside();
  outside_.store(true, std::memory_order_seq_cst);
  return epoll_;
}

void PosixPort::sleep_until(Time deadline) {
  flush();
  if (has_finished() || !ready_.empty()) return;
  asleep_.store(true, std::memory_order_seq_cst);
  if (!threads_.has_answers()) {
    const auto left = std::max(deadline - context().loop().now(), Duration::zero());
    const timespec timeout{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
    collect(deadline == Time::max() ? nullptr : &timeout);
  }
  asleep_.store(false, std::memory_order_seq_cst);
}

void PosixPort::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(::write(event_, &one, sizeof one));
}

int PosixPort::add(int fd, Waiter& waiter, std::uint32_t events) noexcept {
  epoll_event event{.events = events, .data = {.ptr = &waiter}};
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void PosixPort::send_at_flush(PosixLink& link) noexcept { sending_.add(link); }

void PosixPort::receiving(PosixLink& link) noexcept {
  if (link.Member<ReceivingTag>::listed()) return;
  receiving_.add(link);
  ++receiving_count_;
}

void PosixPort::not_receiving(PosixLink& link) noexcept {
  if (!link.Member<ReceivingTag>::listed()) return;
  link.Member<ReceivingTag>::unlist();
  --receiving_count_;
}

Watch& PosixPort::make_watch(int fd, void (*ready)(Watch&) noexcept, void* user) {
  auto* const watch = new PosixWatch;
  watch->fd = fd;
  watch->ready = ready;
  watch->user = user;
  watch->armed_watches = &armed_watches_;
  add(fd, *watch, EPOLLONESHOT);
  return *watch;
}

void PosixPort::arm(Watch& watch, short events) {
  auto& self = static_cast<PosixWatch&>(watch);
  if (!std::exchange(self.armed, true)) ++armed_watches_;
  epoll_event event{.events = static_cast<std::uint32_t>(events) | EPOLLONESHOT,
                    .data = {.ptr = static_cast<Waiter*>(&self)}};
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, self.fd, &event);
}

void PosixPort::drop(Watch& watch) noexcept {
  auto& self = static_cast<PosixWatch&>(watch);
  if (self.armed) --armed_watches_;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, self.fd, nullptr);
  delete &self;
}

Result<std::unique_ptr<Link>> PosixPort::make_link(int fd) {
  auto link = std::make_unique<PosixLink>(*this, fd);
  if (const int error = link->start(); error != 0) return Error::system(error, "epoll");
  return std::unique_ptr<Link>(std::move(link));
}

Result<std::unique_ptr<Device>> PosixPort::make_device(const OpenedFile& file) {
  if (auto started = threads_.start(); !started) {
    ::close(file.fd);
    return std::move(started).error();
  }
  return make_posix_device(*this, file);
}

}  // namespace netstor::posix
