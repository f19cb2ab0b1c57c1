// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the ports over the kernel's descriptors (uring, posix) share: everything that happens once a
// connection or once a file: connecting, listening, opening, and answering operations that were decided
// outside of the kernel. The hot path (links, devices, polling, sleeping) is each driver's own.

#include <netstor/ext/driver.h>
#include <netstor/ext/link.h>
#include <netstor/metrics.h>

#include "transports/file.h"
#include "transports/finished_ops.h"

#include <utility>

namespace netstor {

/// A descriptor that is waited for, one event at a time. Made and freed by its port.
struct Watch {
  int fd = -1;
  void (*ready)(Watch&) noexcept = nullptr;  ///< from poll(), once for each arm()
  void* user = nullptr;
};

class IoPort : public Port {
 public:
  explicit IoPort(PortContext& context) noexcept : context_(context) {}
  IoPort(const IoPort&) = delete;
  IoPort& operator=(const IoPort&) = delete;

  void connect(ConnectOp& op) final;
  void cancel_connect(ConnectOp& op) final;
  void open(OpenOp& op) final;
  Result<std::unique_ptr<Listener>> listen(const Address& address) final;
  Result<std::unique_ptr<Link>> adopt(const Ticket& ticket) final;
  void refuse(const Ticket& ticket) noexcept final;

  PortContext& context() noexcept { return context_; }

  /// Completes `op` from the next poll(). For what is decided before the kernel is asked, and after.
  void finish(Op& op, OpResult result) noexcept;
  /// The same from within poll(), which completes it before it returns or says that there is more.
  void finish_in_poll(Op& op, OpResult result) noexcept { finished_.add(op, result); }

  /// `events` as for poll(2). A watch that is dropped is not heard of again.
  virtual Watch& make_watch(int fd, void (*ready)(Watch&) noexcept, void* user) = 0;
  virtual void arm(Watch& watch, short events) = 0;
  virtual void drop(Watch& watch) noexcept = 0;

  /// Both take the descriptors over, on failure too. The socket is connected and non-blocking.
  virtual Result<std::unique_ptr<Link>> make_link(int fd) = 0;
  virtual Result<std::unique_ptr<Device>> make_device(const OpenedFile& file) = 0;

 protected:
  unsigned run_finished(unsigned max) noexcept { return finished_.run(max); }
  bool has_finished() const noexcept { return !finished_.empty(); }
  /// Someone else waits on fd(): what poll() has to do must show there from now on.
  void watched_from_outside() const noexcept { outside_ = true; }
  bool is_watched_from_outside() const noexcept { return outside_; }

 private:
  PortContext& context_;
  FinishedOps finished_;
  mutable bool outside_ = false;
};

}  // namespace netstor
