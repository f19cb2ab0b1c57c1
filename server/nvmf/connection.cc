// SPDX-License-Identifier: Apache-2.0
//
// Link to queue and back.

#include "server/nvmf/connection.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

using nvme::tcp::TargetRequest;

namespace {

constexpr Duration kLinger = std::chrono::seconds(1);

}  // namespace

Connection::Connection(TargetShard& shard, std::uint64_t id, std::unique_ptr<Link> link)
    : shard_(shard),
      queue_(*this, {.allow_header_digest = shard.config().allow_header_digest,
                     .allow_data_digest = shard.config().allow_data_digest}),
      link_(std::move(link)),
      id_(id) {
  send_.user = recv_.user = closed_.user = this;
  send_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->was_sent(); };
  recv_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->received(); };
  closed_.complete = [](Op& op) noexcept { static_cast<Connection*>(op.user)->closed(); };
  flush_task_.connection = this;
  flush_task_.run = [](detail::Runnable& self) noexcept { static_cast<Self&>(self).connection->flush(); };
  alarm_.connection = this;
  alarm_.fire = [](detail::Timer& self) noexcept { static_cast<SelfTimer&>(self).connection->on_timer(); };
}

Connection::~Connection() { NETSTOR_ASSERT(link_closed_ && !flush_scheduled_ && !alarm_.armed()); }

void Connection::start(TlsUse tls) {
  shard_.loop().arm(alarm_, shard_.loop().now() + shard_.config().connect_timeout);
  if (tls == TlsUse::offered) return look_at_first_byte();
  if (tls == TlsUse::required) begin_tls();
  receive();
}

void Connection::receive() {
  recv_.pieces = recv_pieces_;
  recv_.piece_count = queue_.want(recv_pieces_, static_cast<unsigned>(std::size(recv_pieces_)));
  receiving_ = true;
  const Submit submitted = link_->submit(recv_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

// Whatever else the host sends goes nowhere.
void Connection::receive_rest() {
  recv_pieces_[0] = {.iov_base = batch_.header(), .iov_len = nvme::tcp::SendBatch::kHeaderBytes};
  recv_.pieces = recv_pieces_;
  recv_.piece_count = 1;
  receiving_ = true;
  const Submit submitted = link_->submit(recv_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void Connection::received() {
  receiving_ = false;
  if (closing_) return;
  if (!recv_.result.ok || recv_.result.bytes == 0) {
    tell_of_handshake();
    return end();
  }
  if (recv_.peek) return saw_first_byte();
  if (lingering_) return receive_rest();
  if (draining_) return;
  queue_.received(recv_.result.bytes);
  shard_.context().metrics().copied_bytes +=
      queue_.copied_bytes() - std::exchange(copied_bytes_, queue_.copied_bytes());
  if (queue_.error()) [[unlikely]]
    warn_of_protocol();
  after_queue();
}

// Once: nothing is given to the queue after it.
void Connection::warn_of_protocol() {
  shard_.warn(net::Warnings::Kind::protocol, [this] {
    std::string text(link_->peer());
    text += queue_.ended() ? ": ended its connection: " : ": broke NVMe/TCP and was disconnected: ";
    text += to_string(queue_.error()->fes);
    if (subsystem_ != nullptr) text += ", on " + std::string(subsystem_->nqn());
    return text;
  });
}

void Connection::data_digest_wrong(const TargetRequest& request) {
  shard_.warn(net::Warnings::Kind::digest, [&] {
    return std::string(link_->peer()) + ": data digest wrong in command " +
           std::to_string(request.command.cid()) +
           (subsystem_ != nullptr ? " to " + std::string(subsystem_->nqn()) : std::string()) +
           "; it was refused";
  });
}

// The queue was told something: there may be answers, and it may have come to an end.
void Connection::after_queue() {
  if (queue_.ended()) return end();
  if (queue_.has_answers()) schedule_flush();
  // A connection that broke the rules is not read any further; its TermReq is on the way.
  if (!receiving_ && !draining_ && !queue_.error()) receive();
}

void Connection::schedule_flush() noexcept {
  if (flush_scheduled_ || sending_ || closing_) return;
  flush_scheduled_ = true;
  shard_.loop().push(flush_task_);
}

void Connection::flush() {
  flush_scheduled_ = false;
  if (closing_) return finish_if_idle();
  if (sending_ || !queue_.gather(batch_)) return;
  sending_ = true;
  send_.pieces = batch_.pieces();
  send_.piece_count = batch_.piece_count();
  const Submit submitted = link_->submit(send_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void Connection::was_sent() {
  sending_ = false;
  if (closing_) return;
  if (!send_.result.ok) return end();
  queue_.sent();
  if (queue_.ended()) {
    lingering_ = true;
    shard_.loop().arm(alarm_, shard_.loop().now() + kLinger);
    if (!receiving_) receive_rest();
    return;
  }
  shard_.serve_waiting();
  if (queue_.has_answers()) schedule_flush();
  if (draining_ && !queue_.has_answers() && queue_.in_use() == events_.size()) end();
}

void Connection::end() {
  if (closing_) return;
  closing_ = true;
  if (alarm_.armed()) shard_.loop().disarm(alarm_);
  shard_.connection_ends(*this, hosted_, qid_, queue_.terms().cntlid);
  hosted_ = nullptr;
  link_->close(&closed_);
}

bool Connection::uses(const ShardNamespace& space) const noexcept {
  const unsigned nodes = io_ == nullptr ? 0 : nvme::tcp::TargetQueue::nodes(queue_.terms().entries);
  return std::any_of(io_.get(), io_.get() + nodes,
                     [&space](const IoRequest& io) { return io.space == &space; });
}

void Connection::drain(Time deadline) {
  if (closing_ || draining_) return;
  if (!queue_.connected() || lingering_) return end();
  draining_ = true;
  drain_deadline_ = deadline;
  arm_timer();
  if (!sending_ && !queue_.has_answers() && queue_.in_use() == events_.size()) end();
}

void Connection::closed() {
  link_closed_ = true;
  drop_events();
  // Reads that wait for memory are the owner's as far as the queue knows: give them back.
  while (first_waiting_ != nullptr) {
    IoRequest& io = *std::exchange(first_waiting_, first_waiting_->next);
    queue_.complete(*io.request, nvme::GenericStatus::internal_error);
  }
  queue_.abandon();
  shard_.serve_waiting();
  finish_if_idle();
}

void Connection::finish_if_idle() {
  if (!link_closed_ || flush_scheduled_ || holds_ != 0 || queue_.in_use() != 0) return;
  shard_.connection_gone(*this);
}

void Connection::arm_timer() {
  Time when = drain_deadline_;
  if (!let_in()) when = std::min(when, authentication_deadline_);
  if (hosted_ != nullptr) when = std::min(when, hosted_->controller.keep_alive_deadline());
  if (when != Time::max()) {
    shard_.loop().arm(alarm_, when);
  } else if (alarm_.armed()) {
    shard_.loop().disarm(alarm_);
  }
}

void Connection::on_timer() {
  if (closing_) return;
  const Time now = shard_.loop().now();
  // Never connected, drained for too long, or the peer has not read its TermReq.
  if (!queue_.connected() || lingering_ || now >= drain_deadline_) {
    tell_of_handshake();
    return end();
  }
  if (!let_in() && now >= authentication_deadline_) return end();
  if (hosted_ == nullptr) return arm_timer();
  // Keep alive: the host is taken for dead, and all of its queues end with this one (NVMe Base 2.0, "Keep
  // Alive").
  if (hosted_->controller.expired(now)) {
    shard_.warn(net::Warnings::Kind::lost_host, [this] {
      return std::string(link_->peer()) + ": host " + hosted_->controller.identity().host_nqn + " of " +
             std::string(subsystem_->nqn()) + " was silent for longer than its keep alive time; disconnected";
    });
    return end();
  }
  arm_timer();
}

}  // namespace netstor::nvmf
