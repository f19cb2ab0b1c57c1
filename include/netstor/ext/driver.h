// SPDX-License-Identifier: Apache-2.0
#pragma once
// The driver contract: how the library reaches sockets, files, devices and fabrics. For drivers in
// transports/ and out of tree; applications never need it. transports/sim is the one to copy.
//
//   Driver   one a process: schemes, abilities, probe, makes a port for a shard
//   Port     one a shard, never shared: poll, flush, sleep, register memory, connect / listen / open
//   Link     a byte stream (ext/link.h)
//   Device   a block device (ext/device.h)
//
// The rules (tests/conformance checks them for every driver):
//  1. An operation is a node that the caller owns. Accepted means completed exactly once, never inside
//     submit(): always from Port::poll().
//  2. submit() answers accepted or full: there is no hidden queue.
//  3. Bytes are borrowed until completion.
//  4. close() first completes everything as cancelled.
//  5. Nothing is allocated after open.
//  6. Nothing crosses shards: all calls on a port and on what it made come from its shard's thread;
//     Port::wake() alone may come from any.
//  7. A missing ability is a capability bit and ErrorKind::unsupported.
//  8. An error carries origin, native code and effect.
//  9. A driver never retries, never logs on the hot path, never reads the environment.
// 10. Time and randomness come from the shard (PortContext), so that the simulator can hold both.

#include <netstor/buffer.h>
#include <netstor/detail/loop.h>
#include <netstor/result.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace netstor {

class Link;
class Device;
struct DiscoveredSubsystem;  // volume.h
struct Metrics;

/// How an operation ended: no allocation, no text.
struct OpResult {
  ErrorKind kind = ErrorKind::internal;  ///< only when !ok
  Origin origin = Origin::library;
  Effect effect = Effect::none;
  bool ok = true;
  std::int32_t native = 0;  ///< by origin; of the library's own `disconnected` the ErrorKind that caused it
  std::uint64_t bytes = 0;  ///< moved, when ok

  static OpResult success(std::uint64_t bytes = 0) noexcept { return {.bytes = bytes}; }
  static OpResult failure(ErrorKind kind, Origin origin = Origin::library, std::int32_t native = 0,
                          Effect effect = Effect::none) noexcept {
    return {.kind = kind, .origin = origin, .effect = effect, .ok = false, .native = native};
  }
  /// From a positive errno value.
  static OpResult system(int errno_value, Effect effect = Effect::none) noexcept;
  /// The same as the end of a path: `disconnected`, for the reason that this one has.
  OpResult as_lost_path() const noexcept;
  /// The error for people; `what` names the operation and its object.
  Error error(std::string_view what) const;
};

/// What every operation begins with. The caller sets `complete` and its inputs, submits, and must not touch
/// or free the node until `complete` is called, which may free or submit it again.
struct Op {
  void (*complete)(Op&) noexcept = nullptr;
  void* user = nullptr;                ///< the caller's
  OpResult result;                     ///< set before complete()
  Op* next = nullptr;                  ///< the driver's while accepted, the caller's otherwise
  std::uint64_t driver_words[4] = {};  ///< the driver's while accepted
};

enum class Submit : std::uint8_t { accepted, full };

/// Opaque ticket of an accepted connection or of a shared session: what may cross shards is a value.
struct Ticket {
  std::uint64_t words[8] = {};
};

/// A network address: host name or number, and service.
struct Address {
  std::string host;  ///< IPv4, IPv6 (no brackets), or a name
  std::uint16_t port = 0;
};

/// Connects a link. On success `link` is set.
struct ConnectOp : Op {
  Address address;
  Time deadline = Time::max();
  std::unique_ptr<Link> link;
};

/// Waits for one incoming connection of a listener. On success `ticket` is for Port::adopt() of any
/// shard's port of the same driver; a ticket that is never adopted must be given to Port::refuse().
struct AcceptOp : Op {
  Ticket ticket;
  std::string peer;  ///< "address:port" for logs
};

/// A listening address. close() completes a waiting AcceptOp as cancelled.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Submit submit(AcceptOp& op) = 0;
  virtual void close() = 0;
  /// With the port that the system chose where 0 was asked.
  virtual const Address& address() const noexcept = 0;
};

/// Opens a device. On success `device` is set.
struct OpenOp : Op {
  std::string uri;
  const void* options = nullptr;  ///< VolumeOptions for volumes; the caller's until complete
  bool writable = true;
  bool create = false;  ///< files: make it, `size_bytes` long, sparse
  std::uint64_t size_bytes = 0;
  /// files: through the system's page cache, and so from any offset, length and memory (block_bytes 1)
  bool cached = false;
  std::optional<Ticket> share;  ///< join the session that another shard's device gave (Device::share)
  std::unique_ptr<Device> device;
  std::string detail;  ///< on failure: what to add to the error's text
};

/// Asks a discovery service what it offers.
struct DiscoverOp : Op {
  std::string uri;
  const void* options = nullptr;                      ///< VolumeOptions; the caller's until complete
  std::vector<DiscoveredSubsystem>* found = nullptr;  ///< the caller's; filled on success
  std::string detail;                                 ///< on failure: what to add to the error's text
};

/// What a port may use of its shard. Outlives the port.
class PortContext {
 public:
  virtual ~PortContext() = default;
  virtual detail::Loop& loop() noexcept = 0;  ///< clock, timers, run queue
  virtual std::uint64_t random() noexcept = 0;
  virtual Metrics& metrics() noexcept = 0;
  /// The port on this shard of the driver for `scheme` ("tcp", "file", "nvme+tcp", …), made on first use.
  virtual Result<class Port*> port(std::string_view scheme) = 0;
  /// Runs `work` on a helper thread and then `done` on this shard: what can only block (name look-up).
  /// Both must stay valid until `done` has run.
  virtual void run_blocking(detail::Runnable& work, detail::Runnable& done) noexcept = 0;
};

class Port {
 public:
  virtual ~Port() = default;

  /// Completes what is ready, at most `max` operations; answers how many. Never blocks.
  virtual unsigned poll(unsigned max) = 0;
  /// Hands everything submitted since the last call to the kernel or the card. Once a turn.
  virtual void flush() = 0;

  /// A port with nothing to wait on of its own (it lives on other ports) answers false.
  virtual bool waits() const noexcept { return true; }
  /// A descriptor that polls readable when poll() has work; -1 when waits() is false.
  virtual int fd() const noexcept = 0;
  /// Before the shard waits on fd() together with others: from now on fd() tells of work. False when there is
  /// some already.
  virtual bool may_sleep() { return true; }
  /// Blocks until poll() has work, `deadline`, or wake(). Flushes first.
  virtual void sleep_until(Time deadline) = 0;
  /// Ends sleep_until(), now or the next one. Any thread.
  virtual void wake() noexcept = 0;

  virtual Result<void> register_memory(MutableBytes memory);
  virtual void forget_memory(MutableBytes memory) noexcept;

  /// Each completes the operation from poll(), failure too; the default completes it as unsupported.
  virtual void connect(ConnectOp& op);
  virtual void cancel_connect(ConnectOp& op);
  virtual void open(OpenOp& op);
  virtual void discover(DiscoverOp& op);
  /// Asks, maybe twice, to stop what is not completed: it soon is, as cancelled or not. Default: it goes on.
  virtual void cancel_open(OpenOp& op);
  virtual void cancel_discover(DiscoverOp& op);
  virtual Result<std::unique_ptr<Listener>> listen(const Address& address);
  virtual Result<std::unique_ptr<Link>> adopt(const Ticket& ticket);
  virtual void refuse(const Ticket& ticket) noexcept;

  /// Where it has message links (transports/message_link.h); null elsewhere.
  virtual class MessagePort* messages() noexcept { return nullptr; }
};

/// Ability bits of a driver.
struct Abilities {
  bool links = false;
  bool devices = false;
  bool registered_memory = false;
  bool kernel_sleep = false;  ///< an idle shard uses no CPU
};

class Driver {
 public:
  virtual ~Driver() = default;
  virtual std::string_view name() const noexcept = 0;
  /// URI schemes that it serves: "tcp" (links), "file" (devices), "nvme+tcp", …
  virtual std::span<const std::string_view> schemes() const noexcept = 0;
  virtual Abilities abilities() const noexcept = 0;
  /// Nothing when available here and now; otherwise why not, for people.
  virtual std::optional<std::string> probe() const = 0;
  virtual Result<std::unique_ptr<Port>> make_port(PortContext& context) = 0;
};

/// Every driver of this build, in order of preference. Defined in transports/drivers.cc alone.
std::span<Driver* const> drivers() noexcept;

}  // namespace netstor
