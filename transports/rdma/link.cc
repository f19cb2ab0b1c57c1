// SPDX-License-Identifier: Apache-2.0
#include "transports/rdma/link.h"

#include "lib/base/assert.h"
#include "transports/cause.h"
#include "transports/rdma/port.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace netstor::rdma {

namespace {

constexpr std::uint32_t kInlineWanted = 80;  // a command capsule
// For a card to flush what was posted; longer, and the queue pair is destroyed without.
constexpr Duration kFlushLimit = std::chrono::seconds(2);
constexpr unsigned kReceiveBatch = 32;
// For a card to tell of the shared receives that a queue pair has taken: nobody counts those.
constexpr Duration kSettling = std::chrono::milliseconds(20);
// Who accepted must not send before the other end is ready, of which it is not told.
constexpr Duration kFirstNudge = std::chrono::milliseconds(50);
constexpr Duration kFirstNudgeBack = std::chrono::seconds(1);

OpResult failure_of(ibv_wc_status status) noexcept {
  return OpResult::failure(ErrorKind::disconnected, Origin::library,
                           cause::rdma(static_cast<std::int32_t>(status)));
}

std::size_t page_rounded(std::size_t size) { return (size + 4095) & ~std::size_t{4095}; }

}  // namespace

RdmaLink::RdmaLink(RdmaPort& port, Card& card, rdma_cm_id* id, const MessageShape& shape)
    : port_(port), card_(card), id_(id), shape_(shape) {
  alarm_.link = this;
  alarm_.fire = [](detail::Timer& timer) noexcept { static_cast<Alarm&>(timer).link->out_of_time_ = true; };
  settling_.link = this;
  settling_.fire = [](detail::Timer& timer) noexcept { static_cast<Alarm&>(timer).link->settled_ = true; };
  nudging_.link = this;
  nudging_.fire = [](detail::Timer& timer) noexcept { static_cast<Alarm&>(timer).link->nudge(); };
  told_.user = this;
  told_.complete = [](Op& op) noexcept {
    auto& link = *static_cast<RdmaLink*>(op.user);
    if (link.state_ == State::broken) link.observer_->link_lost(link.why_);
  };
  id_->context = static_cast<Listening*>(this);
}

Result<std::unique_ptr<RdmaLink>> RdmaLink::make(RdmaPort& port, Card& card, rdma_cm_id* id,
                                                 const MessageShape& shape) {
  std::unique_ptr<RdmaLink> link(new RdmaLink(port, card, id, shape));
  Result<void> prepared = link->prepare();
  if (!prepared) {
    link->take_apart();
    return std::move(prepared).error();
  }
  return link;
}

RdmaLink::~RdmaLink() { NETSTOR_ASSERT(state_ == State::closed); }

Result<void> RdmaLink::prepare() {
  const ibv_device_attr& card = card_.abilities();
  pieces_max_ =
      std::min<std::uint32_t>(static_cast<std::uint32_t>(std::max(card.max_sge, 1)), kMessagePiecesMax);
  read_pieces_max_ = std::min(pieces_max_, static_cast<std::uint32_t>(std::max(card.max_sge_rd, 1)));
  works_each_ = (kMessagePiecesMax + read_pieces_max_ - 1) / read_pieces_max_;
  // Of cards that take few pieces at once, only some of the transfers can be in flight.
  const std::uint32_t transfers = shape_.transfers * std::min(works_each_, 4u);
  const auto works_max = static_cast<std::uint32_t>(card.max_qp_wr);
  // What ends windows is never without room.
  if (shape_.operations + works_each_ > works_max) {
    return Error(ErrorKind::exhausted, "the RDMA device's queues hold " + std::to_string(works_max) +
                                           " operations each, too few for a queue of this depth");
  }
  capacity_ = std::min(shape_.operations + std::max(transfers, works_each_), works_max);
  mask_ = std::bit_ceil(capacity_) - 1;
  works_.resize(mask_ + 1);
  requests_.resize(mask_ + 1);
  places_.resize(std::size_t{mask_ + 1} * pieces_max_);
  if (card_.iwarp() && shape_.transfers != 0) sinks_.resize(std::size_t{mask_ + 1} * read_pieces_max_);
  receive_bytes_ = (shape_.receive_bytes + 63u) & ~std::uint32_t{63};
  const std::size_t own_receives = shape_.shared_receives ? 0 : std::size_t{receive_bytes_} * shape_.receives;
  memory_bytes_ = page_rounded(page_rounded(shape_.scratch_bytes) + own_receives);
  if (memory_bytes_ != 0) {
    void* const at =
        ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return Error::system(errno, "map the buffers of a connection");
    memory_ = static_cast<std::byte*>(at);
    NETSTOR_CHECK_RETURN(card_.add_memory({memory_, memory_bytes_}));
  }
  const unsigned entries = capacity_ + (shape_.shared_receives ? 0u : shape_.receives);
  NETSTOR_CHECK_RETURN(card_.reserve(entries));
  reserved_ = entries;
  NETSTOR_CHECK_RETURN(make_queue_pair());
  windows_.resize(shape_.windows);
  for (Window& each : windows_) {
    if (!card_.has_windows()) break;
    each.window = ::ibv_alloc_mw(card_.domain(), IBV_MW_TYPE_2);
    if (each.window == nullptr) return Error::system(errno, "make a memory window");
    each.last_key = each.window->rkey;
  }
  to_post_.reserve(shape_.receives);
  if (!shape_.shared_receives) {
    for (std::uint32_t i = shape_.receives; i-- != 0;) to_post_.push_back(i);
    post_receives();
  }
  return {};
}

Result<void> RdmaLink::make_queue_pair() {
  if (shape_.shared_receives) {
    NETSTOR_TRY_RETURN(shared_, card_.share(shape_.receives, shape_.receive_bytes));
  }
  ibv_qp_init_attr wanted{};
  wanted.send_cq = wanted.recv_cq = card_.completions();
  wanted.srq = shared_ != nullptr ? shared_->queue() : nullptr;
  wanted.qp_type = IBV_QPT_RC;
  // Soft-iWARP takes no inline message that ends a window.
  const std::uint32_t inline_wanted = card_.soft_iwarp() ? 0 : kInlineWanted;
  wanted.cap = {.max_send_wr = capacity_,
                .max_recv_wr = shared_ != nullptr ? 0u : shape_.receives,
                .max_send_sge = pieces_max_,
                .max_recv_sge = shared_ != nullptr ? 0u : 1u,
                .max_inline_data = inline_wanted};
  if (::rdma_create_qp(id_, card_.domain(), &wanted) != 0) {
    wanted.cap.max_inline_data = 0;
    if (::rdma_create_qp(id_, card_.domain(), &wanted) != 0) return Error::system(errno, "make a queue pair");
  }
  inline_bytes_ = std::min(wanted.cap.max_inline_data, inline_wanted);
  card_.add(*this, id_->qp->qp_num);
  return {};
}

void RdmaLink::greet(const void* bytes, std::size_t length) noexcept {
  greeting_.length = std::min(length, sizeof greeting_.bytes);
  if (greeting_.length != 0) std::memcpy(greeting_.bytes, bytes, greeting_.length);
  peer_ = peer_text(*id_);
}

void RdmaLink::observe(MessageObserver& observer) noexcept {
  observer_ = &observer;
  if (state_ == State::broken) tell_later();
}

// ---- Submitting.

ibv_send_wr& RdmaLink::next_work(MessageOp* op) noexcept {
  const std::uint32_t at = tail_++;
  // Soft-iWARP sends what is not signalled from where it lies, even after a later completion.
  works_[at & mask_] = {.op = op, .signalled = card_.soft_iwarp() || (op != nullptr && op->prompt)};
  ibv_send_wr& request = requests_[at & mask_];
  request = {};
  request.wr_id = at;
  port_.has_work(*this);
  return request;
}

// Into the places of work `at`.
unsigned RdmaLink::fill(std::uint32_t at, const iovec* pieces, unsigned count) noexcept {
  ibv_sge* const places = &places_[std::size_t{at & mask_} * pieces_max_];
  for (unsigned i = 0; i < count; ++i) {
    const ibv_mr* const region = card_.find(pieces[i].iov_base, pieces[i].iov_len);
    places[i] = {.addr = reinterpret_cast<std::uintptr_t>(pieces[i].iov_base),
                 .length = static_cast<std::uint32_t>(pieces[i].iov_len),
                 .lkey = region != nullptr ? region->lkey : 0};
  }
  requests_[at & mask_].sg_list = places;
  requests_[at & mask_].num_sge = static_cast<int>(count);
  return count;
}

bool RdmaLink::reaches(const iovec* pieces, unsigned piece_count) const noexcept {
  return std::all_of(pieces, pieces + piece_count, [this](const iovec& each) {
    return card_.find(each.iov_base, each.iov_len) != nullptr;
  });
}

Submit RdmaLink::submit(MessageOp& op) {
  if (state_ != State::open) {
    port_.finish(op, why_);
    return Submit::accepted;
  }
  if (op.verb == MessageOp::Verb::close_window && !has_windows()) {
    shut_at_once(op);
    return Submit::accepted;
  }
  const bool transfer = op.verb == MessageOp::Verb::read || op.verb == MessageOp::Verb::write;
  if (room() < (transfer ? works_each_ : 1)) return Submit::full;
  switch (op.verb) {
    case MessageOp::Verb::send:
      submit_send(op);
      break;
    case MessageOp::Verb::read:
    case MessageOp::Verb::write:
      submit_transfer(op);
      break;
    case MessageOp::Verb::close_window: {
      ibv_send_wr& request = next_work(&op);
      request.opcode = IBV_WR_LOCAL_INV;
      request.invalidate_rkey = std::exchange(windows_[op.window].key, 0);
      break;
    }
  }
  return Submit::accepted;
}

void RdmaLink::submit_send(MessageOp& op) noexcept {
  std::size_t length = 0;
  for (unsigned i = 0; i < op.piece_count; ++i) length += op.pieces[i].iov_len;
  const std::uint32_t at = tail_;
  ibv_send_wr& request = next_work(&op);
  NETSTOR_ASSERT(op.piece_count <= pieces_max_);
  fill(at, op.pieces, op.piece_count);
  request.opcode = op.end_key != 0 ? IBV_WR_SEND_WITH_INV : IBV_WR_SEND;
  if (op.end_key != 0) {
    request.invalidate_rkey = op.end_key;
    request.wr.rdma.rkey = op.end_key;  // where soft-iWARP's library looks for it
  }
  if (length <= inline_bytes_) request.send_flags = IBV_SEND_INLINE;
}

// As many work requests as the card needs for so many pieces; the last one stands for all of them.
void RdmaLink::submit_transfer(MessageOp& op) noexcept {
  const bool read = op.verb == MessageOp::Verb::read;
  const std::uint32_t each = read ? read_pieces_max_ : pieces_max_;
  const std::uint32_t first = tail_;
  std::uint64_t address = op.remote.address;
  for (unsigned done = 0; done < op.piece_count;) {
    const unsigned count = std::min(op.piece_count - done, each);
    const std::uint32_t at = tail_;
    ibv_send_wr& request = next_work(done + count == op.piece_count ? &op : nullptr);
    works_[at & mask_].speaks_for_itself = read && card_.iwarp();
    fill(at, op.pieces + done, count);
    if (read && card_.iwarp() && !open_sinks(at, op.pieces + done, count)) {
      // It keeps its place, and nothing is posted any more.
      tail_ = first + 1;
      works_[first & mask_] = {.op = &op};
      return break_later(OpResult::failure(ErrorKind::exhausted));
    }
    request.opcode = read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
    request.wr.rdma.remote_addr = address;
    request.wr.rdma.rkey = op.remote.key;
    for (unsigned i = 0; i < count; ++i) address += op.pieces[done + i].iov_len;
    done += count;
  }
}

// What comes while soft-iWARP (6.1, 6.12) accepts a connection it looks at when more comes. The end that
// accepted can only ask for more: the answer to a read of no bytes.
void RdmaLink::nudge_until_heard(bool connected) noexcept {
  if (!card_.soft_iwarp()) return;
  nudge_by_ = connected ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ;
  nudge_after_ = connected ? kFirstNudge : kFirstNudgeBack;
  // From the next turn on: registering memory may have made this one long.
  port_.loop().arm(nudging_, port_.loop().now());
}

void RdmaLink::nudge() noexcept {
  if (state_ != State::open) return;
  if (std::exchange(may_nudge_, true) && room() != 0) {
    const std::uint32_t at = tail_;
    ibv_send_wr& request = next_work(nullptr);
    works_[at & mask_].speaks_for_itself = nudge_by_ == IBV_WR_RDMA_READ;
    const iovec nothing{};
    fill(at, &nothing, 1);
    request.opcode = nudge_by_;
  }
  port_.loop().arm(nudging_, port_.loop().now() + nudge_after_);
  nudge_after_ *= 2;
}

std::optional<RemoteMemory> RdmaLink::open_window(std::uint16_t window, iovec memory, bool writable,
                                                  MessageOp* opened) {
  if (state_ != State::open) return std::nullopt;
  const auto address = reinterpret_cast<std::uintptr_t>(memory.iov_base);
  Window& mine = windows_[window];
  if (!has_windows()) {
    NETSTOR_ASSERT(mine.region == nullptr);
    mine.region = card_.open(memory.iov_base, memory.iov_len, writable);
    if (mine.region == nullptr) return std::nullopt;
    mine.key = mine.region->rkey;
    if (opened != nullptr) port_.finish(*opened, OpResult::success());
    return RemoteMemory{.address = address, .key = mine.key};
  }
  ibv_mr* const region = card_.find(memory.iov_base, memory.iov_len);
  if (region == nullptr || room() == 0) return std::nullopt;
  NETSTOR_ASSERT(mine.key == 0);
  mine.last_key = ::ibv_inc_rkey(mine.last_key);
  mine.key = mine.last_key;
  ibv_send_wr& request = next_work(opened);
  request.opcode = IBV_WR_BIND_MW;
  request.bind_mw.mw = mine.window;
  request.bind_mw.rkey = mine.key;
  request.bind_mw.bind_info = {
      .mr = region,
      .addr = address,
      .length = memory.iov_len,
      .mw_access_flags = static_cast<unsigned>(writable ? IBV_ACCESS_REMOTE_WRITE : IBV_ACCESS_REMOTE_READ)};
  return RemoteMemory{.address = address, .key = mine.key};
}

// False: the peer may still be in it.
bool RdmaLink::shut(Window& window) noexcept {
  window.key = 0;
  return window.region == nullptr || card_.deregister(std::exchange(window.region, nullptr));
}

// Of a card without windows. What could not be shut is over with the queue pair.
void RdmaLink::shut_at_once(MessageOp& op) noexcept {
  if (shut(windows_[op.window])) return port_.finish(op, OpResult::success());
  park(op);
  break_later(OpResult::failure(ErrorKind::disconnected));
}

void RdmaLink::break_later(OpResult why) noexcept {
  state_ = State::broken;
  why_ = why;
  if (observer_ != nullptr) tell_later();
}

// What a read brings comes over iWARP as a write of the peer's, who is shown a key for it: it is good for
// these bytes alone, and for this read.
bool RdmaLink::open_sinks(std::uint32_t at, const iovec* pieces, unsigned count) noexcept {
  for (unsigned i = 0; i < count; ++i) {
    ibv_mr*& sink = sinks_[std::size_t{at & mask_} * read_pieces_max_ + i];
    sink = card_.open(pieces[i].iov_base, pieces[i].iov_len, true);
    if (sink == nullptr) return false;
    places_[std::size_t{at & mask_} * pieces_max_ + i].lkey = sink->lkey;
  }
  return true;
}

// False: the peer may still be in one.
bool RdmaLink::shut_sinks(std::uint32_t at) noexcept {
  if (sinks_.empty()) return true;
  bool all = true;
  for (std::uint32_t i = 0; i < read_pieces_max_; ++i) {
    ibv_mr*& sink = sinks_[std::size_t{at & mask_} * read_pieces_max_ + i];
    if (sink == nullptr) break;
    all &= card_.deregister(std::exchange(sink, nullptr));
  }
  return all;
}

void RdmaLink::give_back(std::uint32_t receive) noexcept {
  if (shared_ != nullptr) return card_.take_back(*shared_, receive);
  to_post_.push_back(receive);
  if (state_ == State::open) port_.has_work(*this);
}

// ---- To the card, once a turn.

void RdmaLink::flush() noexcept {
  if (state_ != State::open) return;
  post_receives();
  post_sends();
}

void RdmaLink::post_sends() noexcept {
  if (posted_ == tail_) return;
  for (std::uint32_t at = posted_; at != tail_; ++at) {
    const bool last = at + 1 == tail_;
    Work& work = works_[at & mask_];
    work.signalled |= last;
    ibv_send_wr& request = requests_[at & mask_];
    if (work.signalled || work.speaks_for_itself) request.send_flags |= IBV_SEND_SIGNALED;
    request.next = last ? nullptr : &requests_[(at + 1) & mask_];
  }
  ibv_send_wr* bad = nullptr;
  const int error = ::ibv_post_send(id_->qp, &requests_[posted_ & mask_], &bad);
  if (error == 0) {
    // A window is named by the key that it had last, and only some of the libraries below keep that up.
    for (; posted_ != tail_; ++posted_) {
      const ibv_send_wr& request = requests_[posted_ & mask_];
      if (request.opcode == IBV_WR_BIND_MW) request.bind_mw.mw->rkey = request.bind_mw.rkey;
    }
    return;
  }
  // What stands before `bad` went out; the rest completes when the link is closed.
  if (bad != nullptr) posted_ += (static_cast<std::uint32_t>(bad->wr_id) - posted_);
  broke(OpResult::system(error));
}

void RdmaLink::post_receives() noexcept {
  while (!to_post_.empty() && state_ == State::open) {
    std::array<ibv_recv_wr, kReceiveBatch> requests{};
    std::array<ibv_sge, kReceiveBatch> places{};
    const std::size_t count = std::min<std::size_t>(to_post_.size(), kReceiveBatch);
    std::byte* const first = memory_ + page_rounded(shape_.scratch_bytes);
    const std::uint32_t key = card_.find(memory_, memory_bytes_)->lkey;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t receive = to_post_.back();
      to_post_.pop_back();
      places[i] = {.addr = reinterpret_cast<std::uintptr_t>(first + std::size_t{receive} * receive_bytes_),
                   .length = receive_bytes_,
                   .lkey = key};
      requests[i].wr_id = Card::receive_number(0, receive);
      requests[i].sg_list = &places[i];
      requests[i].num_sge = 1;
      requests[i].next = i + 1 < count ? &requests[i + 1] : nullptr;
    }
    ibv_recv_wr* bad = nullptr;
    if (const int error = ::ibv_post_recv(id_->qp, requests.data(), &bad); error != 0)
      return broke(OpResult::system(error));
    receives_out_ += static_cast<unsigned>(count);
  }
}

// ---- From the card.

// A completion stands for all that was posted before. Not for reads over iWARP: what is behind them overtakes
// their bytes, of which their own completion tells.
void RdmaLink::work_done(const ibv_wc& completion) noexcept {
  const auto at = static_cast<std::uint32_t>(completion.wr_id);
  // Soft-iWARP says it twice of some that it flushes.
  if (at - head_ >= posted_ - head_ || works_[at & mask_].over) return;
  const bool failed = completion.status != IBV_WC_SUCCESS;
  works_[at & mask_].over = true;
  works_[at & mask_].failed = failed;
  if (at - head_ >= ran_ - head_) ran_ = at + 1;
  complete_over();
  if (failed) broke(failure_of(completion.status));
}

void RdmaLink::complete_over() noexcept {
  while (head_ != ran_) {
    Work& work = works_[head_ & mask_];
    if (work.speaks_for_itself && !work.over) return;
    MessageOp* const op = std::exchange(work.op, nullptr);
    // What one that failed was to do may still be under way at the other end: it completes when the queue
    // pair is gone, and what came behind it after it.
    failed_ |= work.failed;
    if (!failed_ && !shut_sinks(head_)) {
      failed_ = true;
      broke(OpResult::failure(ErrorKind::disconnected));
    }
    ++head_;
    if (op == nullptr) continue;
    if (failed_) {
      park(*op);
      continue;
    }
    op->result = OpResult::success();
    op->complete(*op);
  }
}

void RdmaLink::park(MessageOp& op) noexcept {
  op.next = nullptr;
  *std::exchange(parked_end_, &op.next) = &op;
}

void RdmaLink::received(const ibv_wc& completion, std::uint32_t receive) noexcept {
  if (shared_ == nullptr) --receives_out_;
  if (completion.status != IBV_WC_SUCCESS) {
    if (shared_ != nullptr) shared_->return_unseen(receive);
    return broke(failure_of(completion.status));
  }
  if (nudging_.armed()) port_.loop().disarm(nudging_);
  if (state_ != State::open || observer_ == nullptr) {
    if (shared_ != nullptr) shared_->return_unseen(receive);
    return broke(OpResult::failure(ErrorKind::protocol));
  }
  std::byte* const at = shared_ != nullptr ? shared_->lend(receive)
                                           : memory_ + page_rounded(shape_.scratch_bytes) +
                                                 std::size_t{receive} * receive_bytes_;
  const std::uint32_t ended = card_.ends_window(completion) ? completion.invalidated_rkey : 0;
  observer_->message_came(receive, {at, completion.byte_len}, ended);
}

void RdmaLink::said(const rdma_cm_event& event) noexcept {
  switch (event.event) {
    case RDMA_CM_EVENT_DISCONNECTED:
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
    case RDMA_CM_EVENT_TIMEWAIT_EXIT:
      return broke(OpResult::failure(ErrorKind::disconnected, Origin::library, cause::kClosedByPeer));
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_REJECTED:
      return broke(OpResult::system(ECONNABORTED));
    default:
      return;
  }
}

void RdmaLink::broke(OpResult why) noexcept {
  if (state_ != State::open) return;
  state_ = State::broken;
  why_ = why;
  if (observer_ != nullptr) observer_->link_lost(why);
}

// Not inside a call of the observer's; the link is there until closed_, which comes behind it.
void RdmaLink::tell_later() noexcept { port_.finish(told_, why_); }

// ---- The end.

void RdmaLink::close(Op& closed) {
  NETSTOR_ASSERT(state_ == State::open || state_ == State::broken);
  closed_ = &closed;
  if (state_ == State::open) why_ = OpResult::failure(ErrorKind::cancelled);
  state_ = State::closing;
  // Puts the queue pair into its error state; not every kind of card does it by this, hence the next line.
  ::rdma_disconnect(id_);
  ibv_qp_attr error{};
  error.qp_state = IBV_QPS_ERR;
  ::ibv_modify_qp(id_->qp, &error, IBV_QP_STATE);
  port_.loop().arm(alarm_, port_.loop().now() + kFlushLimit);
  port_.closing(*this);
}

bool RdmaLink::drained() noexcept {
  if (out_of_time_) return true;
  if (head_ != posted_ || receives_out_ != 0) return false;
  if (shared_ == nullptr || settled_) return true;
  if (!settling_.armed()) port_.loop().arm(settling_, port_.loop().now() + kSettling);
  return false;
}

void RdmaLink::end() noexcept {
  rdma_cm_id* const id = id_;
  take_apart();
  ::rdma_destroy_id(id);
  while (parked_ != nullptr) {
    Op& op = *std::exchange(parked_, parked_->next);
    port_.finish(op, why_);
  }
  for (; head_ != tail_; ++head_) {
    if (MessageOp* const op = works_[head_ & mask_].op; op != nullptr) port_.finish(*op, why_);
  }
  port_.finish(*closed_, OpResult::success());
}

void RdmaLink::take_apart() noexcept {
  for (Alarm* each : {&alarm_, &settling_, &nudging_}) {
    if (each->armed()) port_.loop().disarm(*each);
  }
  // Windows first: those that are open hold the queue pair, which waits for them in vain (Soft-RoCE).
  for (Window& each : windows_) {
    if (each.window != nullptr) ::ibv_dealloc_mw(std::exchange(each.window, nullptr));
    static_cast<void>(shut(each));
  }
  if (id_->qp != nullptr) {
    card_.remove(id_->qp->qp_num);
    ::rdma_destroy_qp(id_);
  }
  for (ibv_mr*& each : sinks_) {
    if (each != nullptr) static_cast<void>(card_.deregister(std::exchange(each, nullptr)));
  }
  if (memory_ != nullptr) {
    card_.remove_memory({memory_, memory_bytes_});
    ::munmap(std::exchange(memory_, nullptr), memory_bytes_);
  }
  card_.release(std::exchange(reserved_, 0));
  // What the observer looks at still it gives back afterwards.
  if (shared_ != nullptr) card_.unshare(*shared_, shape_.receives);
  id_->context = nullptr;
  port_.remove(*this);
  state_ = State::closed;
}

}  // namespace netstor::rdma
