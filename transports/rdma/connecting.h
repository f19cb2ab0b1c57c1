// SPDX-License-Identifier: Apache-2.0
#pragma once
// One connection on its way out: a name, an address, a route, a queue pair, the other end's word. Frees
// itself.

#include "transports/rdma/port.h"
#include "transports/socket.h"

namespace netstor::rdma {

class Connecting final : public Listening {
 public:
  /// Completes `op` from the port's poll().
  static void start(RdmaPort& port, MessageConnectOp& op);
  /// Under way or about to be answered.
  static void cancel(MessageConnectOp& op);

 private:
  struct Alarm : detail::Timer {
    Connecting* connecting = nullptr;
  };
  struct Step : detail::Runnable {
    Connecting* connecting = nullptr;
  };
  struct Closing : Op {
    std::unique_ptr<RdmaLink> link;
  };

  Connecting(RdmaPort& port, MessageConnectOp& op) : port_(port), op_(op) {}
  void begin();
  void looked_up();
  void try_next();
  void said(const rdma_cm_event& event) noexcept override;
  void route_found();
  Result<void> connect();
  void established(const rdma_cm_event& event);
  void refused(const rdma_cm_event& event);
  void drop_attempt();
  void fail(OpResult result);
  void end(OpResult result);

  RdmaPort& port_;
  MessageConnectOp& op_;
  Address address_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
  rdma_cm_id* id_ = nullptr;
  std::unique_ptr<RdmaLink> link_;
  OpResult last_ = OpResult::system(EHOSTUNREACH);
  OpResult looked_up_result_;
  Step work_;
  Step done_;
  Alarm alarm_;
  ErrorKind stopped_by_ = ErrorKind::timed_out;  // when it fires
  bool looking_up_ = false;
  bool ended_ = false;
};

}  // namespace netstor::rdma
