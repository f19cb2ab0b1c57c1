// SPDX-License-Identifier: Apache-2.0
#pragma once
// The admin queue of a controller: bringing the controller up, keeping it alive, hearing of its events,
// shutting it down (NVMe Base 2.0, "Controller Initialization", "Keep Alive", "Asynchronous Event Request").

#include <netstor/task.h>

#include "transports/nvme_namespace.h"
#include "transports/nvmeof/exchange.h"
#include "transports/nvmeof/namespace.h"

namespace netstor::nvmeof {

/// Sends Connect on a fresh connection, and follows what the answer says about flow control.
Task<std::uint16_t> connect_queue(Connection& connection, const Target& target, std::uint16_t cntlid,
                                  std::uint16_t qid, std::uint16_t depth);

class Session final : public Connection::Owner {
 public:
  class Owner {
   public:
    virtual void session_lost(OpResult why) noexcept = 0;
    /// A namespace came, went, or changed; from poll().
    virtual void namespaces_changed() noexcept = 0;

   protected:
    ~Owner() = default;
  };

  /// `target` must outlive the session.
  Session(NvmeofPort& port, const Target& target, Owner* owner);
  ~Session() = default;

  /// Link, Connect, enable, Identify Controller. After a failure too, stop() comes before the end.
  Task<void> start();
  /// What only sessions with I/O queues need: number of queues, events.
  Task<void> prepare_io();
  /// Controller shutdown where the connection still stands (bounded), then closes it.
  Task<void> stop();
  void give_up(OpResult why);

  Task<void> identify(nvme::Identify what, std::uint32_t nsid, std::vector<std::byte>& into);
  Task<void> get_log(nvme::GetLogPage log, MutableBytes into);

  const nvme::ControllerFacts& facts() const noexcept { return facts_; }
  std::uint16_t cntlid() const noexcept { return cntlid_; }
  std::uint16_t queues() const noexcept { return queues_; }

 private:
  struct Beat : detail::Timer {
    Session* session = nullptr;
  };
  struct Standing : nvme::HostRequest {  // a command that the session sends again and again
    Session* session = nullptr;
    bool out = false;
  };

  void connection_lost(Connection& connection) noexcept override;
  Task<std::uint64_t> get_property(nvme::Property property);
  Task<void> set_property(nvme::Property property, std::uint64_t value);
  Task<void> enable();
  Task<void> wait_ready(Duration limit);
  Task<void> shut_down();
  void beat();
  void listen();
  void heard();

  NvmeofPort& port_;
  const Target& target_;
  Owner* owner_;
  std::unique_ptr<Connection> connection_;
  nvme::ControllerFacts facts_;
  nvme::ControllerConfiguration configuration_{};
  std::uint16_t cntlid_ = 0;
  std::uint16_t queues_ = 1;
  bool live_ = false;
  Beat beat_;
  Standing keep_alive_;
  Standing event_;
};

}  // namespace netstor::nvmeof
