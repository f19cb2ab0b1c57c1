// SPDX-License-Identifier: Apache-2.0
#pragma once
// A message link on a queue pair. What is submitted in a turn goes to the card as one chain, of which the
// last work request alone is signalled, unless somebody waits for one before: the completion of a later one
// stands for those before it, but for reads over iWARP. On soft-iWARP each is signalled.
//
// The end: the queue pair is put into its error state, which flushes everything that was posted; then it is
// destroyed, and only then does what was in flight complete and does memory go.

#include "transports/message_link.h"
#include "transports/rdma/card.h"

#include <vector>

namespace netstor::rdma {

class RdmaPort;

/// Who hears what the connection manager says of an id.
class Listening {
 public:
  virtual void said(const rdma_cm_event& event) noexcept = 0;

 protected:
  ~Listening() = default;
};

class RdmaLink final : public MessageLink, public Listening {
 public:
  /// With a queue pair for `id`, which it takes over; not on failure.
  static Result<std::unique_ptr<RdmaLink>> make(RdmaPort& port, Card& card, rdma_cm_id* id,
                                                const MessageShape& shape);
  ~RdmaLink() override;

  void observe(MessageObserver& observer) noexcept override;
  bool broken() const noexcept override { return state_ != State::open; }
  Submit submit(MessageOp& op) override;
  std::optional<RemoteMemory> open_window(std::uint16_t window, iovec memory, bool writable,
                                          MessageOp* opened) override;
  void window_ended(std::uint16_t window) noexcept override { static_cast<void>(shut(windows_[window])); }
  bool has_windows() const noexcept override { return card_.has_windows(); }
  bool reaches(const iovec* pieces, unsigned piece_count) const noexcept override;
  MutableBytes registered_around(iovec memory) const noexcept override {
    return card_.registered_around(memory.iov_base, memory.iov_len);
  }
  MutableBytes scratch() noexcept override { return {memory_, shape_.scratch_bytes}; }
  void give_back(std::uint32_t receive) noexcept override;
  std::uint32_t inline_bytes() const noexcept override { return inline_bytes_; }
  unsigned room() const noexcept override { return capacity_ - (tail_ - head_); }
  unsigned transfer_works() const noexcept override { return works_each_; }
  const MessageGreeting& greeting() const noexcept override { return greeting_; }
  void close(Op& closed) override;
  std::string_view peer() const noexcept override { return peer_; }
  std::string describe() const override { return card_.describe(); }

  // The port's and the card's.
  void flush() noexcept;
  void work_done(const ibv_wc& completion) noexcept;
  void received(const ibv_wc& completion, std::uint32_t receive) noexcept;
  void said(const rdma_cm_event& event) noexcept override;
  void greet(const void* bytes, std::size_t length) noexcept;
  /// Where the card needs it: until a message has come, moves no bytes once in a while; who connected writes
  /// them, who accepted reads them.
  void nudge_until_heard(bool connected) noexcept;
  rdma_cm_id* id() const noexcept { return id_; }
  /// Closing, and everything that was posted has come back.
  bool drained() noexcept;
  /// Closing, and a timer is all that it waits for.
  bool settling() const noexcept { return settling_.armed(); }
  void end() noexcept;
  /// Never was open: takes everything away at once, and leaves the id.
  void abandon() noexcept { take_apart(); }

  RdmaLink* next_with_work = nullptr;  // the port's
  bool has_work = false;

 private:
  enum class State : std::uint8_t { open, broken, closing, closed };
  struct Work {  // a place in the send queue
    MessageOp* op = nullptr;
    bool signalled = false;
    bool speaks_for_itself = false;  // no later completion stands for it
    bool over = false;               // has had its own
    bool failed = false;             // which said so
  };
  struct Window {
    ibv_mw* window = nullptr;
    std::uint32_t last_key = 0;
    std::uint32_t key = 0;     // while open
    ibv_mr* region = nullptr;  // while open, on a card without windows
  };
  struct Alarm : detail::Timer {
    RdmaLink* link = nullptr;
  };

  RdmaLink(RdmaPort& port, Card& card, rdma_cm_id* id, const MessageShape& shape);
  Result<void> prepare();
  Result<void> make_queue_pair();
  ibv_send_wr& next_work(MessageOp* op) noexcept;
  unsigned fill(std::uint32_t at, const iovec* pieces, unsigned count) noexcept;
  void submit_transfer(MessageOp& op) noexcept;
  void submit_send(MessageOp& op) noexcept;
  void post_sends() noexcept;
  void post_receives() noexcept;
  void nudge() noexcept;
  void complete_over() noexcept;
  void park(MessageOp& op) noexcept;
  void broke(OpResult why) noexcept;
  void tell_later() noexcept;
  bool shut(Window& window) noexcept;
  void shut_at_once(MessageOp& op) noexcept;
  void break_later(OpResult why) noexcept;
  bool open_sinks(std::uint32_t at, const iovec* pieces, unsigned count) noexcept;
  bool shut_sinks(std::uint32_t at) noexcept;
  void take_apart() noexcept;

  RdmaPort& port_;
  Card& card_;
  rdma_cm_id* id_;
  const MessageShape shape_;
  MessageObserver* observer_ = nullptr;
  State state_ = State::open;
  OpResult why_ = OpResult::failure(ErrorKind::cancelled);
  std::byte* memory_ = nullptr;  // scratch, then the receives
  std::size_t memory_bytes_ = 0;
  std::uint32_t receive_bytes_ = 0;
  std::uint32_t inline_bytes_ = 0;
  std::uint32_t pieces_max_ = 1;
  std::uint32_t read_pieces_max_ = 1;
  std::uint32_t works_each_ = 1;  // at most, of a transfer
  unsigned reserved_ = 0;

  // The send queue: [head_, posted_) is the card's, [posted_, tail_) waits for flush(). All before ran_ has
  // been carried out, but for what speaks for itself.
  std::uint32_t capacity_ = 0;
  std::uint32_t mask_ = 0;
  std::uint32_t head_ = 0;
  std::uint32_t ran_ = 0;
  std::uint32_t posted_ = 0;
  std::uint32_t tail_ = 0;
  std::vector<Work> works_;
  std::vector<ibv_send_wr> requests_;
  std::vector<ibv_sge> places_;
  std::vector<ibv_mr*> sinks_;  // of reads over iWARP: whose keys their places have
  std::vector<Window> windows_;
  std::vector<std::uint32_t> to_post_;  // receives
  unsigned receives_out_ = 0;
  bool failed_ = false;   // an operation did
  Op* parked_ = nullptr;  // what failed, and what came behind it; not yet completed
  Op** parked_end_ = &parked_;
  bool out_of_time_ = false;
  SharedReceives* shared_ = nullptr;  // instead of receives of its own

  MessageGreeting greeting_;
  std::string peer_;
  Op told_;  // that it broke: goes before closed_
  Op* closed_ = nullptr;
  Alarm alarm_;
  Alarm settling_;  // shared receives may still be told of
  bool settled_ = false;
  Alarm nudging_;  // until the first message
  Duration nudge_after_{};
  bool may_nudge_ = false;
  ibv_wr_opcode nudge_by_ = IBV_WR_RDMA_WRITE;
};

}  // namespace netstor::rdma
