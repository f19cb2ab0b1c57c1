// SPDX-License-Identifier: Apache-2.0
#include "transports/sim/port.h"

#include "lib/base/assert.h"
#include "transports/sim/device.h"
#include "transports/sim/network.h"

#include <netstor/ext/link.h>
#include <netstor/uri.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace netstor::sim {

Result<std::unique_ptr<Port>> SimPort::make(PortContext& context) {
  World* const world = World::current();
  if (world == nullptr) {
    return Error(ErrorKind::unsupported,
                 "sim: no sim::World is entered on this thread (transports/sim/world.h)");
  }
  const int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor < 0) return Error::system(errno, "sim: eventfd");
  return std::unique_ptr<Port>(new SimPort(*world, context, descriptor));
}

SimPort::SimPort(World& world, PortContext& context, int descriptor)
    : world_(world), context_(context), host_(World::current_host()), descriptor_(descriptor) {
  world_.add(*this);
}

SimPort::~SimPort() {
  NETSTOR_ASSERT(devices_.empty());
  world_.network().forget(*this);
  world_.remove(*this);
  close(descriptor_);
}

void SimPort::finish(Op& op, OpResult result) noexcept {
  op.result = result;
  op.next = nullptr;
  *ready_end_ = &op;
  ready_end_ = &op.next;
  if (watched_) signal();
}

unsigned SimPort::poll(unsigned max) {
  drain();
  world_.run_due();
  unsigned completed = 0;
  while (ready_ != nullptr && completed < max) {
    Op& op = *ready_;
    ready_ = op.next;
    if (ready_ == nullptr) ready_end_ = &ready_;
    ++completed;
    op.complete(op);  // may free it, and may submit again
  }
  flush();
  return completed;
}

void SimPort::flush() {
  if (watched_ && (ready_ != nullptr || world_.next_event() <= world_.now())) signal();
}

int SimPort::fd() const noexcept {
  watched_ = true;
  return descriptor_;
}

void SimPort::signal() noexcept {
  if (signalled_.exchange(true)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(descriptor_, &one, sizeof one);
}

void SimPort::drain() noexcept {
  if (!signalled_.exchange(false)) return;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = read(descriptor_, &count, sizeof count);
}

// From any thread: the write comes first, so that whoever sees the flag can read it away.
void SimPort::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(descriptor_, &one, sizeof one);
  signalled_.store(true);
}

void SimPort::sleep_until(Time deadline) {
  flush();
  if (ready_ != nullptr || signalled_.load()) {
    drain();
    return;
  }
  if (world_.advance()) return;
  const Duration rest = deadline == Time::max() ? Duration::max() : deadline - context_.loop().now();
  const auto rest_ms = std::chrono::ceil<std::chrono::milliseconds>(rest).count();
  pollfd watched{.fd = descriptor_, .events = POLLIN, .revents = 0};
  ::poll(&watched, 1,
         deadline == Time::max() ? -1 : static_cast<int>(std::clamp<std::int64_t>(rest_ms, 0, 60'000)));
  drain();
}

void SimPort::connect(ConnectOp& op) { world_.network().connect(*this, op); }
void SimPort::cancel_connect(ConnectOp& op) { world_.network().cancel_connect(op); }
Result<std::unique_ptr<Listener>> SimPort::listen(const Address& address) {
  return world_.network().listen(*this, address);
}
Result<std::unique_ptr<Link>> SimPort::adopt(const Ticket& ticket) {
  return world_.network().adopt(*this, ticket);
}
void SimPort::refuse(const Ticket& ticket) noexcept { world_.network().refuse(ticket); }

void SimPort::open(OpenOp& op) {
  if (dead_) return finish(op, OpResult::system(EIO));
  const Result<Uri> uri = Uri::parse(op.uri);
  if (!uri) {
    op.detail = uri.error().text();
    return finish(op, OpResult::failure(ErrorKind::invalid_argument));
  }
  const std::string name = uri->host + uri->path;
  Disk* disk = world_.find_disk(name);
  std::uint64_t size_bytes = op.create ? op.size_bytes : 0;
  if (const auto size = uri->find("size"); size) size_bytes = parse_size(*size).value_or(0);
  if (disk == nullptr && size_bytes > 0) disk = &world_.disk(name, size_bytes);
  if (disk == nullptr) {
    op.detail = "no simulated disk of this name; make it with World::disk() or ?size=";
    return finish(op, OpResult::system(ENOENT));
  }
  op.device = std::make_unique<SimDevice>(*this, *disk, op.writable);
  finish(op, OpResult::success());
}

void SimPort::die() {
  dead_ = true;
  for (auto& [order, device] : devices_) device->die();
}

void SimPort::add(SimDevice& device) { devices_.emplace(world_.next_id(), &device); }

void SimPort::remove(SimDevice& device) noexcept {
  std::erase_if(devices_, [&](const auto& entry) { return entry.second == &device; });
}

}  // namespace netstor::sim
