// SPDX-License-Identifier: Apache-2.0
//
// A connection's life, whatever carries it.

#include "server/nvmf/connection.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

namespace {

constexpr Duration kLinger = std::chrono::seconds(1);

}  // namespace

Connection::Connection(TargetShard& shard, std::uint64_t id, nvme::TargetCore& queue)
    : shard_(shard), queue_(queue), id_(id) {
  flush_task_.connection = this;
  flush_task_.run = [](detail::Runnable& self) noexcept {
    Connection& connection = *static_cast<Self&>(self).connection;
    connection.flush_scheduled_ = false;
    if (connection.closing_) return connection.finish_if_idle();
    connection.flush();
  };
  alarm_.connection = this;
  alarm_.fire = [](detail::Timer& self) noexcept { static_cast<SelfTimer&>(self).connection->on_timer(); };
}

ConnectionFacts Connection::facts() const {
  ConnectionFacts facts{.shard = shard_.index(), .id = id_, .peer = std::string(peer())};
  if (subsystem_ == nullptr) return facts;
  facts.host_nqn = host_nqn_;
  facts.subsystem_nqn = subsystem_->nqn();
  facts.cntlid = cntlid_;
  facts.qid = qid_;
  facts.authenticated = examiner_ != nullptr && examiner_->authenticated();
  return facts;
}

Connection::~Connection() { NETSTOR_ASSERT(link_closed_ && !flush_scheduled_ && !alarm_.armed()); }

void Connection::start(TlsUse tls) {
  shard_.loop().arm(alarm_, shard_.loop().now() + shard_.config().connect_timeout);
  begin(tls);
}

void Connection::schedule_flush() noexcept {
  if (flush_scheduled_ || busy_sending() || closing_) return;
  flush_scheduled_ = true;
  shard_.loop().push(flush_task_);
}

void Connection::answers_left() {
  shard_.serve_waiting();
  if (queue_.has_answers()) schedule_flush();
  if (draining_ && !queue_.has_answers() && queue_.in_use() == events_.size()) end();
}

void Connection::linger() {
  lingering_ = true;
  shard_.loop().arm(alarm_, shard_.loop().now() + kLinger);
}

std::string Connection::on_subsystem() const {
  return subsystem_ != nullptr ? " on " + std::string(subsystem_->nqn()) : std::string();
}

void Connection::end() {
  if (closing_) return;
  closing_ = true;
  if (!let_in() && !draining_ && !failure_told_) examined_ ? tell_of_no_end() : tell_of_no_authentication();
  if (alarm_.armed()) shard_.loop().disarm(alarm_);
  shard_.connection_ends(*this, hosted_, qid_, queue_.terms().cntlid);
  hosted_ = nullptr;
  close_link();
}

bool Connection::uses(const ShardNamespace& space) const noexcept {
  const unsigned nodes = io_ == nullptr ? 0 : nvme::TargetCore::nodes(queue_.terms().entries);
  return std::any_of(io_.get(), io_.get() + nodes,
                     [&space](const IoRequest& io) { return io.space == &space; });
}

void Connection::drain(Time deadline) {
  if (closing_ || draining_) return;
  if (!queue_.connected() || lingering_) return end();
  draining_ = true;
  drain_deadline_ = deadline;
  arm_timer();
  if (!busy_sending() && !queue_.has_answers() && queue_.in_use() == events_.size()) end();
}

void Connection::link_closed() {
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
    never_began();
    return end();
  }
  if (!let_in() && now >= authentication_deadline_) return end();
  if (hosted_ == nullptr) return arm_timer();
  // Keep alive: the host is taken for dead, and all of its queues end with this one (NVMe Base 2.0, "Keep
  // Alive").
  if (hosted_->controller.expired(now)) {
    shard_.warn(net::Warnings::Kind::lost_host, [this] {
      return std::string(peer()) + ": host " + hosted_->controller.identity().host_nqn + " of " +
             std::string(subsystem_->nqn()) + " was silent for longer than its keep alive time; disconnected";
    });
    return end();
  }
  arm_timer();
}

}  // namespace netstor::nvmf
