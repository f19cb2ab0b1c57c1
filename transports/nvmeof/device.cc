// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/device.h"

#include <algorithm>

#include "lib/engine/completion.h"
#include "lib/wire/fabrics/nqn.h"
#include "lib/wire/nvme/log.h"
#include "transports/nvme_command.h"
#include "transports/nvmeof/connect.h"

namespace netstor::nvmeof {

NvmeofDevice::NvmeofDevice(NvmeofPort& port, const Target& target, bool writable)
    : port_(port), target_(target), writable_(writable) {
  changed_.user = this;
  changed_.complete = [](Op& op) noexcept {
    auto& self = *static_cast<NvmeofDevice*>(op.user);
    self.change_pending_ = false;
    if (self.state_ == State::live && self.observer_ != nullptr) self.observer_->device_changed();
  };
  room_.user = this;
  room_.complete = [](Op& op) noexcept {
    auto& self = *static_cast<NvmeofDevice*>(op.user);
    self.room_pending_ = false;
    if (self.state_ == State::live && self.observer_ != nullptr) self.observer_->device_has_room();
  };
}

// ---- Opening.

Task<std::unique_ptr<Device>> NvmeofDevice::open(NvmeofPort& port, Target target, const OpenOp& op) {
  std::unique_ptr<NvmeofDevice> device(new NvmeofDevice(port, target, op.writable));
  auto up = device->bring_up(op.share);
  Result<void> opened = co_await std::move(up);
  if (!opened) {
    auto down = device->end();
    const Result<void> ended = co_await std::move(down);
    static_cast<void>(ended);
    co_return std::move(opened).error();
  }
  co_return std::unique_ptr<Device>(std::move(device));
}

Task<void> NvmeofDevice::bring_up(const std::optional<Ticket>& share) {
  if (share) {
    terms_ = Terms::from(*share);
    target_.host.id = terms_.host_id;
    if (target_.options.host_nqn.empty()) target_.host.nqn = nvme::uuid_nqn(terms_.host_id).view();
  } else {
    auto beginning = begin_session();
    NETSTOR_CHECK(co_await std::move(beginning));
  }
  auto opening = open_queue();
  NETSTOR_CHECK(co_await std::move(opening));
  // A loss on the way has been told to nobody yet.
  if (state_ != State::opening) co_return why_.error("the session was lost while the queue was set up");
  if (!io_->open()) co_return io_->why().error("the connection was lost while it was set up");
  terms_.limits.writable = terms_.limits.writable && writable_;
  state_ = State::live;
  co_return ok();
}

Task<void> NvmeofDevice::begin_session() {
  session_ = std::make_unique<Session>(port_, target_, this);
  auto starting = session_->start();
  NETSTOR_CHECK(co_await std::move(starting));
  const nvme::IdentifyController& about = session_->facts().identify;
  if (about.cntrltype != nvme::ControllerType::io && about.cntrltype != nvme::ControllerType::not_reported) {
    co_return Error(ErrorKind::unsupported, "the subsystem has no I/O controller");
  }
  auto preparing = session_->prepare_io();
  NETSTOR_CHECK(co_await std::move(preparing));
  terms_.cntlid = session_->cntlid();
  terms_.home = static_cast<std::uint16_t>(port_.loop().index());
  terms_.queues = session_->queues();
  terms_.depth_max = std::max<std::uint16_t>(session_->facts().cap.mqes, 1);
  if (about.maxcmd != 0) terms_.depth_max = std::min(terms_.depth_max, about.maxcmd);
  terms_.nsid = target_.nsid;
  terms_.host_id = target_.host.id;
  // IOCCSZ counts 16 bytes, the command's 64 among them.
  const std::uint64_t capsule = std::uint64_t{about.ioccsz} * 16;
  terms_.in_capsule_max =
      capsule > nvme::kCommandBytes && about.icdoff == 0
          ? static_cast<std::uint32_t>(std::min<std::uint64_t>(capsule - nvme::kCommandBytes, 1u << 20))
          : 0;
  auto identifying = identify_namespace();
  NETSTOR_CHECK(co_await std::move(identifying));
  about_ = nvme::describe(about);
  co_return ok();
}

Task<void> NvmeofDevice::identify_namespace() {
  std::vector<std::byte> data;
  // The list begins behind the number given; NSIDs that are not in it answer with zeros or an error.
  auto listing = session_->identify({.cns = nvme::Cns::active_namespace_list}, terms_.nsid - 1, data);
  NETSTOR_CHECK(co_await std::move(listing));
  const auto active = nvme::decode_namespace_list(std::span(data).first<nvme::kIdentifyBytes>());
  if (!active) co_return Error(ErrorKind::protocol, "the controller's namespace list is out of order");
  if (active->count == 0 || active->nsids[0] != terms_.nsid) {
    co_return Error(ErrorKind::not_found, "the subsystem has no namespace " + std::to_string(terms_.nsid));
  }
  auto identifying = session_->identify({.cns = nvme::Cns::identify_namespace}, terms_.nsid, data);
  NETSTOR_CHECK(co_await std::move(identifying));
  const auto ns = nvme::decode_identify_namespace(std::span(data).first<nvme::kIdentifyBytes>());
  NETSTOR_CHECK(nvme::describe(session_->facts(), ns, terms_.nsid, terms_.limits));
  // Controllers before 1.3 have no descriptors; then what Identify says has to do.
  std::optional<nvme::NamespaceIds> ids;
  auto naming = session_->identify({.cns = nvme::Cns::namespace_id_descriptors}, terms_.nsid, data);
  if (const Result<void> named = co_await std::move(naming); named.ok()) {
    ids = nvme::decode_namespace_ids(std::span(data).first<nvme::kIdentifyBytes>());
  }
  identity_ = nvme::identity_of(ns, ids);
  // A fused pair takes two places in the queue at once.
  if (depth() < 2) terms_.limits.can_compare_and_write = false;
  co_return ok();
}

Task<void> NvmeofDevice::open_queue() {
  const std::uint16_t qid = terms_.qid(port_.loop().index());
  if (qid > terms_.queues) {
    co_return Error(ErrorKind::exhausted, "the controller grants " + std::to_string(terms_.queues) +
                                              " I/O queues; lower VolumeOptions::queues");
  }
  const std::uint16_t depth = this->depth();
  auto linking = connect(port_, target_, *this,
                         {.kind = Connection::Kind::io,
                          .qid = qid,
                          .cntlid = terms_.cntlid,
                          .depth = depth,
                          .in_capsule_max = terms_.in_capsule_max,
                          .transfer_max = std::max(terms_.limits.transfer_bytes_max, 4096u)});
  NETSTOR_TRY(io_, co_await std::move(linking));
  auto connecting = connect_queue(*io_, target_, terms_.cntlid, qid, depth);
  NETSTOR_TRY(const std::uint16_t cntlid, co_await std::move(connecting));
  if (cntlid != terms_.cntlid)
    co_return Error(ErrorKind::protocol, "the I/O queue belongs to another controller");
  terms_.limits.depth = depth;
  requests_ = std::make_unique<IoRequest[]>(depth);
  for (std::uint16_t i = 0; i < depth; ++i) {
    IoRequest& request = requests_[i];
    request.device = this;
    request.done = [](nvme::HostRequest& self) noexcept {
      auto& finished = static_cast<IoRequest&>(self);
      finished.device->done(finished);
    };
    put_back(request);
  }
  co_return ok();
}

// ---- Operations.

IoRequest* NvmeofDevice::take() noexcept {
  IoRequest* const request = free_;
  if (request != nullptr) free_ = request->next;
  return request;
}

void NvmeofDevice::put_back(IoRequest& request) noexcept {
  request.next = free_;
  free_ = &request;
}

Submit NvmeofDevice::submit(DeviceOp& op) {
  OpResult early = nvme::check(op, terms_.limits);
  if (early.ok && state_ != State::live) early = why_;
  const bool settled = early.ok && op.verb == DeviceVerb::flush && !terms_.limits.volatile_cache;
  if (!early.ok || settled) {
    port_.finish(op, early);
    return Submit::accepted;
  }
  if (op.verb == DeviceVerb::compare_and_write) return submit_pair(op);
  IoRequest* const request = take();
  if (request == nullptr) return full(1);
  prepare(*request, op, terms_);
  request->op = &op;
  request->partner = nullptr;
  request->deadline = port_.loop().now() + target_.options.io_timeout;
  op.driver_words[0] = reinterpret_cast<std::uintptr_t>(request);
  if (io_->queue().submit(*request)) [[likely]]
    return Submit::accepted;
  // The queue's slots are fewer while cancelled commands wait for their answers.
  put_back(*request);
  return full(1);
}

Submit NvmeofDevice::full(unsigned requests) noexcept {
  io_->tell_of_room(requests);
  return Submit::full;
}

void NvmeofDevice::queue_has_room() noexcept {
  if (state_ == State::live && !std::exchange(room_pending_, true)) port_.finish(room_, OpResult::success());
}

Submit NvmeofDevice::submit_pair(DeviceOp& op) {
  IoRequest* const compare = take();
  IoRequest* const write = compare != nullptr ? take() : nullptr;
  if (write == nullptr) {
    if (compare != nullptr) put_back(*compare);
    return full(2);
  }
  prepare_pair(*compare, *write, op, terms_);
  compare->op = write->op = &op;
  compare->deadline = write->deadline = port_.loop().now() + target_.options.io_timeout;
  op.driver_words[0] = reinterpret_cast<std::uintptr_t>(compare);
  if (io_->queue().submit_fused(*compare, *write)) return Submit::accepted;
  put_back(*compare);
  put_back(*write);
  return full(2);
}

void NvmeofDevice::done(IoRequest& request) noexcept {
  DeviceOp& op = *request.op;
  // The queue gives back its requests before it says that it is gone.
  const OpResult lost = state_ == State::live ? io_->why().as_lost_path() : why_;
  OpResult result = result_of(request, lost);
  // What the controller says of the path is true for all that goes by it.
  const bool answered = request.outcome == nvme::HostOutcome::answered;
  if (answered && !result.ok && result.kind == ErrorKind::disconnected) io_->give_up(result);
  IoRequest* const partner = request.partner;
  if (partner != nullptr && partner->partner == &request) {
    // The other half is still out, and comes with this one's word.
    partner->partner = nullptr;
    partner->first = result;
    request.partner = nullptr;
    op.driver_words[0] = reinterpret_cast<std::uintptr_t>(partner);
    op.driver_words[1] = 1;
    put_back(request);
    return;
  }
  if (op.verb == DeviceVerb::compare_and_write) {
    // Why the compare failed says more than that the write was not tried, or the reverse.
    op.driver_words[1] = 0;
    const bool other_says_more = !request.first.ok && (result.ok || result.kind == ErrorKind::device_error ||
                                                       result.kind == ErrorKind::cancelled);
    if (other_says_more) result = request.first;
  }
  put_back(request);
  complete(op, result);
}

void NvmeofDevice::complete(DeviceOp& op, OpResult result) noexcept {
  if (cancelling_) return port_.finish(op, result);
  op.result = result;
  op.complete(op);
}

void NvmeofDevice::cancel(DeviceOp& op) {
  auto* const request = reinterpret_cast<IoRequest*>(static_cast<std::uintptr_t>(op.driver_words[0]));
  if (request == nullptr || request->op != &op || state_ == State::closing) return;
  cancelling_ = true;
  IoRequest* const partner = request->partner;
  io_->queue().cancel(*request);
  // Of a pair that is on its way both halves have to be asked; one that was not sent has gone as a pair.
  if (partner != nullptr && partner->op == &op && op.driver_words[1] == 0) io_->queue().cancel(*partner);
  cancelling_ = false;
}

// ---- Ends.

void NvmeofDevice::connection_lost(Connection&) noexcept {
  if (state_ == State::opening || state_ == State::closing) return;
  if (state_ == State::live) {
    why_ = io_->why().as_lost_path();
    state_ = State::lost;
    if (session_) session_->give_up(why_);
  }
  if (observer_ != nullptr) observer_->device_lost(why_);
}

void NvmeofDevice::session_lost(OpResult why) noexcept {
  if (state_ != State::live && state_ != State::opening) return;
  const bool live = std::exchange(state_, State::lost) == State::live;
  why_ = why.as_lost_path();
  // The observer hears of it when the queue has given back its requests.
  if (live) io_->give_up(why_);
}

void NvmeofDevice::namespaces_changed() noexcept {
  refresh_again_ = true;
  if (refreshing_ || state_ == State::closing) return;
  refreshing_ = true;
  spawn(refresh()).detach();
}

Task<void> NvmeofDevice::refresh() {
  while (std::exchange(refresh_again_, false)) {
    // Reading the list is what lets the next such event through ("Changed Namespace List").
    std::vector<std::byte> list(nvme::kIdentifyBytes);
    auto reading = session_->get_log({.id = nvme::LogId::changed_namespace_list, .bytes = list.size()}, list);
    const Result<void> read = co_await std::move(reading);
    static_cast<void>(read);
    auto identifying = identify_namespace();
    const Result<void> identified = co_await std::move(identifying);
    if (!identified && state_ == State::live && identified.error().kind() == ErrorKind::not_found) {
      session_->give_up(OpResult::failure(ErrorKind::not_found));
    }
    terms_.limits.writable = terms_.limits.writable && writable_;
  }
  refreshing_ = false;
  if (state_ == State::live && !std::exchange(change_pending_, true))
    port_.finish(changed_, OpResult::success());
  co_return ok();
}

Task<void> NvmeofDevice::end() {
  state_ = State::closing;
  why_ = OpResult::failure(ErrorKind::cancelled);
  if (io_) {
    Op op;
    Completion closed(op);
    io_->close(op);
    co_await closed;
  }
  if (session_) {
    auto stopping = session_->stop();
    NETSTOR_CHECK(co_await std::move(stopping));
  }
  while (refreshing_ || change_pending_ || room_pending_) NETSTOR_CHECK(co_await yield());
  co_return ok();
}

void NvmeofDevice::close(Op& closed) {
  spawn(end()).then([this, &closed](Result<void>) { port_.finish(closed, OpResult::success()); }).detach();
}

std::string NvmeofDevice::describe() const {
  const char* const tls = target_.options.tls_key.empty() ? "" : ", TLS 1.3 by a pre-shared key";
  return std::string("driver: nvmeof over ") + (port_.message_port() != nullptr ? "rdma" : "tcp") + tls +
         "\npeer: " + std::string(io_->peer()) + "\nsubsystem: " + target_.subnqn +
         "\nnamespace: " + std::to_string(terms_.nsid) + "\ncontroller: " + std::to_string(terms_.cntlid) +
         "\n" + about_ + io_->describe() + "in-capsule bytes: " + std::to_string(terms_.in_capsule_max) +
         "\n";
}

}  // namespace netstor::nvmeof
