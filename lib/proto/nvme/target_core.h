// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the target's end of a queue pair is whatever carries it: the nodes of its commands, which of them are
// welcome, Connect before everything else, fused pairs, memory to wait for, answers in order. What comes and
// goes, and how, is the transport's (target_queue.h for TCP, rdma_target_queue.h). Pure: no link, no store,
// no clock.
//
// A command in the normal course: admit() judges it before any data is asked for. Data for the controller
// is placed where buffer() says, or offered in place; then comes execute(), and some day the owner answers
// complete(). When the answer has been sent, release() gives the node back. admit() and execute() may be
// answered at once, inside the call.

#include <bitset>
#include <memory>

#include "lib/proto/nvme/target_request.h"
#include "lib/wire/fabrics/connect.h"

namespace netstor::nvme {

/// What Connect made of a connection.
struct QueueTerms {
  std::uint16_t cntlid = 0;
  std::uint16_t entries = 32;  ///< commands in flight, at most
  bool admin = true;
  bool sq_flow_control = true;  ///< off: SUCCESS in C2HData instead of a response capsule
  std::uint32_t in_capsule_bytes = 8192;
  bool authenticate = false;  ///< the host is told that it has to, before anything else
};

/// Commands that may be in flight before Connect is answered.
inline constexpr unsigned kEarlyEntries = 2;

class TargetOwner {
 public:
  /// Answer with TargetCore::accept() or refuse(), now or later.
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

class TargetCore {
 public:
  TargetCore(const TargetCore&) = delete;
  TargetCore& operator=(const TargetCore&) = delete;

  // ---- The owner's answers.
  void accept(TargetRequest& request, const QueueTerms& terms);
  void refuse(TargetRequest& request, Status status, const ConnectRefused& where);
  /// With request.send_bytes and its pieces set where data goes to the host.
  void complete(TargetRequest& request, Status status, std::uint64_t result = 0);
  /// Memory may be had again: those that wait for it are tried, in order.
  void buffers_freed();

  /// The link is gone, or shall go: nothing is sent or executed any more. What the owner executes is given
  /// back by complete(); everything else is released here. Not while anything is in flight.
  void abandon();

  /// Nothing more will come of it: a protocol error, and what there was to say of it was said; or abandon().
  bool ended() const { return phase_ == Phase::ended || phase_ == Phase::abandoned; }
  bool connected() const { return phase_ == Phase::connected; }
  bool waits_for_buffers() const { return !waiting_.empty(); }
  /// Requests between admit() and their release.
  unsigned in_use() const { return in_use_; }
  virtual bool has_answers() const { return !asking_.empty() || !answers_.empty(); }
  const QueueTerms& terms() const { return terms_; }
  /// A node of a connected queue.
  TargetRequest& node(unsigned slot) { return requests_[slot]; }
  /// Nodes of a connected queue: request.slot is below this.
  static constexpr unsigned nodes(unsigned entries) { return entries * 2; }
  static constexpr std::uint16_t kEarlySlot = 0x8000;  ///< slots of commands from before accept()

 protected:
  enum class Phase : std::uint8_t {
    handshake,    // TCP's ICReq is awaited
    unconnected,  // Connect is awaited or being judged
    connected,
    terminating,  // TCP's TermReq waits to be sent, or is being sent
    ended,
    abandoned,
  };

  TargetCore(TargetOwner& owner, Phase phase);
  ~TargetCore() = default;

  /// What the transport allows in the command's descriptor, for a plan that moves data. Says in
  /// request.in_capsule where the data is.
  virtual Status check_transfer(TargetRequest& request, std::uint32_t capsule_bytes) = 0;
  /// accept() has said what the queue is.
  virtual void set_terms(const QueueTerms&) {}
  /// Memory for the data of a Connect that does not bring it along; the owner has none before.
  virtual void place_connect(TargetRequest&) {}
  virtual void forget_work() {}
  /// The node is about to be free.
  virtual void let_go(TargetRequest&) {}

  /// A node for a command that came; null when the host has more in flight than the queue has entries.
  TargetRequest* take();
  Status judge(TargetRequest& request, std::uint32_t capsule_bytes);
  /// The capsule is complete; `in_place` is its data where the request wants it so.
  void capsule_is_here(TargetRequest& request, std::span<const std::byte> in_place);
  /// All that was asked for has come, or nothing had to be.
  void data_is_here(TargetRequest& request);
  void fail(TargetRequest& request);
  void answered(TargetRequest& request);
  void recycle(TargetRequest& request);
  std::uint16_t sqhd() const { return terms_.sq_flow_control ? sqhd_ : std::uint16_t{0xFFFF}; }
  /// A node by its number; null where it does not exist.
  TargetRequest* find(unsigned slot) { return slot < node_count_ ? &requests_[slot] : nullptr; }

  TargetOwner& owner_;
  Phase phase_;
  RequestList asking_;
  RequestList answers_;
  RequestList leaving_;
  QueueTerms terms_;

 private:
  Status judge_early(TargetRequest& request);
  Status pair(TargetRequest& request);
  void drop_first(Status status);
  void fail_pair_of(TargetRequest& request);
  void run(TargetRequest& request);
  void ask_for_data(TargetRequest& request);
  void use_nodes(unsigned entries, std::uint16_t first_slot, std::unique_ptr<TargetRequest[]>& nodes);

  TargetRequest* connecting_ = nullptr;  // the Connect that was admitted, until it is answered
  std::uint16_t sqhd_ = 0;
  unsigned outstanding_ = 0;  // commands that were not answered yet
  unsigned in_use_ = 0;
  TargetRequest* fused_first_ = nullptr;  // the last command, when it was the first half of a pair
  TargetRequest* free_ = nullptr;
  RequestList waiting_;
  unsigned node_count_ = 0;
  std::unique_ptr<TargetRequest[]> requests_;
  std::unique_ptr<TargetRequest[]> early_;
  std::bitset<65536> ids_;
};

}  // namespace netstor::nvme
