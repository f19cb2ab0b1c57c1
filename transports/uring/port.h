// SPDX-License-Identifier: Apache-2.0
#pragma once
// The port of one shard over one ring. A turn costs at most one system call in a steady state: flush()
// hands over everything that was submitted and lets the kernel complete what it can in the same call, and
// the poll() that follows finds the completions in memory.

#include "transports/io_port.h"
#include "transports/uring/eager.h"
#include "transports/uring/ring.h"

namespace netstor::uring {

class UringPort final : public IoPort {
 public:
  explicit UringPort(PortContext& context) noexcept : IoPort(context), ring_(context.metrics()) {}
  ~UringPort() override;
  Result<void> open_ring();

  unsigned poll(unsigned max) override;
  void flush() override;
  int fd() const noexcept override;
  bool may_sleep() override;
  void sleep_until(Time deadline) override;
  void wake() noexcept override;
  Result<void> register_memory(MutableBytes memory) override;
  void forget_memory(MutableBytes memory) noexcept override;

  Watch& make_watch(int fd, void (*ready)(Watch&) noexcept, void* user) override;
  void arm(Watch& watch, short events) override;
  void drop(Watch& watch) noexcept override;
  Result<std::unique_ptr<Link>> make_link(int fd) override;
  Result<std::unique_ptr<Device>> make_device(const OpenedFile& file) override;

  Ring& ring() noexcept { return ring_; }
  /// Takes a receive over until attempt(); false: it is for the ring.
  bool try_while_polling(EagerReceive& receive) noexcept {
    return !is_watched_from_outside() && eager_.add(receive);
  }
  void give_to_ring(EagerReceive& receive) noexcept {
    eager_.remove(receive);
    receive.hand_over(receive);
  }
  void tried(EagerReceive& receive) noexcept { eager_.remove(receive); }

 private:
  struct Waker : Request {
    UringPort* port = nullptr;
    int fd = -1;
    std::uint64_t count = 0;
  };
  void arm_waker() noexcept;
  bool has_work() const noexcept { return ring_.has_completions() || ring_.wants_enter(); }
  void quieten() noexcept;

  // fd() has to hand over what the ring should wait for before others may wait on the descriptor.
  mutable Ring ring_;
  mutable EagerReceives eager_;
  bool quiet_ = false;  // the ring's event was drained, and has not come since
  Waker waker_;
};

std::unique_ptr<Link> make_uring_link(UringPort& port, int fd);
Result<std::unique_ptr<Device>> make_uring_device(UringPort& port, const OpenedFile& file);

}  // namespace netstor::uring
