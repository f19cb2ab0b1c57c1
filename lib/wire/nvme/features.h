// SPDX-License-Identifier: Apache-2.0
//
// Values of features: dword 11 of Set Features, dword 0 of the completion of Get Features (NVMe Base 2.0,
// "Feature Specific Information"), and the dword of an asynchronous event. Selectors are in opcode.h.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/bytes.h"
#include "lib/wire/nvme/opcode.h"

namespace netstor::nvme {

// Feature 01h.
struct Arbitration {
  std::uint8_t burst = 7;  // 2 ^ n commands; 7 = no limit
  std::uint8_t low_weight = 0;
  std::uint8_t medium_weight = 0;
  std::uint8_t high_weight = 0;

  friend constexpr bool operator==(const Arbitration&, const Arbitration&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const Arbitration& arbitration) {
  return (arbitration.burst & 7u) | (std::uint32_t{arbitration.low_weight} << 8) |
         (std::uint32_t{arbitration.medium_weight} << 16) | (std::uint32_t{arbitration.high_weight} << 24);
}

[[nodiscard]] constexpr Arbitration decode_arbitration(std::uint32_t value) {
  return {.burst = static_cast<std::uint8_t>(value & 7u),
          .low_weight = static_cast<std::uint8_t>((value >> 8) & 0xFFu),
          .medium_weight = static_cast<std::uint8_t>((value >> 16) & 0xFFu),
          .high_weight = static_cast<std::uint8_t>(value >> 24)};
}

// Feature 02h.
struct PowerManagement {
  std::uint8_t power_state = 0;
  std::uint8_t workload_hint = 0;

  friend constexpr bool operator==(const PowerManagement&, const PowerManagement&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const PowerManagement& power) {
  return (power.power_state & 0x1Fu) | (std::uint32_t{power.workload_hint & 7u} << 5);
}

[[nodiscard]] constexpr PowerManagement decode_power_management(std::uint32_t value) {
  return {.power_state = static_cast<std::uint8_t>(value & 0x1Fu),
          .workload_hint = static_cast<std::uint8_t>((value >> 5) & 7u)};
}

// Feature 04h.
struct TemperatureThreshold {
  std::uint16_t kelvins = 0;
  std::uint8_t sensor = 0;  // 0 the composite temperature, Fh all (Set Features only)
  bool under = false;

  friend constexpr bool operator==(const TemperatureThreshold&, const TemperatureThreshold&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const TemperatureThreshold& threshold) {
  return threshold.kelvins | (std::uint32_t{threshold.sensor & 0xFu} << 16) |
         (std::uint32_t{threshold.under} << 20);
}

[[nodiscard]] constexpr TemperatureThreshold decode_temperature_threshold(std::uint32_t value) {
  return {.kelvins = static_cast<std::uint16_t>(value & 0xFFFFu),
          .sensor = static_cast<std::uint8_t>((value >> 16) & 0xFu),
          .under = ((value >> 20) & 3u) == 1};
}

// Feature 05h.
struct ErrorRecovery {
  std::uint16_t tler_100ms = 0;
  bool dulbe = false;  // deallocated or unwritten block: error enable

  friend constexpr bool operator==(const ErrorRecovery&, const ErrorRecovery&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const ErrorRecovery& recovery) {
  return recovery.tler_100ms | (std::uint32_t{recovery.dulbe} << 16);
}

[[nodiscard]] constexpr ErrorRecovery decode_error_recovery(std::uint32_t value) {
  return {.tler_100ms = static_cast<std::uint16_t>(value & 0xFFFFu), .dulbe = ((value >> 16) & 1u) != 0};
}

// Feature 06h: bit 0.
[[nodiscard]] constexpr std::uint32_t encode_volatile_write_cache(bool enabled) { return enabled ? 1u : 0u; }
[[nodiscard]] constexpr bool decode_volatile_write_cache(std::uint32_t value) { return (value & 1u) != 0; }

// Feature 07h. Asked for in dword 11, granted in the completion's dword 0; real counts, sent as zero's
// based, I/O queues only.
struct NumberOfQueues {
  std::uint32_t submission = 1;
  std::uint32_t completion = 1;

  friend constexpr bool operator==(const NumberOfQueues&, const NumberOfQueues&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const NumberOfQueues& queues) {
  return ((queues.submission - 1) & 0xFFFFu) | (((queues.completion - 1) & 0xFFFFu) << 16);
}

// Nothing for the value FFFFh (65,536 queues), which the specification forbids to ask for.
[[nodiscard]] constexpr std::optional<NumberOfQueues> decode_number_of_queues(std::uint32_t value) {
  const std::uint32_t submission = value & 0xFFFFu;
  const std::uint32_t completion = value >> 16;
  if (submission == 0xFFFFu || completion == 0xFFFFu) {
    return std::nullopt;
  }
  return NumberOfQueues{.submission = submission + 1, .completion = completion + 1};
}

// Feature 0Ah: bit 0, Disable Normal.
[[nodiscard]] constexpr std::uint32_t encode_write_atomicity(bool disable_normal) {
  return disable_normal ? 1u : 0u;
}
[[nodiscard]] constexpr bool decode_write_atomicity(std::uint32_t value) { return (value & 1u) != 0; }

// Feature 0Bh: which events a controller may send.
struct AsyncEventConfiguration {
  std::uint8_t smart_warnings = 0;  // as the critical warning bits of the SMART log
  bool namespace_attribute = false;
  bool firmware_activation = false;
  bool telemetry_log = false;
  bool ana_change = false;
  bool discovery_change = false;

  friend constexpr bool operator==(const AsyncEventConfiguration&, const AsyncEventConfiguration&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const AsyncEventConfiguration& config) {
  return config.smart_warnings | (std::uint32_t{config.namespace_attribute} << 8) |
         (std::uint32_t{config.firmware_activation} << 9) | (std::uint32_t{config.telemetry_log} << 10) |
         (std::uint32_t{config.ana_change} << 11) | (std::uint32_t{config.discovery_change} << 31);
}

[[nodiscard]] constexpr AsyncEventConfiguration decode_async_event_configuration(std::uint32_t value) {
  return {.smart_warnings = static_cast<std::uint8_t>(value & 0xFFu),
          .namespace_attribute = ((value >> 8) & 1u) != 0,
          .firmware_activation = ((value >> 9) & 1u) != 0,
          .telemetry_log = ((value >> 10) & 1u) != 0,
          .ana_change = ((value >> 11) & 1u) != 0,
          .discovery_change = ((value >> 31) & 1u) != 0};
}

// Feature 0Fh: dword 11 is the timeout itself.
[[nodiscard]] constexpr std::uint32_t encode_keep_alive_timer(std::uint32_t kato_ms) { return kato_ms; }
[[nodiscard]] constexpr std::uint32_t decode_keep_alive_timer(std::uint32_t value) { return value; }

// Feature 81h: bit 0 of dword 11 asks for the 128-bit form; the identifier itself is the command's data.
inline constexpr std::uint32_t kHostIdentifierExtended = 1;
inline constexpr std::size_t kHostIdentifierBytes = 16;

// ---- Asynchronous events: dword 0 of the completion of an Asynchronous Event Request.

enum class AsyncEventType : std::uint8_t {
  error = 0,
  smart_health = 1,
  notice = 2,
  io_command_set = 6,
  vendor_specific = 7,
};

enum class AsyncErrorInfo : std::uint8_t {
  invalid_doorbell_register = 0,
  invalid_doorbell_value = 1,
  diagnostic_failure = 2,
  persistent_internal_error = 3,
  transient_internal_error = 4,
  firmware_image_load_error = 5,
};

enum class AsyncSmartInfo : std::uint8_t {
  subsystem_reliability = 0,
  temperature_threshold = 1,
  spare_below_threshold = 2
};

enum class AsyncNoticeInfo : std::uint8_t {
  namespace_attribute_changed = 0x00,
  firmware_activation_starting = 0x01,
  telemetry_log_changed = 0x02,
  ana_change = 0x03,
  discovery_log_changed = 0xF0,
};

struct AsyncEvent {
  AsyncEventType type = AsyncEventType::error;
  std::uint8_t info = 0;  // one of the enumerations above, by type
  LogId log{};            // reading it clears the event

  friend constexpr bool operator==(const AsyncEvent&, const AsyncEvent&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const AsyncEvent& event) {
  return static_cast<std::uint32_t>(event.type) | (std::uint32_t{event.info} << 8) |
         (static_cast<std::uint32_t>(event.log) << 16);
}

[[nodiscard]] constexpr AsyncEvent decode_async_event(std::uint32_t dw0) {
  return {.type = static_cast<AsyncEventType>(dw0 & 7u),
          .info = static_cast<std::uint8_t>((dw0 >> 8) & 0xFFu),
          .log = static_cast<LogId>((dw0 >> 16) & 0xFFu)};
}

[[nodiscard]] constexpr AsyncEvent notice(AsyncNoticeInfo info) {
  LogId log = LogId::changed_namespace_list;
  if (info == AsyncNoticeInfo::discovery_log_changed) {
    log = LogId::discovery;
  } else if (info == AsyncNoticeInfo::ana_change) {
    log = LogId::asymmetric_namespace_access;
  } else if (info == AsyncNoticeInfo::firmware_activation_starting) {
    log = LogId::firmware_slot;
  } else if (info == AsyncNoticeInfo::telemetry_log_changed) {
    log = LogId::telemetry_controller_initiated;
  }
  return {.type = AsyncEventType::notice, .info = static_cast<std::uint8_t>(info), .log = log};
}

}  // namespace netstor::nvme
