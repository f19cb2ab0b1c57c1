// SPDX-License-Identifier: Apache-2.0
#pragma once
// A link and the queue pair that lives on it. At most one batch is sent and one receive waits at a time;
// both are handed down by flush(), once a turn, so that a turn's work is one of each.

#include <netstor/ext/link.h>

#include <array>
#include <memory>

#include "lib/proto/nvme/host_queue.h"

namespace netstor::nvmeof {

class NvmeofPort;

class Connection {
 public:
  class Owner {
   public:
    /// The connection ended by itself: its link is closed and all requests were given back. From poll().
    virtual void connection_lost(Connection& connection) noexcept = 0;
    /// As asked by tell_of_room().
    virtual void queue_has_room() noexcept {}

   protected:
    ~Owner() = default;
  };

  enum class Kind : std::uint8_t { admin, io };

  Connection(NvmeofPort& port, Owner& owner, std::unique_ptr<Link> link, Kind kind,
             const nvme::tcp::HostQueueOptions& options);
  ~Connection();  // ended connections only
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  nvme::tcp::HostQueue& queue() noexcept { return queue_; }
  NvmeofPort& port() noexcept { return port_; }
  bool open() const noexcept { return state_ == State::open; }
  /// Why it is not open any more.
  const OpResult& why() const noexcept { return why_; }
  std::string_view peer() const noexcept { return link_->peer(); }
  /// The same for people; `what` was tried.
  Error error(std::string_view what) const;

  /// Ends the link; then everything outstanding is given back as lost, and `closed` completes. Called once,
  /// also after a loss.
  void close(Op& closed);
  /// Ends the connection as if it had been lost.
  void give_up(OpResult why);

  void flush();

  /// The queue was full: the owner is told, once, when it takes so many requests again.
  void tell_of_room(unsigned requests) noexcept { room_wanted_ = requests; }

  Connection* next = nullptr;  // the port's list
  Connection* previous = nullptr;

 private:
  enum class State : std::uint8_t { open, parting, closing, ended };
  struct Alarm : detail::Timer {
    Connection* connection = nullptr;
  };

  void sent();
  void received();
  void begin_close();
  void ended();
  void watch_deadlines();
  void watch_room();

  NvmeofPort& port_;
  Owner& owner_;
  std::unique_ptr<Link> link_;
  const Kind kind_;
  State state_ = State::open;
  bool sending_ = false;
  bool receiving_ = false;
  bool lost_ = false;  // by itself, so that the owner is told
  OpResult why_ = OpResult::failure(ErrorKind::cancelled);
  unsigned room_wanted_ = 0;
  std::uint64_t copied_bytes_ = 0;
  Op* closed_ = nullptr;
  Op link_closed_;
  Alarm alarm_;
  SendOp send_;
  RecvOp recv_;
  std::array<iovec, kLinkPiecesMax> pieces_{};
  nvme::tcp::HostQueue queue_;
  nvme::tcp::SendBatch batch_;
};

}  // namespace netstor::nvmeof
