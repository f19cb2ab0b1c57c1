// SPDX-License-Identifier: Apache-2.0
#pragma once
// One shard's NVMe over Fabrics: its connections, flushed once a turn, and the operations that are answered
// without asking a controller.

#include <netstor/ext/device.h>
#include <netstor/ext/link.h>
#include <netstor/options.h>
#include <netstor/task.h>

#include "lib/base/secrets.h"
#include "transports/finished_ops.h"
#include "transports/message_link.h"
#include "transports/nvmeof/connection.h"
#include "transports/nvmeof/host_identity.h"
#include "transports/nvmeof/tls.h"

namespace netstor::nvmeof {

/// What a URI and its options say about a controller.
struct Target {
  Address address;
  std::string subnqn;  ///< empty: the discovery service
  std::uint32_t nsid = 1;
  HostIdentity host;
  VolumeOptions options;

  // Copied, not moved: a short string that was moved from still holds its characters.
  Target() = default;
  Target(const Target&) = default;
  Target& operator=(const Target&) = default;
  ~Target() { wipe_secrets(options); }
};

class NvmeofPort final : public Port {
 public:
  /// Over links, or over messages.
  NvmeofPort(PortContext& context, Port* links, MessagePort* messages);
  ~NvmeofPort() override;

  unsigned poll(unsigned max) override { return finished_.run(max); }
  void flush() override;
  bool waits() const noexcept override { return false; }
  int fd() const noexcept override { return -1; }
  void sleep_until(Time) override {}
  void wake() noexcept override {}

  void open(OpenOp& op) override;
  void discover(DiscoverOp& op) override;
  void cancel_open(OpenOp& op) override;
  void cancel_discover(DiscoverOp& op) override;

  PortContext& context() noexcept { return context_; }
  detail::Loop& loop() noexcept { return context_.loop(); }

  /// Queues `op` to be completed by poll().
  void finish(Op& op, OpResult result) noexcept { finished_.add(op, result); }

  Result<Target> target_of(std::string_view uri, const void* options) const;

  /// Null over TCP.
  MessagePort* message_port() noexcept { return messages_; }
  /// Connects the link below a connection: TCP, and TLS over it when the target has a key.
  Task<std::unique_ptr<Link>> connect_link(const Target& target);

  void add(Connection& connection) noexcept;
  void remove(Connection& connection) noexcept;

 private:
  Task<void> open_device(OpenOp& op);
  Task<void> discover_into(DiscoverOp& op);
  /// Completes `op` with what became of the work for it, which cancel(op) finds meanwhile.
  Task<void> answer(Op& op, std::string& detail, Future<void> work);
  static void cancel(Op& op) noexcept;
  Task<std::unique_ptr<Link>> connect_tcp(const Target& target);
  Task<std::unique_ptr<Link>> connect_tls(const Target& target);

  PortContext& context_;
  Port* links_;
  MessagePort* messages_;
  HostIdentity machine_;
  std::shared_ptr<const tls::Context> tls_;  // made when first needed
  unsigned tls_form_ = 0;                    // in which a target has known its key last
  Connection* connections_ = nullptr;
  FinishedOps finished_;
};

}  // namespace netstor::nvmeof
