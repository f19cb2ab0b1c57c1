// SPDX-License-Identifier: Apache-2.0
//
// The initiator's end of one NVMe/TCP queue pair: requests become capsules and data PDUs, PDUs of the
// controller become answers (NVMe TCP Transport 1.0; NVMe Base 2.0, fabrics). A pure state machine: no
// descriptor, no future, time is told to it. Its owner moves the bytes:
//
//   if (!queue.submit(request)) …full…
//   batch.clear(); queue.gather(batch); …send it…; queue.batch_sent();       // one batch in flight
//   n = queue.want(pieces, max); …receive…; if (!queue.received(bytes)) …    // fault() says why; gather()
//                                                                 // once more for the TermReq, then close
// A request is a node of the caller's. It is borrowed from submit() until done(), which may submit again or
// cancel others but must not destroy the queue. done() comes from received(), batch_sent(), cancel() and
// fail_all(), never from submit(). The connection begins by itself: the first gather() holds the ICReq, and
// requests submitted before the ICResp wait for it. Connect is a request like others.

#pragma once

#include <netstor/options.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "lib/proto/nvme/host_request.h"
#include "lib/proto/nvme/host_slots.h"
#include "lib/proto/nvme/send_batch.h"
#include "lib/proto/nvme/tcp_coverage.h"
#include "lib/proto/nvme/tcp_framing.h"
#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/completion.h"

namespace netstor::nvme::tcp {

struct HostQueueOptions {
  std::uint16_t depth = 128;  // requests outstanding, 1 to HostQueue::kDepthMax
  bool header_digest = false;
  bool data_digest = false;
  // Data in the capsules of ordinary commands; fabrics commands always may have kFabricsInCapsuleMax.
  std::uint32_t in_capsule_max = 0;
  std::uint32_t transfer_max = 1u << 20;  // the longest payload of a request
};

// Why a connection is over.
struct HostFault {
  enum class Kind : std::uint8_t {
    protocol,    // the controller broke the protocol; error is what the TermReq says
    terminated,  // the controller sent a TermReq; error is what it says
  };
  Kind kind = Kind::protocol;
  PduError error{};
};

class HostQueue final : public HostCommands {
 public:
  static constexpr std::uint16_t kDepthMax = kHostDepthMax;
  static constexpr std::uint32_t kFabricsInCapsuleMax =
      8192;                                    // "Command Capsule", in-capsule data of fabrics and admin
  static constexpr std::uint32_t kR2tMax = 4;  // outstanding of one command (MAXR2T)
  static constexpr std::uint32_t kLargeRead = 16 * 1024;  // from here on payload is never staged
  // Of what we send without data digests, whatever MAXH2CDATA allows: other commands want a turn too.
  static constexpr std::uint32_t kDataPduMax = 256 * 1024;

  // Everything is allocated here.
  explicit HostQueue(const HostQueueOptions& options);
  HostQueue(const HostQueue&) = delete;
  HostQueue& operator=(const HostQueue&) = delete;

  // False when `depth` requests are outstanding, or when the connection is over.
  [[nodiscard]] bool submit(HostRequest& request) override;
  // Both or none, next to each other on the wire, marked as a fused pair.
  [[nodiscard]] bool submit_fused(HostRequest& first, HostRequest& second) override;

  // Fills `batch` with what there is to send. Nothing, when it stays empty. Afterwards the batch is in flight
  // until batch_sent(); a batch that failed is not reported: fail_all() follows.
  void gather(SendBatch& batch);
  void batch_sent();
  [[nodiscard]] bool has_work() const {
    return stage_ == Stage::ready ? (command_count_ != 0 || data_count_ != 0 || open_.left != 0) : speak_;
  }

  [[nodiscard]] unsigned want(iovec* pieces, unsigned max);
  // False when the connection is over: fault().
  [[nodiscard]] bool received(std::size_t count);
  [[nodiscard]] const std::optional<HostFault>& fault() const { return fault_; }

  // Asks to give the request back. Not sent yet: at once. Sent: at once, unless its memory is in use by the
  // batch in flight, or by the receive in flight: then when that ends. A slot stays taken until the
  // controller answers. A write whose data has not all been sent goes on from a copy.
  void cancel(HostRequest& request) override;

  // True when a request is overdue. Cheap; scans the slots a few times per timeout at most.
  [[nodiscard]] bool overdue(Time now) override { return slots_.overdue(now); }
  // Nothing can be overdue before it.
  [[nodiscard]] Time next_deadline() const override { return slots_.next_deadline(); }

  // Gives every request back, as timed_out or lost; nothing is accepted afterwards. No batch and no receive
  // may be in flight any more.
  void fail_all(Time now) override;

  void enable_flow_control(std::uint16_t entries, std::uint16_t head) override {
    flow_.enable(entries, head);
  }

  void set_in_capsule_max(std::uint32_t bytes) { in_capsule_max_ = bytes; }

  [[nodiscard]] bool ready() const { return stage_ == Stage::ready; }
  [[nodiscard]] unsigned depth() const { return slots_.depth(); }
  [[nodiscard]] unsigned outstanding() const { return slots_.depth() - slots_.room(); }
  [[nodiscard]] unsigned room() const override { return slots_.room(); }
  [[nodiscard]] bool header_digest() const { return format_.header_digest; }
  [[nodiscard]] bool data_digest() const { return format_.data_digest; }
  [[nodiscard]] std::uint64_t copied_bytes() const { return receiver_.copied_bytes() + spared_bytes_; }

 private:
  friend class TcpReceiver;  // calls on_header and on_pdu
  enum class Stage : std::uint8_t { start, initializing, ready, broken };

  struct R2tEntry {
    std::uint32_t offset;
    std::uint32_t left;
    std::uint16_t ttag;
  };
  struct alignas(64) Slot : HostSlot {
    const iovec* pieces = nullptr;
    std::uint32_t piece_count = 0;
    std::uint32_t length = 0;
    std::uint32_t data_sent = 0;
    Transfer transfer = Transfer::none;
    bool answered = false;
    bool cancel_wanted = false;
    bool in_batch = false;  // the batch in flight refers to it
    bool in_data_ring = false;
    bool digest_failed = false;
    bool last_seen = false;
    bool spare_used = false;
    bool whole = true;
    std::uint8_t r2t_head = 0;
    std::uint8_t r2t_count = 0;
    std::uint16_t batch_next = kNoSlot;
    Coverage coverage{};  // read: delivered; write: asked for by R2T
    std::array<R2tEntry, kR2tMax> r2ts{};
    Status status{};  // of an answer that waits
    std::uint64_t result = 0;
    std::uint16_t sqhd = 0;
  };
  // A data PDU or capsule whose payload did not all fit into its batch.
  struct OpenPdu {
    std::uint16_t slot = kNoSlot;
    bool digest = false;
    std::uint32_t offset = 0;  // of the PDU's data in the command's
    std::uint32_t length = 0;
    std::uint32_t left = 0;
  };

  std::optional<PduError> on_header(const Pdu& pdu, Placement& placement);
  std::optional<PduError> on_pdu(const Pdu& pdu, std::span<const std::byte> in_place, bool digest_ok);
  std::optional<PduError> on_ic_resp(const IcResp& response);
  std::optional<PduError> on_c2h_header(const Pdu& pdu, Placement& placement);
  std::optional<PduError> on_c2h_data(const Pdu& pdu, bool digest_ok);
  std::optional<PduError> on_response(const Completion& completion);
  std::optional<PduError> on_r2t(const R2t& r2t);

  [[nodiscard]] std::uint16_t find(std::uint16_t cid) const {
    const std::uint16_t index = slots_.find(cid);
    return index == kNoSlot || slots_[index].answered ? kNoSlot : index;
  }
  [[nodiscard]] std::uint16_t take_slot(HostRequest& request);
  void free_slot(std::uint16_t index);
  void push_command(std::uint16_t index);
  void push_data(std::uint16_t index);
  void erase_data(std::uint16_t index);
  void send_command(SendBatch& batch, std::uint16_t index);
  void send_data(SendBatch& batch, std::uint16_t index);
  void start_payload(SendBatch& batch, std::uint16_t index, std::uint32_t offset, const PduLayout& layout);
  void go_on_with_payload(SendBatch& batch);
  void put_in_batch(std::uint16_t index);
  void send_term_req(SendBatch& batch);
  [[nodiscard]] bool busy_sending(std::uint16_t index) const {
    return slots_[index].in_batch || open_.slot == index;
  }
  void answer(std::uint16_t index, Status status, std::uint64_t result, std::uint16_t sqhd);
  void settle(std::uint16_t index);
  void finish(std::uint16_t index);
  void try_detach(std::uint16_t index);
  [[nodiscard]] bool move_to_spare(Slot& slot);
  void give_back(std::uint16_t index, HostOutcome outcome);
  void withdraw(std::uint16_t index);

  // Hot, together.
  HostSlots<Slot> slots_;
  std::unique_ptr<std::uint16_t[]> commands_;  // rings of ring_mask_ + 1 entries, in order of sending
  std::unique_ptr<std::uint16_t[]> data_;
  std::uint32_t ring_mask_ = 0;
  std::uint32_t command_head_ = 0;
  std::uint32_t command_count_ = 0;
  std::uint32_t data_head_ = 0;
  std::uint32_t data_count_ = 0;
  std::uint32_t large_reads_ = 0;
  Stage stage_ = Stage::start;
  bool speak_ = true;  // outside Stage::ready: an ICReq or a TermReq is to be sent
  bool last_read_large_ = true;
  std::uint16_t receiving_ = kNoSlot;  // whose memory the receiver writes into
  std::uint16_t batch_first_ = kNoSlot;
  OpenPdu open_{};
  PduFormat format_{};
  std::uint32_t in_capsule_max_;
  std::uint32_t data_pdu_max_ = kMaxh2cdataMin;
  TcpReceiver receiver_;

  // Rare.
  bool want_header_digest_;
  bool want_data_digest_;
  SqFlow flow_;
  std::optional<HostFault> fault_;
  std::uint32_t transfer_max_;
  std::unique_ptr<std::byte[]> spare_;  // untouched, hence unmapped, until a write is cancelled half way
  iovec spare_piece_{};
  bool spare_taken_ = false;
  std::uint64_t spared_bytes_ = 0;
};

}  // namespace netstor::nvme::tcp
