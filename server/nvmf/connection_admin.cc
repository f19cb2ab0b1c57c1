// SPDX-License-Identifier: Apache-2.0
//
// Connect, and what comes over an admin queue. None of this is on the way of an I/O: it may allocate, and
// ask other shards.

#include <algorithm>

#include "lib/engine/completion.h"
#include "server/nvmf/connection.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

using nvme::ConnectVerdict;
using nvme::GenericStatus;
using nvme::TargetRequest;

void Connection::connect(TargetRequest& request, const nvme::Connect& connect,
                         const nvme::ConnectData& data) {
  if (const auto why = refusal_of_tls(data)) {
    ++shard_.counters().refused_tls[*why];  // and not among refused_connects: each refusal once
    const nvme::Status status = nvme::refused(nvme::FabricsStatus::connect_invalid_host);
    warn_of_refusal(data, status, to_string(*why));
    return queue_.refuse(request, status, {});
  }
  if (!fits(connect)) {
    return queue_.refuse(request, nvme::refused(nvme::FabricsStatus::connect_invalid_parameters),
                         nvme::kRefusedSqsize);
  }
  if (connect.qid == 0) return connect_admin(request, connect, data);
  spawn(connect_io(request, connect, data)).detach();
}

void Connection::connect_admin(TargetRequest& request, const nvme::Connect& connect,
                               const nvme::ConnectData& data) {
  ShardSubsystem* const subsystem = shard_.find(data.subnqn.view());
  const ConnectVerdict verdict = check_admin_connect(connect, data, subsystem);
  if (!verdict.ok()) {
    warn_of_refusal(data, verdict.status);
    return queue_.refuse(request, verdict.status, verdict.where);
  }
  constexpr std::uint64_t kUnit = nvme::kKeepAliveUnitMs;
  const std::uint64_t kato = (connect.kato_ms + kUnit - 1) / kUnit * kUnit;
  hosted_ = shard_.make_controller(
      *this, *subsystem,
      {.host_nqn = std::string(data.hostnqn.view()),
       .host_id = data.hostid,
       .keep_alive_ms =
           static_cast<std::uint32_t>(std::min<std::uint64_t>(kato, 0xFFFFFFFFu / kUnit * kUnit)),
       .keyed_data = keyed_data(),
       .in_capsule_bytes = in_capsule_bytes(false, subsystem->limits().in_capsule_bytes)});
  if (hosted_ == nullptr) return queue_.refuse(request, nvme::FabricsStatus::controller_busy, {});
  become(request, connect, hosted_->controller.identity().cntlid, *subsystem, data.hostnqn.view());
}

// The controller lives on the shard of its admin queue, which its number names.
Task<void> Connection::connect_io(TargetRequest& request, nvme::Connect connect, nvme::ConnectData data) {
  ++holds_;
  const ShardConnection self{.shard = shard_.index(), .id = id_};
  TargetShard& owner = shard_.owner_of(data.cntlid);
  auto asked = shard_.shard_of(owner).run_on(
      [&owner, connect, data, self] { return owner.claim_queue(connect, data, self); });
  Result<ConnectVerdict> answer = co_await std::move(asked);
  --holds_;
  const ConnectVerdict verdict =
      answer ? *answer : ConnectVerdict{.status = nvme::FabricsStatus::controller_busy};
  ShardSubsystem* const subsystem = verdict.ok() ? shard_.find(data.subnqn.view()) : nullptr;
  if (closing_ || (verdict.ok() && subsystem == nullptr)) {
    if (verdict.ok()) shard_.release_queue(data.cntlid, self);
    queue_.refuse(request, GenericStatus::internal_error, {});
  } else if (!verdict.ok()) {
    warn_of_refusal(data, verdict.status);
    queue_.refuse(request, verdict.status, verdict.where);
  } else if (!subsystem->host_allowed(data.hostnqn.view())) {
    // Its admin queue was let in before the host was shut out, or its key revoked.
    shard_.release_queue(data.cntlid, self);
    const nvme::Status status = nvme::refused(nvme::FabricsStatus::connect_invalid_host);
    warn_of_refusal(data, status);
    queue_.refuse(request, status, nvme::kRefusedHostnqn);
  } else {
    qid_ = connect.qid;
    become(request, connect, data.cntlid, *subsystem, data.hostnqn.view());
  }
  if (closing_) {
    finish_if_idle();
  } else {
    schedule_flush();
  }
  co_return ok();
}

void Connection::warn_of_refusal(const nvme::ConnectData& data, nvme::Status status, std::string_view more) {
  if (more.empty()) ++shard_.counters().refused_connects[Counters::kind_of(status)];
  shard_.warn(net::Warnings::Kind::refused_host, [&] {
    return std::string(peer()) + ": host " + std::string(data.hostnqn.view()) + " was refused by " +
           std::string(data.subnqn.view()) + ": " +
           std::string(to_string(status, nvme::StatusDialect::fabrics)) +
           (more.empty() ? "" : " (TLS: " + std::string(more) + ")");
  });
}

void Connection::become(TargetRequest& request, const nvme::Connect& connect, std::uint16_t cntlid,
                        ShardSubsystem& subsystem, std::string_view host_nqn) {
  subsystem_ = &subsystem;
  host_nqn_ = host_nqn;
  cntlid_ = cntlid;
  begin_authentication(subsystem, host_nqn);
  const nvme::QueueTerms terms{
      .cntlid = cntlid,
      .entries = static_cast<std::uint16_t>(connect.sqsize + 1),
      .admin = qid_ == 0,
      .sq_flow_control = (connect.cattr & nvme::kConnectDisableSqFlowControl) == 0,
      .in_capsule_bytes = in_capsule_bytes(qid_ == 0, subsystem.limits().in_capsule_bytes),
      .authenticate = examiner_ != nullptr};
  const unsigned nodes = nvme::TargetCore::nodes(terms.entries);
  io_ = std::make_unique<IoRequest[]>(nodes);
  for (unsigned i = 0; i < nodes; ++i) {
    io_[i].connection = this;
    io_[i].op.user = &io_[i];
    io_[i].op.complete = [](Op& op) noexcept {
      IoRequest& io = *static_cast<IoRequest*>(op.user);
      io.connection->stored(io);
    };
  }
  queue_.accept(request, terms);
  for (unsigned i = 0; i < nodes; ++i) io_[i].request = &queue_.node(i);
  stable_reads_ = reads_are_copied();
  arm_timer();
}

void Connection::execute_admin(TargetRequest& request) {
  IoRequest& io = io_[request.slot];
  std::span<std::byte> out;
  if (request.plan.to_host != 0) {
    io.admin_data = std::make_unique<std::byte[]>(request.plan.to_host);
    out = {io.admin_data.get(), request.plan.to_host};
  }
  const nvme::AdminAnswer answer = hosted_->controller.execute(request.command, {}, out, shard_.loop().now());
  if (answer.held) {
    io.timing.held = true;
    events_.push_back(&request);
    return tell_events();
  }
  if (answer.status.ok() && answer.bytes != 0) {
    io.pieces[0] = {.iov_base = out.data(), .iov_len = answer.bytes};
    request.pieces = io.pieces;
    request.piece_count = 1;
    request.send_bytes = answer.bytes;
  }
  queue_.complete(request, answer.status, answer.result);
  obey(answer.effect);
  tell_events();
  arm_timer();
}

void Connection::obey(nvme::PropertyEffect effect) {
  if (effect == nvme::PropertyEffect::reset || effect == nvme::PropertyEffect::shutdown) drop_events();
  if (effect == nvme::PropertyEffect::reset) shard_.close_queues(*hosted_);
  if (effect == nvme::PropertyEffect::shutdown) spawn(write_back()).detach();
}

// A host may switch its power off once it has seen the shutdown complete.
Task<void> Connection::write_back() {
  ++holds_;
  for (std::uint32_t nsid = subsystem_->next_nsid(0); nsid != 0; nsid = subsystem_->next_nsid(nsid)) {
    ShardNamespace& space = *subsystem_->at(nsid);
    if (!space.view().volatile_cache) continue;
    space.use();
    for (;;) {
      store::StoreOp op;
      op.verb = DeviceVerb::flush;
      Completion done(op);
      if (space.store().submit(op) == Submit::accepted) {
        co_await done;
        if (!op.result.ok) warn_of_store(op.result, op.verb, 0, 0);
        break;
      }
      auto pause = sleep(std::chrono::milliseconds(1));
      auto paused = co_await std::move(pause);
      static_cast<void>(paused);
    }
    space.unuse();
  }
  --holds_;
  if (hosted_ != nullptr) hosted_->controller.finish_shutdown();
  if (closing_) finish_if_idle();
  co_return ok();
}

void Connection::tell_events() {
  if (hosted_ == nullptr) return;
  for (nvme::EventAnswer event; hosted_->controller.next_event(event);) {
    const auto found = std::find_if(events_.begin(), events_.end(), [&event](const TargetRequest* each) {
      return each->command.cid() == event.cid;
    });
    if (found == events_.end()) continue;
    TargetRequest& request = **found;
    events_.erase(found);
    queue_.complete(request, event.status, event.dw0);
  }
  schedule_flush();
}

void Connection::drop_events() {
  for (TargetRequest* const each : std::exchange(events_, {})) {
    queue_.complete(*each, nvme::refused(GenericStatus::aborted_sq_deletion));
  }
}

}  // namespace netstor::nvmf
