// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/status.h"

#include <array>
#include <cstdio>

namespace netstor::nvmeof {

namespace {

using nvme::CommandStatus;
using nvme::FabricsStatus;
using nvme::GenericStatus;
using nvme::MediaStatus;
using nvme::NvmStatus;
using nvme::Status;
using nvme::StatusDialect;

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
    {NvmStatus::command_size_limit_exceeded, ErrorKind::invalid_argument, true},
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
  // A path related status will mean another path, once a device has several (see namespace.h).
  return {status, ErrorKind::device_error, false};
}

}  // namespace

OpResult result_of(Status status, StatusDialect dialect, bool changes) noexcept {
  const Meaning meaning = meaning_of(status, dialect);
  return OpResult::failure(meaning.kind, Origin::nvme, status.raw() & 0x7FF,
                           changes && !meaning.untouched ? Effect::unknown : Effect::none);
}

Error error_of(Status status, StatusDialect dialect, std::string_view what) {
  std::array<char, 40> code{};
  std::snprintf(code.data(), code.size(), " (NVMe status %03Xh)", status.raw() & 0x7FFu);
  const OpResult result = result_of(status, dialect, false);
  return {result.kind, std::string(what) + ": " + std::string(nvme::to_string(status, dialect)) + code.data(),
          Effect::none, Origin::nvme, result.native};
}

}  // namespace netstor::nvmeof
