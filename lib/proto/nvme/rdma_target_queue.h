// SPDX-License-Identifier: Apache-2.0
#pragma once
// The target's end of one NVMe/RDMA queue pair: capsules as messages, data pulled out of and pushed into the
// host's memory, responses (NVMe RDMA Transport 1.0). Pure: it sees messages and an owner, and never a card.
//
//   if (!queue.received(receive, bytes)) …           // error() says why: close
//   for (TargetWork work; queue.next(work);) …       // pull, then queue.pulled(); or answer, then
//   queue.sent()
//
// A receive buffer is the queue's from received() until it gives it back: before the response goes, so that
// the host, which may send again when it has that, finds a buffer laid out (the credit rule).

#include "lib/proto/nvme/target_core.h"
#include "lib/wire/fabrics/rdma_fault.h"
#include "lib/wire/nvme/completion.h"

namespace netstor::nvme::rdma {

/// What the queue asks of who has the card.
class TargetCard {
 public:
  virtual void give_back(std::uint32_t receive) noexcept = 0;
  /// kConnectDataBytes for a Connect that has to be pulled; `number` is below kConnects.
  virtual std::byte* connect_memory(unsigned number) noexcept = 0;

 protected:
  ~TargetCard() = default;
};

inline constexpr unsigned kConnects = kEarlyEntries * 2;

struct TargetWork {
  enum class Kind : std::uint8_t {
    pull,    // request->plan.to_controller bytes from the host into request->pieces
    answer,  // request->send_bytes, when not 0, into the host's memory; then `response`
  };
  Kind kind = Kind::answer;
  TargetRequest* request = nullptr;
  std::uint64_t address = 0;  // of the host's memory
  std::uint32_t key = 0;
  std::uint32_t push_bytes = 0;
  std::uint32_t end_key = 0;  // goes with the response; 0: none
  Completion response{};
};

class TargetQueue final : public TargetCore {
 public:
  TargetQueue(TargetOwner& owner, TargetCard& card);

  /// False when the connection is over.
  [[nodiscard]] bool received(std::uint32_t receive, std::span<const std::byte> bytes);
  [[nodiscard]] bool next(TargetWork& work);
  void pulled(TargetRequest& request);
  /// The response has left, and before it all that was pushed.
  void sent(TargetRequest& request) { recycle(request); }

  TargetFault error() const { return error_; }

 private:
  static constexpr std::uint32_t kNoReceive = ~std::uint32_t{0};
  struct Extra {
    std::uint32_t receive = kNoReceive;
    SglDescriptor where{};  // of a command that may move data; length 0 else
    iovec piece{};
  };

  Status check_transfer(TargetRequest& request, std::uint32_t capsule_bytes) override;
  void set_terms(const QueueTerms& terms) override;
  void place_connect(TargetRequest& request) override;
  void let_go(TargetRequest& request) override;
  bool fail(TargetFault fault);
  Extra& extra_of(const TargetRequest& request) {
    const bool early = (request.slot & kEarlySlot) != 0;
    return early ? early_[request.slot & ~kEarlySlot] : extras_[request.slot];
  }

  TargetCard& card_;
  TargetFault error_ = TargetFault::none;
  Extra early_[kConnects];
  std::unique_ptr<Extra[]> extras_;
};

}  // namespace netstor::nvme::rdma
