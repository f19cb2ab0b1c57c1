// SPDX-License-Identifier: Apache-2.0
#pragma once
// A connection to a controller and the queue pair that lives on it, whichever transport carries it: who is
// told of what, deadlines, and the end. What is sent and received is handed down by flush(), once a turn.
// tcp_connection.h has the bytes, rdma_connection.h the messages.

#include <netstor/detail/loop.h>
#include <netstor/ext/driver.h>

#include <memory>
#include <string>

#include "lib/proto/nvme/host_request.h"

namespace netstor::nvmeof {

class NvmeofPort;
struct Target;

class Connection {
 public:
  class Owner {
   public:
    /// The connection ended by itself: it is closed and all requests were given back. From poll().
    virtual void connection_lost(Connection& connection) noexcept = 0;
    /// As asked by tell_of_room().
    virtual void queue_has_room() noexcept {}

   protected:
    ~Owner() = default;
  };

  enum class Kind : std::uint8_t { admin, io };

  /// What the queue pair shall be.
  struct Plan {
    Kind kind = Kind::admin;
    std::uint16_t qid = 0;
    std::uint16_t cntlid = 0;  ///< of I/O queues
    std::uint16_t depth = 1;
    std::uint32_t in_capsule_max = 0;
    std::uint32_t transfer_max = 0;
  };

  virtual ~Connection();  // ended connections only
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  nvme::HostCommands& queue() noexcept { return commands_; }
  NvmeofPort& port() noexcept { return port_; }
  bool open() const noexcept { return state_ == State::open; }
  /// Why it is not open any more.
  const OpResult& why() const noexcept { return why_; }
  virtual std::string_view peer() const noexcept = 0;
  /// What people want to know of it, as "key: value" lines.
  virtual std::string describe() const = 0;
  /// The same for people; `what` was tried.
  Error error(std::string_view what) const;

  /// Ends the link; then everything outstanding is given back as lost, and `closed` completes. Called once,
  /// also after a loss.
  void close(Op& closed);
  /// Ends the connection as if it had been lost.
  void give_up(OpResult why);

  virtual void flush() = 0;

  /// The queue was full: the owner is told, once, when it takes so many requests again.
  void tell_of_room(unsigned requests) noexcept { room_wanted_ = requests; }

  Connection* next = nullptr;  // the port's list
  Connection* previous = nullptr;

 protected:
  enum class State : std::uint8_t { open, parting, closing, ended };

  Connection(NvmeofPort& port, Owner& owner, Kind kind, nvme::HostCommands& commands);

  State state() const noexcept { return state_; }
  Kind kind() const noexcept { return kind_; }
  /// Starts the end of what carries the connection; link_ended() when it has let go of everything.
  virtual void close_link() noexcept = 0;
  void link_ended() noexcept;
  /// The controller broke the protocol, and may be told so for a moment before close_link().
  void part(OpResult why, bool may_speak);
  void begin_close();
  /// When flush() has done its work.
  void watch();
  /// Of the user's payload; `copied` is the queue's count.
  void count_copies(std::uint64_t copied) noexcept;

 private:
  struct Alarm : detail::Timer {
    Connection* connection = nullptr;
  };

  NvmeofPort& port_;
  Owner& owner_;
  nvme::HostCommands& commands_;
  const Kind kind_;
  State state_ = State::open;
  bool lost_ = false;  // by itself, so that the owner is told
  OpResult why_ = OpResult::failure(ErrorKind::cancelled);
  unsigned room_wanted_ = 0;
  std::uint64_t copied_bytes_ = 0;
  Op* closed_ = nullptr;
  Alarm alarm_;
};

}  // namespace netstor::nvmeof
