// SPDX-License-Identifier: Apache-2.0
#pragma once
// The target end of one NVMe/TCP connection, which is one queue pair: handshake, capsules, R2T and data,
// digests, answers, and the end of a connection that breaks the rules (NVMe TCP Transport 1.0). Pure: it
// sees bytes and an owner, and never a socket, a store or a clock.
//
//   count = queue.want(pieces);                      // receive into these
//   queue.received(bytes);                           // calls the owner: connect, admit, buffer, execute
//   if (!in_flight && queue.gather(batch)) …         // send the batch; then queue.sent()
//   if (queue.ended()) …                             // nothing more will come of it: close
//
// Reads are sent from where they lie. NVMe gives no order between a read and a write to the same blocks
// that are in flight together, so a store may change bytes that a batch names; with data digests the sum is
// taken in gather(), and an owner whose bytes may change between then and the sending must copy them first.

#include <array>
#include <optional>

#include "lib/proto/nvme/send_batch.h"
#include "lib/proto/nvme/target_core.h"
#include "lib/proto/nvme/tcp_framing.h"

namespace netstor::nvme::tcp {

struct TargetOptions {
  bool allow_header_digest = true;
  bool allow_data_digest = true;
  std::uint32_t maxh2cdata = 1 << 20;   ///< bytes of one H2CData PDU
  std::uint32_t in_capsule_max = 8192;  ///< the most that QueueTerms::in_capsule_bytes will be
};

/// In-capsule data of the admin queue, and of Connect on any queue (NVMe TCP Transport 1.0, "Capsules and
/// Data Transfer").
inline constexpr std::uint32_t kAdminInCapsuleBytes = 8192;

class TargetQueue final : public TargetCore {
 public:
  TargetQueue(TargetOwner& owner, const TargetOptions& options);

  // ---- Receiving.
  unsigned want(iovec* pieces, unsigned max);
  void received(std::size_t bytes);

  // ---- Sending. One batch at a time is in flight.
  /// Encodes what there is to say; false when that is nothing.
  bool gather(SendBatch& batch);
  /// The batch left.
  void sent();

  /// Why, when the host broke the protocol.
  const std::optional<PduError>& error() const { return error_; }
  bool has_answers() const override { return control_bytes_ != 0 || TargetCore::has_answers(); }
  std::uint64_t copied_bytes() const { return receiver_.copied_bytes(); }
  bool data_digests() const { return format_.data_digest; }

 private:
  struct Sink {
    TargetQueue& queue;
    std::optional<PduError> on_header(const Pdu& pdu, Placement& placement) {
      return queue.on_header(pdu, placement);
    }
    std::optional<PduError> on_pdu(const Pdu& pdu, std::span<const std::byte> in_place, bool digest_ok) {
      return queue.on_pdu(pdu, in_place, digest_ok);
    }
  };

  std::optional<PduError> on_header(const Pdu& pdu, Placement& placement);
  std::optional<PduError> on_pdu(const Pdu& pdu, std::span<const std::byte> in_place, bool digest_ok);
  std::optional<PduError> capsule_header(const Pdu& pdu, Placement& placement);
  std::optional<PduError> data_header(const Pdu& pdu, Placement& placement);
  void capsule_complete(std::span<const std::byte> in_place, bool digest_ok);
  void data_complete(const Pdu& pdu, bool digest_ok);
  void wrong_digest(TargetRequest& request);
  std::optional<PduError> handshake(const Pdu& pdu);

  Status check_transfer(TargetRequest& request, std::uint32_t capsule_bytes) override;
  void set_terms(const QueueTerms& terms) override;
  void forget_work() override;
  void terminate(const PduError& error);

  bool encode_answer(TargetRequest& request, SendBatch& batch);
  bool encode_data(TargetRequest& request, SendBatch& batch);
  void encode_ask(TargetRequest& request, SendBatch& batch);

  TcpReceiver receiver_;
  PduFormat format_;
  std::uint64_t asked_bytes_ = 0;  // by R2Ts that are out, and not here yet
  unsigned asked_count_ = 0;
  TargetRequest* current_ = nullptr;  // the PDU under way belongs to it
  TargetOptions options_;
  std::optional<PduError> error_;
  std::size_t control_bytes_ = 0;  // ICResp or TermReq, to go before everything else
  std::array<std::byte, kTermReqBytes + kTermReqDataMax> control_;
};

}  // namespace netstor::nvme::tcp
