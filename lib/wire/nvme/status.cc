// SPDX-License-Identifier: Apache-2.0
//
// Names of status codes, for errors and logs. The numbers are in status.h.

#include "lib/wire/nvme/status.h"

#include <cstddef>

namespace netstor::nvme {

namespace {

constexpr std::string_view kUnknown = "unknown status";

template <typename Code>
struct Name {
  Code code;
  std::string_view text;
};

template <typename Code, std::size_t N>
constexpr std::string_view find_name(const Name<Code> (&names)[N], Code code) {
  for (const Name<Code>& name : names) {
    if (name.code == code) return name.text;
  }
  return kUnknown;
}

constexpr Name<GenericStatus> kGenericStatusNames[] = {
    {GenericStatus::success, "success"},
    {GenericStatus::invalid_opcode, "invalid command opcode"},
    {GenericStatus::invalid_field, "invalid field in command"},
    {GenericStatus::command_id_conflict, "command id conflict"},
    {GenericStatus::data_transfer_error, "data transfer error"},
    {GenericStatus::aborted_power_loss, "aborted, power loss"},
    {GenericStatus::internal_error, "internal error"},
    {GenericStatus::aborted_by_request, "aborted by request"},
    {GenericStatus::aborted_sq_deletion, "aborted, submission queue deleted"},
    {GenericStatus::aborted_failed_fused, "aborted, fused partner failed"},
    {GenericStatus::aborted_missing_fused, "aborted, fused partner missing"},
    {GenericStatus::invalid_namespace_or_format, "invalid namespace or format"},
    {GenericStatus::command_sequence_error, "command sequence error"},
    {GenericStatus::invalid_sgl_segment_descriptor, "invalid sgl segment descriptor"},
    {GenericStatus::invalid_number_of_sgl_descriptors, "invalid number of sgl descriptors"},
    {GenericStatus::data_sgl_length_invalid, "data sgl length invalid"},
    {GenericStatus::metadata_sgl_length_invalid, "metadata sgl length invalid"},
    {GenericStatus::sgl_descriptor_type_invalid, "sgl descriptor type invalid"},
    {GenericStatus::invalid_use_of_cmb, "invalid use of controller memory buffer"},
    {GenericStatus::prp_offset_invalid, "prp offset invalid"},
    {GenericStatus::atomic_write_unit_exceeded, "atomic write unit exceeded"},
    {GenericStatus::operation_denied, "operation denied"},
    {GenericStatus::sgl_offset_invalid, "sgl offset invalid"},
    {GenericStatus::host_identifier_inconsistent_format, "host identifier inconsistent format"},
    {GenericStatus::keep_alive_timeout_expired, "keep alive timeout expired"},
    {GenericStatus::keep_alive_timeout_invalid, "keep alive timeout invalid"},
    {GenericStatus::aborted_preempt_and_abort, "aborted, reservation preempted"},
    {GenericStatus::sanitize_failed, "sanitize failed"},
    {GenericStatus::sanitize_in_progress, "sanitize in progress"},
    {GenericStatus::sgl_data_block_granularity_invalid, "sgl data block granularity invalid"},
    {GenericStatus::command_not_supported_for_cmb_queue, "command not supported for queue in cmb"},
    {GenericStatus::namespace_write_protected, "namespace is write protected"},
    {GenericStatus::command_interrupted, "command interrupted"},
    {GenericStatus::transient_transport_error, "transient transport error"},
    {GenericStatus::prohibited_by_lockdown, "prohibited by command and feature lockdown"},
    {GenericStatus::admin_command_media_not_ready, "admin command media not ready"},
    {GenericStatus::invalid_io_command_set, "invalid io command set"},
    {GenericStatus::lba_out_of_range, "lba out of range"},
    {GenericStatus::capacity_exceeded, "capacity exceeded"},
    {GenericStatus::namespace_not_ready, "namespace not ready"},
    {GenericStatus::reservation_conflict, "reservation conflict"},
    {GenericStatus::format_in_progress, "format in progress"},
};

constexpr Name<CommandStatus> kCommandStatusNames[] = {
    {CommandStatus::completion_queue_invalid, "completion queue invalid"},
    {CommandStatus::invalid_queue_identifier, "invalid queue identifier"},
    {CommandStatus::invalid_queue_size, "invalid queue size"},
    {CommandStatus::abort_command_limit_exceeded, "abort command limit exceeded"},
    {CommandStatus::async_event_request_limit_exceeded, "asynchronous event request limit exceeded"},
    {CommandStatus::invalid_firmware_slot, "invalid firmware slot"},
    {CommandStatus::invalid_firmware_image, "invalid firmware image"},
    {CommandStatus::invalid_interrupt_vector, "invalid interrupt vector"},
    {CommandStatus::invalid_log_page, "invalid log page"},
    {CommandStatus::invalid_format, "invalid format"},
    {CommandStatus::firmware_needs_conventional_reset, "firmware activation needs conventional reset"},
    {CommandStatus::invalid_queue_deletion, "invalid queue deletion"},
    {CommandStatus::feature_not_saveable, "feature identifier not saveable"},
    {CommandStatus::feature_not_changeable, "feature not changeable"},
    {CommandStatus::feature_not_namespace_specific, "feature not namespace specific"},
    {CommandStatus::firmware_needs_subsystem_reset, "firmware activation needs subsystem reset"},
    {CommandStatus::firmware_needs_controller_reset, "firmware activation needs controller reset"},
    {CommandStatus::firmware_needs_maximum_time, "firmware activation exceeds maximum time"},
    {CommandStatus::firmware_activation_prohibited, "firmware activation prohibited"},
    {CommandStatus::overlapping_range, "overlapping range"},
    {CommandStatus::namespace_insufficient_capacity, "namespace insufficient capacity"},
    {CommandStatus::namespace_identifier_unavailable, "namespace identifier unavailable"},
    {CommandStatus::namespace_already_attached, "namespace already attached"},
    {CommandStatus::namespace_is_private, "namespace is private"},
    {CommandStatus::namespace_not_attached, "namespace not attached"},
    {CommandStatus::thin_provisioning_not_supported, "thin provisioning not supported"},
    {CommandStatus::controller_list_invalid, "controller list invalid"},
    {CommandStatus::device_self_test_in_progress, "device self-test in progress"},
    {CommandStatus::boot_partition_write_prohibited, "boot partition write prohibited"},
    {CommandStatus::invalid_controller_identifier, "invalid controller identifier"},
    {CommandStatus::invalid_secondary_controller_state, "invalid secondary controller state"},
    {CommandStatus::invalid_number_of_controller_resources, "invalid number of controller resources"},
    {CommandStatus::invalid_resource_identifier, "invalid resource identifier"},
    {CommandStatus::ana_group_identifier_invalid, "ana group identifier invalid"},
    {CommandStatus::ana_attach_failed, "ana attach failed"},
};

constexpr Name<NvmStatus> kNvmStatusNames[] = {
    {NvmStatus::conflicting_attributes, "conflicting attributes"},
    {NvmStatus::invalid_protection_information, "invalid protection information"},
    {NvmStatus::attempted_write_to_read_only_range, "attempted write to read only range"},
    {NvmStatus::command_size_limit_exceeded, "command size limit exceeded"},
};

constexpr Name<FabricsStatus> kFabricsStatusNames[] = {
    {FabricsStatus::incompatible_format, "connect incompatible format"},
    {FabricsStatus::controller_busy, "connect controller busy"},
    {FabricsStatus::connect_invalid_parameters, "connect invalid parameters"},
    {FabricsStatus::connect_restart_discovery, "connect restart discovery"},
    {FabricsStatus::connect_invalid_host, "connect invalid host"},
    {FabricsStatus::invalid_queue_type, "invalid queue type"},
    {FabricsStatus::discover_restart, "discover restart"},
    {FabricsStatus::authentication_required, "authentication required"},
};

constexpr Name<MediaStatus> kMediaStatusNames[] = {
    {MediaStatus::write_fault, "write fault"},
    {MediaStatus::unrecovered_read_error, "unrecovered read error"},
    {MediaStatus::guard_check_error, "end-to-end guard check error"},
    {MediaStatus::application_tag_check_error, "end-to-end application tag check error"},
    {MediaStatus::reference_tag_check_error, "end-to-end reference tag check error"},
    {MediaStatus::compare_failure, "compare failure"},
    {MediaStatus::access_denied, "access denied"},
    {MediaStatus::deallocated_or_unwritten_block, "deallocated or unwritten logical block"},
};

constexpr Name<PathStatus> kPathStatusNames[] = {
    {PathStatus::internal_path_error, "internal path error"},
    {PathStatus::ana_persistent_loss, "asymmetric access persistent loss"},
    {PathStatus::ana_inaccessible, "asymmetric access inaccessible"},
    {PathStatus::ana_transition, "asymmetric access transition"},
    {PathStatus::controller_pathing_error, "controller pathing error"},
    {PathStatus::host_pathing_error, "host pathing error"},
    {PathStatus::aborted_by_host, "command aborted by host"},
};

}  // namespace

std::string_view to_string(GenericStatus sc) { return find_name(kGenericStatusNames, sc); }
std::string_view to_string(CommandStatus sc) { return find_name(kCommandStatusNames, sc); }
std::string_view to_string(NvmStatus sc) { return find_name(kNvmStatusNames, sc); }
std::string_view to_string(FabricsStatus sc) { return find_name(kFabricsStatusNames, sc); }
std::string_view to_string(MediaStatus sc) { return find_name(kMediaStatusNames, sc); }
std::string_view to_string(PathStatus sc) { return find_name(kPathStatusNames, sc); }

std::string_view to_string(Status status, StatusDialect dialect) {
  const std::uint8_t sc = status.sc();
  if (sc >= 0xC0 || status.sct() == StatusType::vendor_specific) {
    return "vendor specific status";
  }
  switch (status.sct()) {
    case StatusType::generic:
      return to_string(static_cast<GenericStatus>(sc));
    case StatusType::command_specific:
      if (sc < 0x80) {
        return to_string(static_cast<CommandStatus>(sc));
      }
      return dialect == StatusDialect::fabrics ? to_string(static_cast<FabricsStatus>(sc))
                                               : to_string(static_cast<NvmStatus>(sc));
    case StatusType::media_and_data_integrity:
      return to_string(static_cast<MediaStatus>(sc));
    case StatusType::path_related:
      return to_string(static_cast<PathStatus>(sc));
    case StatusType::vendor_specific:
      break;
  }
  return kUnknown;
}

}  // namespace netstor::nvme
