// SPDX-License-Identifier: Apache-2.0
#pragma once
// The port: the ready list that poll() completes from, and the doors to the network and the disks. What
// happens to a stream is in connection.h, to a disk in device.h.

#include "transports/sim/world.h"

#include <netstor/ext/driver.h>

#include <atomic>
#include <string>

namespace netstor::sim {

class SimDevice;

class SimPort final : public Port {
 public:
  static Result<std::unique_ptr<Port>> make(PortContext& context);
  ~SimPort() override;

  unsigned poll(unsigned max) override;
  void flush() override;
  int fd() const noexcept override;
  /// Sleeping is what moves the world's clock where no simulation does: to the next event, at once. With
  /// none ahead it waits for wake(), or for `deadline` by the shard's own clock.
  void sleep_until(Time deadline) override;
  void wake() noexcept override;

  void connect(ConnectOp& op) override;
  void cancel_connect(ConnectOp& op) override;
  void open(OpenOp& op) override;
  Result<std::unique_ptr<Listener>> listen(const Address& address) override;
  Result<std::unique_ptr<Link>> adopt(const Ticket& ticket) override;
  void refuse(const Ticket& ticket) noexcept override;

  World& world() noexcept { return world_; }
  PortContext& context() noexcept { return context_; }
  const std::string& host() const noexcept { return host_; }

  /// Queues `op` to be completed by poll().
  void finish(Op& op, OpResult result) noexcept;

  /// The host was killed: devices stop where they are. (The network ends the links.)
  void die();
  bool dead() const noexcept { return dead_; }
  void add(SimDevice& device);
  void remove(SimDevice& device) noexcept;

 private:
  SimPort(World& world, PortContext& context, int descriptor);
  void signal() noexcept;
  void drain() noexcept;

  World& world_;
  PortContext& context_;
  const std::string host_;
  const int descriptor_;
  Op* ready_ = nullptr;
  Op** ready_end_ = &ready_;
  std::map<std::uint64_t, SimDevice*> devices_;
  bool dead_ = false;
  mutable bool watched_ = false;         // somebody asked for the descriptor: keep it true
  std::atomic<bool> signalled_ = false;  // the descriptor is readable
};

}  // namespace netstor::sim
