// SPDX-License-Identifier: Apache-2.0
#include "transports/nvme_status.h"

#include <array>
#include <cstdio>

#include "lib/wire/fabrics/fabrics_command.h"

namespace netstor::nvme {

namespace {

// `untouched`: the controller refuses before it begins.
struct Meaning {
  Status status;
  ErrorKind kind;
  bool untouched;
};

constexpr Meaning kCommon[] = {
    {GenericStatus::invalid_opcode, ErrorKind::unsupported, true},
    {GenericStatus::invalid_field, ErrorKind::invalid_argument, true},
    {GenericStatus::data_transfer_error, ErrorKind::protocol, false},
    {GenericStatus::aborted_by_request, ErrorKind::cancelled, false},
    {GenericStatus::aborted_failed_fused, ErrorKind::device_error, true},
    {GenericStatus::aborted_missing_fused, ErrorKind::device_error, true},
    {GenericStatus::invalid_namespace_or_format, ErrorKind::not_found, true},
    {GenericStatus::command_sequence_error, ErrorKind::protocol, true},
    {GenericStatus::data_sgl_length_invalid, ErrorKind::invalid_argument, true},
    {GenericStatus::sgl_descriptor_type_invalid, ErrorKind::unsupported, true},
    {GenericStatus::atomic_write_unit_exceeded, ErrorKind::invalid_argument, true},
    {GenericStatus::operation_denied, ErrorKind::permission_denied, true},
    {GenericStatus::namespace_write_protected, ErrorKind::permission_denied, true},
    {GenericStatus::transient_transport_error, ErrorKind::data_corrupt, false},
    {GenericStatus::prohibited_by_lockdown, ErrorKind::permission_denied, true},
    {GenericStatus::lba_out_of_range, ErrorKind::out_of_range, true},
    {GenericStatus::capacity_exceeded, ErrorKind::no_space, false},
    {GenericStatus::namespace_not_ready, ErrorKind::device_error, true},
    {GenericStatus::reservation_conflict, ErrorKind::permission_denied, true},
    {CommandStatus::namespace_insufficient_capacity, ErrorKind::no_space, false},
    {MediaStatus::write_fault, ErrorKind::device_error, false},
    {MediaStatus::unrecovered_read_error, ErrorKind::data_corrupt, false},
    {MediaStatus::guard_check_error, ErrorKind::data_corrupt, false},
    {MediaStatus::application_tag_check_error, ErrorKind::data_corrupt, false},
    {MediaStatus::reference_tag_check_error, ErrorKind::data_corrupt, false},
    {MediaStatus::compare_failure, ErrorKind::compare_failed, true},
    {MediaStatus::access_denied, ErrorKind::permission_denied, true},
};

// From 80h on the command specific codes of the two command sets overlap.
constexpr Meaning kNvm[] = {
    {NvmStatus::conflicting_attributes, ErrorKind::invalid_argument, true},
    {NvmStatus::invalid_protection_information, ErrorKind::invalid_argument, true},
    {NvmStatus::attempted_write_to_read_only_range, ErrorKind::permission_denied, true},
    // We keep to the limits. Linux's target (6.1, 6.12) says so of Write Zeroes and deallocate that its store
    // cannot do.
    {NvmStatus::command_size_limit_exceeded, ErrorKind::unsupported, true},
};
constexpr Meaning kFabrics[] = {
    {FabricsStatus::incompatible_format, ErrorKind::unsupported, true},
    {FabricsStatus::controller_busy, ErrorKind::exhausted, true},
    {FabricsStatus::connect_invalid_parameters, ErrorKind::not_found, true},
    {FabricsStatus::connect_restart_discovery, ErrorKind::not_found, true},
    {FabricsStatus::connect_invalid_host, ErrorKind::permission_denied, true},
    {FabricsStatus::invalid_queue_type, ErrorKind::unsupported, true},
    {FabricsStatus::authentication_required, ErrorKind::permission_denied, true},
};

Meaning meaning_of(Status status, StatusDialect dialect) noexcept {
  for (const Meaning& each : kCommon) {
    if (each.status.is(status)) return each;
  }
  for (const Meaning& each : dialect == StatusDialect::fabrics ? std::span<const Meaning>(kFabrics)
                                                               : std::span<const Meaning>(kNvm)) {
    if (each.status.is(status)) return each;
  }
  // The only path that a device has (see nvmeof/namespace.h) is none any more, and is brought up again.
  if (status.sct() == StatusType::path_related && !status.dnr())
    return {status, ErrorKind::disconnected, false};
  return {status, ErrorKind::device_error, false};
}

struct Advice {
  ErrorKind kind;
  std::string_view words;
};

/// For the parameter of Connect that the target names.
constexpr struct {
  ConnectRefused where;
  Advice advice;
} kRefusedParameters[] = {
    {kRefusedSubnqn,
     {ErrorKind::not_found,
      ": no such subsystem for this host; a discovery at the same address lists what there is"}},
    {kRefusedHostnqn,
     {ErrorKind::invalid_argument, ": it takes our host NQN for none; set VolumeOptions::host_nqn"}},
    {kRefusedHostid,
     {ErrorKind::invalid_argument, ": it does not take our host identifier; set VolumeOptions::host_nqn"}},
    {kRefusedCntlid, {ErrorKind::not_found, ": the controller is gone; open the volume again"}},
    {kRefusedQid,
     {ErrorKind::invalid_argument, ": it does not take so many queues; lower VolumeOptions::queues"}},
    {kRefusedSqsize,
     {ErrorKind::invalid_argument, ": it does not take the queue's size; lower VolumeOptions::queue_depth"}},
    {kRefusedKato,
     {ErrorKind::invalid_argument, ": it does not take the time; change VolumeOptions::keep_alive"}},
};

/// What to do when a Connect is refused; `dw0` says where the target saw the fault.
Advice advice_of(Status status, std::uint32_t dw0, ErrorKind kind) noexcept {
  if (status.is(FabricsStatus::connect_invalid_parameters)) {
    const ConnectRefused where = decode_connect_refused(dw0);
    for (const auto& each : kRefusedParameters) {
      if (each.where == where) return each.advice;
    }
  } else if (status.is(FabricsStatus::connect_invalid_host)) {
    return {kind,
            ": let this host's NQN in at the target, or set VolumeOptions::host_nqn to one that it knows"};
  } else if (status.is(FabricsStatus::controller_busy)) {
    return {kind, ": the target has no controller or queue left; try again later"};
  } else if (status.is(FabricsStatus::authentication_required)) {
    return {kind, ": this build cannot authenticate in-band; switch it off for this host at the target"};
  }
  return {kind, {}};
}

}  // namespace

OpResult result_of(Status status, StatusDialect dialect, bool changes) noexcept {
  const Meaning meaning = meaning_of(status, dialect);
  return OpResult::failure(meaning.kind, Origin::nvme, status.raw() & 0x7FF,
                           changes && !meaning.untouched ? Effect::unknown : Effect::none);
}

Error error_of(Status status, StatusDialect dialect, std::string_view what, std::uint64_t result) {
  std::array<char, 40> code{};
  std::snprintf(code.data(), code.size(), " (NVMe status %03Xh)", status.raw() & 0x7FFu);
  const OpResult failure = result_of(status, dialect, false);
  std::string text = std::string(what) + ": " + std::string(to_string(status, dialect)) + code.data();
  ErrorKind kind = failure.kind;
  if (dialect == StatusDialect::fabrics) {
    const Advice advice = advice_of(status, static_cast<std::uint32_t>(result), kind);
    kind = advice.kind;
    text += advice.words;
  }
  return {kind, std::move(text), Effect::none, Origin::nvme, failure.native};
}

}  // namespace netstor::nvme
