// SPDX-License-Identifier: Apache-2.0
//
// The status of a completed command: the upper 15 bits of the last word of a completion (NVMe Base
// 2.0, "Status Field Definition"). A value only; whether a status may be retried in the end is
// decided by whoever knows the command (lib/block), not here.

#pragma once

#include <cstdint>
#include <string_view>

namespace netstor::nvme {

enum class StatusType : std::uint8_t {
  generic = 0,
  command_specific = 1,
  media_and_data_integrity = 2,
  path_related = 3,
  vendor_specific = 7,
};

enum class GenericStatus : std::uint8_t {
  success = 0x00,
  invalid_opcode = 0x01,
  invalid_field = 0x02,
  command_id_conflict = 0x03,
  data_transfer_error = 0x04,
  aborted_power_loss = 0x05,
  internal_error = 0x06,
  aborted_by_request = 0x07,
  aborted_sq_deletion = 0x08,
  aborted_failed_fused = 0x09,
  aborted_missing_fused = 0x0A,
  invalid_namespace_or_format = 0x0B,
  command_sequence_error = 0x0C,
  invalid_sgl_segment_descriptor = 0x0D,
  invalid_number_of_sgl_descriptors = 0x0E,
  data_sgl_length_invalid = 0x0F,
  metadata_sgl_length_invalid = 0x10,
  sgl_descriptor_type_invalid = 0x11,
  invalid_use_of_cmb = 0x12,
  prp_offset_invalid = 0x13,
  atomic_write_unit_exceeded = 0x14,
  operation_denied = 0x15,
  sgl_offset_invalid = 0x16,
  host_identifier_inconsistent_format = 0x18,
  keep_alive_timeout_expired = 0x19,
  keep_alive_timeout_invalid = 0x1A,
  aborted_preempt_and_abort = 0x1B,
  sanitize_failed = 0x1C,
  sanitize_in_progress = 0x1D,
  sgl_data_block_granularity_invalid = 0x1E,
  command_not_supported_for_cmb_queue = 0x1F,
  namespace_write_protected = 0x20,
  command_interrupted = 0x21,
  transient_transport_error = 0x22,
  prohibited_by_lockdown = 0x23,
  admin_command_media_not_ready = 0x24,
  invalid_io_command_set = 0x2C,
  lba_out_of_range = 0x80,
  capacity_exceeded = 0x81,
  namespace_not_ready = 0x82,
  reservation_conflict = 0x83,
  format_in_progress = 0x84,
};

// Command specific, common to all command sets.
enum class CommandStatus : std::uint8_t {
  completion_queue_invalid = 0x00,
  invalid_queue_identifier = 0x01,
  invalid_queue_size = 0x02,
  abort_command_limit_exceeded = 0x03,
  async_event_request_limit_exceeded = 0x05,
  invalid_firmware_slot = 0x06,
  invalid_firmware_image = 0x07,
  invalid_interrupt_vector = 0x08,
  invalid_log_page = 0x09,
  invalid_format = 0x0A,
  firmware_needs_conventional_reset = 0x0B,
  invalid_queue_deletion = 0x0C,
  feature_not_saveable = 0x0D,
  feature_not_changeable = 0x0E,
  feature_not_namespace_specific = 0x0F,
  firmware_needs_subsystem_reset = 0x10,
  firmware_needs_controller_reset = 0x11,
  firmware_needs_maximum_time = 0x12,
  firmware_activation_prohibited = 0x13,
  overlapping_range = 0x14,
  namespace_insufficient_capacity = 0x15,
  namespace_identifier_unavailable = 0x16,
  namespace_already_attached = 0x18,
  namespace_is_private = 0x19,
  namespace_not_attached = 0x1A,
  thin_provisioning_not_supported = 0x1B,
  controller_list_invalid = 0x1C,
  device_self_test_in_progress = 0x1D,
  boot_partition_write_prohibited = 0x1E,
  invalid_controller_identifier = 0x1F,
  invalid_secondary_controller_state = 0x20,
  invalid_number_of_controller_resources = 0x21,
  invalid_resource_identifier = 0x22,
  ana_group_identifier_invalid = 0x24,
  ana_attach_failed = 0x25,
};

// Command specific, NVM command set. The numbers overlap with those of the fabrics commands.
enum class NvmStatus : std::uint8_t {
  conflicting_attributes = 0x80,
  invalid_protection_information = 0x81,
  attempted_write_to_read_only_range = 0x82,
  command_size_limit_exceeded = 0x83,
};

// Command specific, fabrics commands.
enum class FabricsStatus : std::uint8_t {
  incompatible_format = 0x80,
  controller_busy = 0x81,
  connect_invalid_parameters = 0x82,
  connect_restart_discovery = 0x83,
  connect_invalid_host = 0x84,
  invalid_queue_type = 0x85,
  discover_restart = 0x90,
  authentication_required = 0x91,
};

enum class MediaStatus : std::uint8_t {
  write_fault = 0x80,
  unrecovered_read_error = 0x81,
  guard_check_error = 0x82,
  application_tag_check_error = 0x83,
  reference_tag_check_error = 0x84,
  compare_failure = 0x85,
  access_denied = 0x86,
  deallocated_or_unwritten_block = 0x87,
};

enum class PathStatus : std::uint8_t {
  internal_path_error = 0x00,
  ana_persistent_loss = 0x01,
  ana_inaccessible = 0x02,
  ana_transition = 0x03,
  controller_pathing_error = 0x60,
  host_pathing_error = 0x70,
  aborted_by_host = 0x71,
};

// Which table names the command specific codes from 80h on.
enum class StatusDialect : std::uint8_t { nvm, fabrics };

class Status {
 public:
  constexpr Status() = default;
  constexpr Status(StatusType sct, std::uint8_t sc)
      : raw_(static_cast<std::uint16_t>((static_cast<unsigned>(sct) << 8) | sc)) {}
  constexpr Status(GenericStatus sc) : Status(StatusType::generic, static_cast<std::uint8_t>(sc)) {}
  constexpr Status(CommandStatus sc) : Status(StatusType::command_specific, static_cast<std::uint8_t>(sc)) {}
  constexpr Status(NvmStatus sc) : Status(StatusType::command_specific, static_cast<std::uint8_t>(sc)) {}
  constexpr Status(FabricsStatus sc) : Status(StatusType::command_specific, static_cast<std::uint8_t>(sc)) {}
  constexpr Status(MediaStatus sc)
      : Status(StatusType::media_and_data_integrity, static_cast<std::uint8_t>(sc)) {}
  constexpr Status(PathStatus sc) : Status(StatusType::path_related, static_cast<std::uint8_t>(sc)) {}

  // The 15 bits as they lie above the phase bit.
  static constexpr Status from_raw(std::uint16_t raw) {
    Status status;
    status.raw_ = raw & 0x7FFFu;
    return status;
  }

  [[nodiscard]] constexpr std::uint16_t raw() const { return raw_; }
  [[nodiscard]] constexpr std::uint8_t sc() const { return static_cast<std::uint8_t>(raw_ & 0xFFu); }
  [[nodiscard]] constexpr StatusType sct() const { return static_cast<StatusType>((raw_ >> 8) & 7u); }
  // Command Retry Delay: 0 none, 1 to 3 choose CRDT1 to CRDT3 of Identify Controller.
  [[nodiscard]] constexpr std::uint8_t crd() const { return static_cast<std::uint8_t>((raw_ >> 11) & 3u); }
  [[nodiscard]] constexpr bool more() const { return (raw_ & 0x2000u) != 0; }
  [[nodiscard]] constexpr bool dnr() const { return (raw_ & 0x4000u) != 0; }

  // Type and code alone; a success may carry neither retry bits nor a delay that matter.
  [[nodiscard]] constexpr bool ok() const { return (raw_ & 0x07FFu) == 0; }
  [[nodiscard]] constexpr bool is(Status other) const { return ((raw_ ^ other.raw_) & 0x07FFu) == 0; }

  [[nodiscard]] constexpr Status with_dnr(bool dnr = true) const {
    return from_raw(static_cast<std::uint16_t>((raw_ & ~0x4000u) | (dnr ? 0x4000u : 0u)));
  }
  [[nodiscard]] constexpr Status with_more(bool more = true) const {
    return from_raw(static_cast<std::uint16_t>((raw_ & ~0x2000u) | (more ? 0x2000u : 0u)));
  }
  [[nodiscard]] constexpr Status with_crd(std::uint8_t crd) const {
    return from_raw(static_cast<std::uint16_t>((raw_ & ~0x1800u) | ((crd & 3u) << 11)));
  }

  friend constexpr bool operator==(Status, Status) = default;

 private:
  std::uint16_t raw_ = 0;
};

[[nodiscard]] std::string_view to_string(GenericStatus sc);
[[nodiscard]] std::string_view to_string(CommandStatus sc);
[[nodiscard]] std::string_view to_string(NvmStatus sc);
[[nodiscard]] std::string_view to_string(FabricsStatus sc);
[[nodiscard]] std::string_view to_string(MediaStatus sc);
[[nodiscard]] std::string_view to_string(PathStatus sc);

// The name of type and code; "vendor specific status" and "unknown status" where there is none.
[[nodiscard]] std::string_view to_string(Status status, StatusDialect dialect = StatusDialect::nvm);

}  // namespace netstor::nvme
