// SPDX-License-Identifier: Apache-2.0
#pragma once
// A command of the initiator's as its queue sees it, and what every queue does for its user, whichever
// transport carries it. A request is a node of the caller's, borrowed from submit() until done().

#include <netstor/options.h>

#include <sys/uio.h>

#include <cstdint>

#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/status.h"

namespace netstor::nvme {

enum class Transfer : std::uint8_t { none, to_controller, from_controller };

enum class HostOutcome : std::uint8_t {
  answered,   // by the controller: look at status
  corrupt,    // answered, but what it read came with a wrong data digest
  cancelled,  // by cancel()
  timed_out,  // by fail_all(), its own deadline passed
  lost,       // by fail_all()
};

struct HostRequest {
  // The caller's, before submit(). The queue writes the command id and the data descriptor into sqe.
  Command sqe{};
  const iovec* pieces = nullptr;  // the payload, list included: borrowed
  unsigned piece_count = 0;
  std::uint32_t length = 0;  // what the pieces hold
  Transfer transfer = Transfer::none;
  bool whole = true;  // a success that did not bring all of `length` is data_transfer_error
  Time deadline = Time::max();
  void (*done)(HostRequest&) noexcept = nullptr;
  void* user = nullptr;

  // The queue's, valid in done().
  HostOutcome outcome = HostOutcome::lost;
  bool sent = false;  // the controller may have seen it
  Status status{};
  std::uint64_t result = 0;  // dwords 0 and 1 of the completion
  std::uint16_t sqhd = 0;
  std::uint16_t slot = 0;  // while submitted
};

// What a queue pair does for its user. done() may submit again or cancel others, but must not destroy the
// queue; it never comes from submit().
class HostCommands {
 public:
  // False when there is no room, or when the connection is over.
  [[nodiscard]] virtual bool submit(HostRequest& request) = 0;
  // Both or none, next to each other, marked as a fused pair.
  [[nodiscard]] virtual bool submit_fused(HostRequest& first, HostRequest& second) = 0;
  // Asks to give the request back: at once where it was not sent, else as soon as its memory is not in use.
  virtual void cancel(HostRequest& request) = 0;
  // SQ flow control ("Submission Queue Flow Control"): on unless the controller's answer to Connect says
  // that it is off. `entries` of the queue, as Connect asked.
  virtual void enable_flow_control(std::uint16_t entries, std::uint16_t head) = 0;
  [[nodiscard]] virtual unsigned room() const = 0;
  // True when a request is overdue. Cheap; scans the slots a few times per timeout at most.
  [[nodiscard]] virtual bool overdue(Time now) = 0;
  // Nothing can be overdue before it.
  [[nodiscard]] virtual Time next_deadline() const = 0;
  // Gives every request back, as timed_out or lost; nothing is accepted afterwards. Nothing that was handed
  // to the transport may be in flight any more.
  virtual void fail_all(Time now) = 0;

 protected:
  HostCommands() = default;
  ~HostCommands() = default;
};

}  // namespace netstor::nvme
