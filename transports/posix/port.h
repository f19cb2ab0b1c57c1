// SPDX-License-Identifier: Apache-2.0
#pragma once
// The port of one shard over epoll and a few threads. Descriptors are registered once, edge-triggered: a
// link remembers whether its socket may have bytes or room, tries when it may, and hears of the change when
// it had not. A poll with little to wait for tries the sockets themselves, which is one system call where
// asking epoll and then receiving would be two.

#include "transports/io_port.h"
#include "transports/posix/file_threads.h"
#include "transports/posix/list.h"

#include <sys/epoll.h>

#include <atomic>

namespace netstor::posix {

struct ReadyTag {};
struct SendingTag {};
struct ReceivingTag {};

/// Something with a descriptor in the port's epoll set.
struct Waiter : Member<ReadyTag> {
  std::uint32_t events = 0;  ///< what the kernel said since act()
  /// From poll(), when it was put on the ready list.
  virtual void act() noexcept = 0;

 protected:
  ~Waiter() { unlist(); }
};

class PosixLink;

class PosixPort final : public IoPort {
 public:
  explicit PosixPort(PortContext& context) noexcept;
  ~PosixPort() override;
  Result<void> open_epoll();

  unsigned poll(unsigned max) override;
  void flush() override;
  int fd() const noexcept override;
  void sleep_until(Time deadline) override;
  void wake() noexcept override;

  Watch& make_watch(int fd, void (*ready)(Watch&) noexcept, void* user) override;
  void arm(Watch& watch, short events) override;
  void drop(Watch& watch) noexcept override;
  Result<std::unique_ptr<Link>> make_link(int fd) override;
  Result<std::unique_ptr<Device>> make_device(const OpenedFile& file) override;

  // For links.
  int add(int fd, Waiter& waiter, std::uint32_t events) noexcept;
  void look_at(Waiter& waiter) noexcept { ready_.add(waiter); }
  void send_at_flush(PosixLink& link) noexcept;
  void receiving(PosixLink& link) noexcept;
  void not_receiving(PosixLink& link) noexcept;
  void send_blocked(int change) noexcept { blocked_sends_ += change; }
  void count_call() noexcept { ++context().metrics().system_calls; }
  FileThreads& threads() noexcept { return threads_; }

 private:
  void look() noexcept;
  void collect(const timespec* timeout) noexcept;

  int epoll_ = -1;
  int event_ = -1;
  std::atomic<bool> asleep_{false};
  mutable std::atomic<bool> outside_{false};
  List<Waiter, ReadyTag> ready_;
  List<PosixLink, SendingTag> sending_;
  List<PosixLink, ReceivingTag> receiving_;
  unsigned receiving_count_ = 0;
  int blocked_sends_ = 0;
  int armed_watches_ = 0;
  unsigned looks_ = 0;
  FileThreads threads_;
};

Result<std::unique_ptr<Device>> make_posix_device(PosixPort& port, const OpenedFile& file);

}  // namespace netstor::posix
