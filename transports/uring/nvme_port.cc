// SPDX-License-Identifier: Apache-2.0
#include "transports/uring/nvme_port.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "transports/opened_device.h"
#include "transports/uring/nvme_device.h"

namespace netstor::uring {
namespace {

/// One OpenOp on its way: the disk is asked on a helper thread, since that may block.
struct Opening {
  struct Step : detail::Runnable {
    Opening* opening = nullptr;
  };

  Opening(NvmePort& to, OpenOp& asked) : port(to), op(asked) {
    work.opening = done.opening = this;
    work.run = [](detail::Runnable& self) noexcept {
      Opening& opening = *static_cast<Step&>(self).opening;
      if (opening.op.create || opening.op.cached) {
        opening.opened = Error(ErrorKind::unsupported, "a namespace can be neither made nor cached");
      } else {
        opening.opened = open_namespace(opening.op.uri, opening.op.writable);
      }
    };
    done.run = [](detail::Runnable& self) noexcept {
      const std::unique_ptr<Opening> opening(static_cast<Step&>(self).opening);
      opening->answer();
    };
  }

  void answer() {
    auto device = opened.ok() ? NvmeDevice::make(port, *std::move(opened),
                                                 static_cast<const VolumeOptions*>(op.options))
                              : Result<std::unique_ptr<Device>>(std::move(opened).error());
    port.finish(op, take_opened(op, std::move(device)));
  }

  NvmePort& port;
  OpenOp& op;
  Result<OpenedNamespace> opened = OpenedNamespace{};
  Step work;
  Step done;
};

}  // namespace

Result<void> NvmePort::open_ring() {
  if (const int error = ring_.open(Ring::Kind::passthrough); error != 0)
    return Error::system(-error, "io_uring for NVMe");
  return {};
}

Result<Ring*> NvmePort::polled_ring() {
  if (polled_ == nullptr) {
    auto made = std::make_unique<Ring>(context_.metrics());
    if (const int error = made->open(Ring::Kind::polled_passthrough); error != 0)
      return Error::system(-error, "io_uring for polled NVMe");
    for (const MutableBytes memory : registered_) {
      if (!made->add_memory(memory)) ++context_.metrics().registrations_degraded;
    }
    polled_ = std::move(made);
  }
  return polled_.get();
}

unsigned NvmePort::poll(unsigned max) {
  unsigned done = finished_.run(max);
  if (watched_ && !has_work()) ring_.drain_event_fd();  // first, so that none is missed
  if (!ring_.has_completions() && ring_.wants_enter()) ring_.enter();
  done += ring_.reap(max - done);
  if (polled_in_flight_ > 0) {
    if (!polled_->has_completions()) polled_->enter();
    done += polled_->reap(max - done);
  }
  return done;
}

void NvmePort::flush() {
  if (ring_.has_prepared()) ring_.enter();
  if (polled_ != nullptr && polled_->has_prepared()) polled_->enter();
}

int NvmePort::fd() const noexcept {
  const int event = ring_.event_fd();
  if (!std::exchange(watched_, true)) {
    ring_.enter();
    if (has_work()) const_cast<NvmePort*>(this)->wake();
  }
  return event;
}

void NvmePort::sleep_until(Time deadline) {
  flush();
  pollfd wanted{.fd = fd(), .events = POLLIN, .revents = 0};
  if (has_work()) return;
  const Duration left = std::max(deadline - context_.loop().now(), Duration::zero());
  const timespec limit{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
  ++context_.metrics().system_calls;
  ::ppoll(&wanted, 1, deadline == Time::max() ? nullptr : &limit, nullptr);
}

void NvmePort::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(::write(ring_.event_fd(), &one, sizeof one));
}

void NvmePort::finish(Op& op, OpResult result) noexcept {
  const bool first = finished_.empty();
  finished_.add(op, result);
  if (first && watched_) wake();
}

Result<void> NvmePort::register_memory(MutableBytes memory) {
  bool all = ring_.add_memory(memory);
  if (polled_ != nullptr) all = polled_->add_memory(memory) && all;
  if (!all) ++context_.metrics().registrations_degraded;
  registered_.push_back(memory);
  return {};
}

void NvmePort::forget_memory(MutableBytes memory) noexcept {
  ring_.remove_memory(memory);
  if (polled_ != nullptr) polled_->remove_memory(memory);
  std::erase_if(registered_, [&](MutableBytes each) { return each.data() == memory.data(); });
}

void NvmePort::open(OpenOp& op) {
  auto* const opening = new Opening(*this, op);
  context_.run_blocking(opening->work, opening->done);
}

}  // namespace netstor::uring
