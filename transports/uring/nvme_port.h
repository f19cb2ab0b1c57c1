// SPDX-License-Identifier: Apache-2.0
#pragma once
// One shard's local NVMe disks: commands passed through the kernel's driver by io_uring, on rings of their
// own. Such a ring has larger entries, and polled completions want one where nothing else is waited for.

#include <netstor/ext/device.h>
#include <netstor/metrics.h>

#include "transports/finished_ops.h"
#include "transports/uring/ring.h"

#include <memory>
#include <vector>

namespace netstor::uring {

class NvmePort final : public Port {
 public:
  explicit NvmePort(PortContext& context) noexcept : context_(context), ring_(context.metrics()) {}
  Result<void> open_ring();

  unsigned poll(unsigned max) override;
  void flush() override;
  int fd() const noexcept override;
  void sleep_until(Time deadline) override;
  void wake() noexcept override;
  Result<void> register_memory(MutableBytes memory) override;
  void forget_memory(MutableBytes memory) noexcept override;
  void open(OpenOp& op) override;

  /// Queues `op` to be completed by poll().
  void finish(Op& op, OpResult result) noexcept;

  PortContext& context() noexcept { return context_; }
  Ring& ring() noexcept { return ring_; }
  /// Made when the first polled device is opened.
  Result<Ring*> polled_ring();
  /// Commands on the polled ring: while there are any the shard looks for them and does not sleep.
  void polled_begins() noexcept {
    if (++polled_in_flight_ == 1 && watched_) wake();
  }
  void polled_ends() noexcept { --polled_in_flight_; }

 private:
  bool has_work() const noexcept {
    return !finished_.empty() || polled_in_flight_ > 0 || ring_.has_completions() || ring_.wants_enter();
  }

  PortContext& context_;
  // fd() has to hand over what the ring should wait for before others may wait on the descriptor.
  mutable Ring ring_;
  std::unique_ptr<Ring> polled_;
  unsigned polled_in_flight_ = 0;
  FinishedOps finished_;
  std::vector<MutableBytes> registered_;
  mutable bool watched_ = false;  // what poll() has to do must show on the descriptor from now on
};

}  // namespace netstor::uring
