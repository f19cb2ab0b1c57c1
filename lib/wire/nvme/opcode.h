// SPDX-License-Identifier: Apache-2.0
//
// The numbers of NVMe: opcodes, feature, log page and identify selectors. Names follow the NVMe Base
// Specification 2.0 and the NVM Command Set Specification 1.0; what a number's fields mean is in
// command.h, identify.h, log.h and features.h.

#pragma once

#include <cstdint>
#include <string_view>

namespace netstor::nvme {

inline constexpr std::uint32_t kNsidAll = 0xFFFFFFFFu;
inline constexpr std::uint16_t kCntlidDynamic = 0xFFFFu;  // Connect: "any controller of this subsystem"
inline constexpr std::uint16_t kCntlidMax = 0xFFEFu;

// Bits 1:0 of an opcode say where the data goes.
enum class DataDirection : std::uint8_t {
  none = 0,
  host_to_controller = 1,
  controller_to_host = 2,
  both = 3
};

enum class AdminOpcode : std::uint8_t {
  delete_io_sq = 0x00,
  create_io_sq = 0x01,
  get_log_page = 0x02,
  delete_io_cq = 0x04,
  create_io_cq = 0x05,
  identify = 0x06,
  abort = 0x08,
  set_features = 0x09,
  get_features = 0x0A,
  async_event_request = 0x0C,
  namespace_management = 0x0D,
  firmware_commit = 0x10,
  firmware_image_download = 0x11,
  device_self_test = 0x14,
  namespace_attachment = 0x15,
  keep_alive = 0x18,
  directive_send = 0x19,
  directive_receive = 0x1A,
  virtualization_management = 0x1C,
  nvme_mi_send = 0x1D,
  nvme_mi_receive = 0x1E,
  doorbell_buffer_config = 0x7C,
  fabrics = 0x7F,
  format_nvm = 0x80,
  security_send = 0x81,
  security_receive = 0x82,
  sanitize = 0x84,
  get_lba_status = 0x86,
};

enum class IoOpcode : std::uint8_t {
  flush = 0x00,
  write = 0x01,
  read = 0x02,
  write_uncorrectable = 0x04,
  compare = 0x05,
  write_zeroes = 0x08,
  dataset_management = 0x09,
  verify = 0x0C,
  reservation_register = 0x0D,
  reservation_report = 0x0E,
  reservation_acquire = 0x11,
  reservation_release = 0x15,
  copy = 0x19,
  fabrics = 0x7F,
};

inline constexpr std::uint8_t kFabricsOpcode = 0x7F;

enum class FabricsType : std::uint8_t {
  property_set = 0x00,
  connect = 0x01,
  property_get = 0x04,
  authentication_send = 0x05,
  authentication_receive = 0x06,
  disconnect = 0x08,
};

enum class FeatureId : std::uint8_t {
  arbitration = 0x01,
  power_management = 0x02,
  lba_range_type = 0x03,
  temperature_threshold = 0x04,
  error_recovery = 0x05,
  volatile_write_cache = 0x06,
  number_of_queues = 0x07,
  interrupt_coalescing = 0x08,
  interrupt_vector_configuration = 0x09,
  write_atomicity_normal = 0x0A,
  async_event_configuration = 0x0B,
  autonomous_power_state_transition = 0x0C,
  host_memory_buffer = 0x0D,
  timestamp = 0x0E,
  keep_alive_timer = 0x0F,
  host_controlled_thermal_management = 0x10,
  non_operational_power_state_config = 0x11,
  read_recovery_level = 0x12,
  predictable_latency_mode_config = 0x13,
  predictable_latency_mode_window = 0x14,
  host_behavior_support = 0x16,
  sanitize_config = 0x17,
  io_command_set_profile = 0x19,
  software_progress_marker = 0x80,
  host_identifier = 0x81,
  reservation_notification_mask = 0x82,
  reservation_persistence = 0x83,
  namespace_write_protection = 0x84,
};

enum class LogId : std::uint8_t {
  supported_log_pages = 0x00,
  error_information = 0x01,
  smart_health = 0x02,
  firmware_slot = 0x03,
  changed_namespace_list = 0x04,
  commands_supported_and_effects = 0x05,
  device_self_test = 0x06,
  telemetry_host_initiated = 0x07,
  telemetry_controller_initiated = 0x08,
  endurance_group = 0x09,
  asymmetric_namespace_access = 0x0C,
  persistent_event = 0x0D,
  feature_identifiers_supported = 0x12,
  discovery = 0x70,
  reservation_notification = 0x80,
  sanitize_status = 0x81,
};

// Controller or Namespace Structure (CNS) of the Identify command.
enum class Cns : std::uint8_t {
  identify_namespace = 0x00,
  identify_controller = 0x01,
  active_namespace_list = 0x02,
  namespace_id_descriptors = 0x03,
  nvm_set_list = 0x04,
  csi_namespace = 0x05,
  csi_controller = 0x06,
  csi_active_namespace_list = 0x07,
  csi_independent_namespace = 0x08,
  allocated_namespace_list = 0x10,
  allocated_namespace = 0x11,
  namespace_controller_list = 0x12,
  controller_list = 0x13,
  primary_controller_capabilities = 0x14,
  secondary_controller_list = 0x15,
  namespace_granularity_list = 0x16,
  uuid_list = 0x17,
  domain_list = 0x18,
  endurance_group_list = 0x19,
  csi_allocated_namespace_list = 0x1A,
  csi_allocated_namespace = 0x1B,
  io_command_sets = 0x1C,
};

// Command Set Identifier.
enum class Csi : std::uint8_t { nvm = 0x00, key_value = 0x01, zoned_namespace = 0x02 };

[[nodiscard]] constexpr DataDirection data_direction(std::uint8_t opcode) {
  return static_cast<DataDirection>(opcode & 3u);
}

// "unknown" for a number outside the tables above.
[[nodiscard]] std::string_view to_string(AdminOpcode opcode);
[[nodiscard]] std::string_view to_string(IoOpcode opcode);
[[nodiscard]] std::string_view to_string(FabricsType type);

}  // namespace netstor::nvme
