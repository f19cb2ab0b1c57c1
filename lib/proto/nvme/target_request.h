// SPDX-License-Identifier: Apache-2.0
#pragma once
// One command at the target end of a queue, from the first byte of its capsule to the last byte of its
// answer: a node that is preallocated with the queue and used again and again.

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/proto/nvme/controller_io.h"
#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/status.h"

namespace netstor::nvme {

enum class RequestState : std::uint8_t {
  free,          ///< nobody's: it waits for a command
  arriving,      ///< its capsule's header is here, the data inside the capsule not yet
  waiting,       ///< it needs memory before its data may be asked for; behind earlier ones, in order
  asking,        ///< it has memory, and waits for its turn to ask for the data
  transferring,  ///< its data was asked for, and comes into its memory
  paired,        ///< half of a fused pair with all its data here, while the other half's is not
  executing,     ///< the owner's: complete() brings it back
  answering,     ///< its data and its response wait for a batch
  leaving,       ///< its answer is in the batch in flight; its memory is borrowed until that was sent
};

struct TargetRequest {
  Command command;
  IoPlan plan;                       ///< what the owner's admit() made of it
  TargetRequest* next = nullptr;     ///< the queue's: of the one list that the state names
  TargetRequest* partner = nullptr;  ///< the other half of a fused pair

  /// Payload: where it comes to (host to controller, by buffer()) or is sent from (controller to host, set
  /// before complete()). The list is the owner's and valid until release().
  const iovec* pieces = nullptr;
  unsigned piece_count = 0;
  /// Payload that lies in the receive buffer, valid during execute() only.
  std::span<const std::byte> in_place;
  /// Bytes to send before a success; at most plan.to_host.
  std::uint32_t send_bytes = 0;

  std::uint32_t received = 0;  ///< the queue's: payload bytes that have come
  std::uint32_t sent = 0;      ///< the queue's: payload bytes that are in batches
  std::uint64_t result = 0;
  Status status{};
  std::uint16_t slot = 0;  ///< this node's number in the queue, for the owner's own tables
  RequestState state = RequestState::free;
  bool in_capsule = false;      ///< the data came with the command
  bool wants_in_place = false;  ///< set by admit(): execute() can use the data where it lies
  bool tracked = false;         ///< the queue's: the command id counts as in flight
};

/// Requests in a row, first in first out.
class RequestList {
 public:
  bool empty() const { return head_ == nullptr; }
  TargetRequest* front() const { return head_; }
  void push(TargetRequest& request) {
    request.next = nullptr;
    *(head_ == nullptr ? &head_ : &tail_->next) = &request;
    tail_ = &request;
  }
  TargetRequest* pop() {
    TargetRequest* const first = head_;
    if (first != nullptr) head_ = first->next;
    return first;
  }

 private:
  TargetRequest* head_ = nullptr;
  TargetRequest* tail_ = nullptr;
};

}  // namespace netstor::nvme
