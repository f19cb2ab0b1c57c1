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
// A command in the normal course: admit() judges it before any data is asked for. Data for the controller
// is placed where buffer() says, or offered in place; then comes execute(), and some day the owner answers
// complete(). When the answer has been sent, release() gives the node back. admit() and execute() may be
// answered at once, inside the call.
//
// Reads are sent from where they lie. NVMe gives no order between a read and a write to the same blocks
// that are in flight together, so a store may change bytes that a batch names; with data digests the sum is
// taken in gather(), and an owner whose bytes may change between then and the sending must copy them first.

#include <array>
#include <bitset>
#include <memory>

#include "lib/proto/nvme/send_batch.h"
#include "lib/proto/nvme/target_request.h"
#include "lib/proto/nvme/tcp_framing.h"
#include "lib/wire/fabrics/connect.h"

namespace netstor::nvme::tcp {

struct TargetOptions {
  bool allow_header_digest = true;
  bool allow_data_digest = true;
  std::uint32_t maxh2cdata = 1 << 20;   ///< bytes of one H2CData PDU
  std::uint32_t in_capsule_max = 8192;  ///< the most that QueueTerms::in_capsule_bytes will be
};

/// What Connect made of a connection.
struct QueueTerms {
  std::uint16_t cntlid = 0;
  std::uint16_t entries = 32;  ///< commands in flight, at most
  bool admin = true;
  bool sq_flow_control = true;  ///< off: SUCCESS in C2HData instead of a response capsule
  std::uint32_t in_capsule_bytes = 8192;
  bool authenticate = false;  ///< the host is told that it has to, before anything else
};

/// In-capsule data of the admin queue, and of Connect on any queue (NVMe TCP Transport 1.0, "Capsules and
/// Data Transfer").
inline constexpr std::uint32_t kAdminInCapsuleBytes = 8192;
/// Commands that may be in flight before Connect is answered.
inline constexpr unsigned kEarlyEntries = 2;

class TargetOwner {
 public:
  /// Answer with TargetQueue::accept() or refuse(), now or later.
  virtual void connect(TargetRequest& request, const Connect& connect, const ConnectData& data) = 0;
  /// Fills in request.plan, and wants_in_place; or refuses.
  virtual Status admit(TargetRequest& request) = 0;
  /// Memory for plan.to_controller bytes. False: none now; call buffers_freed() when there is. It must not
  /// be false for in_capsule requests, whose data is here already.
  virtual bool buffer(TargetRequest& request) = 0;
  /// All data is here. A fused pair comes as its second half, with `partner` the first; each is completed.
  virtual void execute(TargetRequest& request) = 0;
  /// The queue is done with the request's memory; it may be any state's end, also of one never executed.
  virtual void release(TargetRequest& request) noexcept = 0;
  /// Its data came with a wrong digest: the request will be refused, and the connection goes on.
  virtual void data_digest_wrong(const TargetRequest&) {}

 protected:
  ~TargetOwner() = default;
};

class TargetQueue {
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

  // ---- The owner's answers.
  void accept(TargetRequest& request, const QueueTerms& terms);
  void refuse(TargetRequest& request, Status status, const ConnectRefused& where);
  /// With request.send_bytes and its pieces set where data goes to the host.
  void complete(TargetRequest& request, Status status, std::uint64_t result = 0);
  /// Memory may be had again: those that wait for it are tried, in order.
  void buffers_freed();

  /// The link is gone, or shall go: nothing is sent or executed any more. What the owner executes is given
  /// back by complete(); everything else is released here. Not while a batch is in flight, and not from
  /// inside received().
  void abandon();

  /// A protocol error was found and its TermReq has left, or the host sent one, or abandon() was called.
  bool ended() const { return phase_ == Phase::ended || phase_ == Phase::abandoned; }
  /// Why, when the host broke the protocol.
  const std::optional<PduError>& error() const { return error_; }
  bool connected() const { return phase_ == Phase::connected; }
  bool waits_for_buffers() const { return !waiting_.empty(); }
  /// Requests between admit() and their release.
  unsigned in_use() const { return in_use_; }
  bool has_answers() const { return control_bytes_ != 0 || !asking_.empty() || !answers_.empty(); }
  const QueueTerms& terms() const { return terms_; }
  std::uint64_t copied_bytes() const { return receiver_.copied_bytes(); }
  bool data_digests() const { return format_.data_digest; }
  /// A node of a connected queue.
  TargetRequest& node(unsigned slot) { return requests_[slot]; }
  /// Nodes of a connected queue: request.slot is below this.
  static constexpr unsigned nodes(unsigned entries) { return entries * 2; }
  static constexpr std::uint16_t kEarlySlot = 0x8000;  ///< slots of commands from before accept()

 private:
  enum class Phase : std::uint8_t {
    handshake,    // ICReq is awaited
    unconnected,  // ICResp was made; Connect is awaited or being judged
    connected,
    terminating,  // TermReq waits to be sent, or is being sent
    ended,
    abandoned,
  };
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

  Status judge(TargetRequest& request, std::uint32_t capsule_bytes);
  Status judge_early(TargetRequest& request);
  Status check_transfer(TargetRequest& request, std::uint32_t capsule_bytes) const;
  Status pair(TargetRequest& request);
  void drop_first(Status status);
  void data_is_here(TargetRequest& request);
  void run(TargetRequest& request);
  void ask_for_data(TargetRequest& request);
  void fail_pair_of(TargetRequest& request);
  void terminate(const PduError& error);

  bool encode_answer(TargetRequest& request, SendBatch& batch);
  bool encode_data(TargetRequest& request, SendBatch& batch);
  void encode_ask(TargetRequest& request, SendBatch& batch);
  void answered(TargetRequest& request);
  void recycle(TargetRequest& request);
  void use_nodes(unsigned entries, std::uint16_t first_slot, std::unique_ptr<TargetRequest[]>& nodes);

  TargetOwner& owner_;
  TcpReceiver receiver_;
  PduFormat format_;
  Phase phase_ = Phase::handshake;
  bool connecting_ = false;  // a Connect is with the owner
  std::uint16_t sqhd_ = 0;
  unsigned outstanding_ = 0;  // commands that were not answered yet
  unsigned in_use_ = 0;
  std::uint64_t asked_bytes_ = 0;  // by R2Ts that are out, and not here yet
  unsigned asked_count_ = 0;
  TargetRequest* current_ = nullptr;      // the PDU under way belongs to it
  TargetRequest* fused_first_ = nullptr;  // the last command, when it was the first half of a pair
  TargetRequest* free_ = nullptr;
  RequestList waiting_;
  RequestList asking_;
  RequestList answers_;
  RequestList leaving_;
  QueueTerms terms_;
  TargetOptions options_;
  unsigned node_count_ = 0;
  std::unique_ptr<TargetRequest[]> requests_;
  std::unique_ptr<TargetRequest[]> early_;
  std::optional<PduError> error_;
  std::size_t control_bytes_ = 0;  // ICResp or TermReq, to go before everything else
  std::array<std::byte, kTermReqBytes + kTermReqDataMax> control_;
  std::bitset<65536> ids_;
};

}  // namespace netstor::nvme::tcp
