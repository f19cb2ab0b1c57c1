// SPDX-License-Identifier: Apache-2.0
//
// The admin queue's commands: which may come when, and those that are short. Identify, log pages and
// features have files of their own.

#include "lib/proto/nvme/controller.h"

#include <algorithm>

#include "lib/wire/nvme/features.h"

namespace netstor::nvme {

namespace {

AdminAnswer failed(Status status) { return {.status = refused(status)}; }

}  // namespace

Controller::Controller(const SubsystemView& subsystem, ControllerIdentity identity, Time now)
    : subsystem_(subsystem),
      identity_(std::move(identity)),
      properties_(subsystem.limits(), subsystem.discovery()),
      keep_alive_(std::chrono::milliseconds(identity_.keep_alive_ms)) {
  aborted_events_.reserve(kAsyncEventsMax);
  changed_.reserve(kChangedNamespacesMax + 1);
  reset();
  touch(now);
}

void Controller::touch(Time now) {
  keep_alive_deadline_ = keep_alive_ == Duration::zero() ? Time::max() : now + keep_alive_;
}

// What a controller reset brings back to its start; the connection, the identity and keep alive stay.
void Controller::reset() {
  event_request_count_ = 0;
  aborted_events_.clear();
  namespaces_ = {};
  discovery_ = {};
  changed_.clear();
  io_queues_ = subsystem_.discovery() ? 0 : subsystem_.limits().io_queues_max;
  event_configuration_ = 0;
  arbitration_ = 0;
  error_recovery_ = 0;
  interrupt_coalescing_ = 0;
  write_atomicity_ = 0;
  temperature_ = {0xFFFF, 0};
}

Status Controller::plan(const Command& command, AdminPlan& plan) const {
  plan = {};
  // Over fabrics there are no PRPs (NVMe Base 2.0, "Data Transfer").
  if (command.psdt() != Psdt::sgl || command.fuse() != Fuse::none)
    return refused(GenericStatus::invalid_field);
  if (command.is_fabrics()) {
    const FabricsType type = command.fabrics_type();
    const bool known = type == FabricsType::property_get || type == FabricsType::property_set;
    return known ? Status{} : refused(GenericStatus::invalid_opcode);
  }
  const bool discovery = subsystem_.discovery();
  switch (command.admin_opcode()) {
    case AdminOpcode::identify:
      plan.to_host = kIdentifyBytes;
      break;
    case AdminOpcode::get_log_page: {
      const std::uint64_t bytes = decode_get_log_page(command).bytes;
      if (bytes > subsystem_.limits().transfer_bytes_max) return refused(GenericStatus::invalid_field);
      plan.to_host = static_cast<std::uint32_t>(bytes);
      break;
    }
    case AdminOpcode::get_features:
      if (decode_get_features(command).id == FeatureId::host_identifier) plan.to_host = kHostIdentifierBytes;
      break;
    case AdminOpcode::set_features:
    case AdminOpcode::async_event_request:
    case AdminOpcode::keep_alive:
      break;
    case AdminOpcode::abort:
      if (discovery) return refused(GenericStatus::invalid_opcode);
      break;
    default:
      return refused(GenericStatus::invalid_opcode);
  }
  if (!properties_.ready() && command.admin_opcode() != AdminOpcode::keep_alive) {
    return refused(GenericStatus::command_sequence_error);
  }
  return {};
}

AdminAnswer Controller::execute(const Command& command, std::span<const std::byte> in,
                                std::span<std::byte> out, Time now) {
  static_cast<void>(in);
  if (command.is_fabrics()) return fabrics(command, now);
  switch (command.admin_opcode()) {
    case AdminOpcode::identify:
      return identify(command, out);
    case AdminOpcode::get_log_page:
      return get_log_page(command, out);
    case AdminOpcode::set_features:
      return set_features(command, now);
    case AdminOpcode::get_features:
      return get_features(command, out);
    case AdminOpcode::async_event_request:
      return async_event_request(command);
    case AdminOpcode::abort:
      return abort(command);
    case AdminOpcode::keep_alive:
      touch(now);
      return {};
    default:
      break;
  }
  return failed(GenericStatus::invalid_opcode);
}

AdminAnswer Controller::fabrics(const Command& command, Time now) {
  if (command.fabrics_type() == FabricsType::property_get) {
    const PropertyAnswer answer = properties_.get(command);
    return {.status = answer.status, .result = answer.value};
  }
  const PropertyAnswer answer = properties_.set(command);
  if (answer.effect == PropertyEffect::reset) reset();
  if (answer.effect == PropertyEffect::enabled) touch(now);
  // After a shutdown no event is awaited any more (NVMe Base 2.0, "Controller Shutdown").
  if (answer.effect == PropertyEffect::shutdown) event_request_count_ = 0;
  return {.status = answer.status, .effect = answer.effect};
}

AdminAnswer Controller::async_event_request(const Command& command) {
  if (event_request_count_ >= std::min<std::size_t>(subsystem_.limits().async_events_max, kAsyncEventsMax)) {
    return failed(CommandStatus::async_event_request_limit_exceeded);
  }
  event_requests_[event_request_count_++] = command.cid();
  return {.held = true};
}

AdminAnswer Controller::abort(const Command& command) {
  constexpr std::uint64_t kNotAborted = 1;
  const Abort target = decode_abort(command);
  // What an I/O queue has begun is soon done, and what waits there waits for memory: it is left alone.
  if (target.sqid != 0) return {.result = kNotAborted};
  const auto end = event_requests_.begin() + static_cast<std::ptrdiff_t>(event_request_count_);
  const auto found = std::find(event_requests_.begin(), end, target.cid);
  if (found == end) return {.result = kNotAborted};
  std::copy(found + 1, end, found);
  --event_request_count_;
  aborted_events_.push_back(target.cid);
  return {.result = 0};
}

bool Controller::take_notice(Notice& notice, bool wanted) {
  if (!notice.raised || notice.masked || !wanted || event_request_count_ == 0) return false;
  notice = {.raised = false, .masked = true};
  return true;
}

bool Controller::next_event(EventAnswer& out) {
  if (!aborted_events_.empty()) {
    out = {.cid = aborted_events_.back(), .dw0 = 0, .status = Status(GenericStatus::aborted_by_request)};
    aborted_events_.pop_back();
    return true;
  }
  const AsyncEventConfiguration wanted = decode_async_event_configuration(event_configuration_);
  std::uint32_t dw0 = 0;
  if (take_notice(namespaces_, wanted.namespace_attribute)) {
    dw0 = encode(notice(AsyncNoticeInfo::namespace_attribute_changed));
  } else if (take_notice(discovery_, wanted.discovery_change)) {
    dw0 = encode(notice(AsyncNoticeInfo::discovery_log_changed));
  } else {
    return false;
  }
  out = {.cid = event_requests_[0], .dw0 = dw0, .status = {}};
  std::copy(event_requests_.begin() + 1,
            event_requests_.begin() + static_cast<std::ptrdiff_t>(event_request_count_),
            event_requests_.begin());
  --event_request_count_;
  return true;
}

void Controller::namespace_changed(std::uint32_t nsid) {
  namespaces_.raised = true;
  if (changed_.size() > kChangedNamespacesMax) return;
  const auto place = std::lower_bound(changed_.begin(), changed_.end(), nsid);
  if (place == changed_.end() || *place != nsid) changed_.insert(place, nsid);
}

void Controller::discovery_changed() { discovery_.raised = true; }

Status Controller::check_namespace(std::uint32_t nsid) const {
  if (nsid == 0 || nsid > subsystem_.nsid_max()) return refused(GenericStatus::invalid_namespace_or_format);
  return {};
}

}  // namespace netstor::nvme
