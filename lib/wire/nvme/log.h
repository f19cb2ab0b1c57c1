// SPDX-License-Identifier: Apache-2.0
//
// Log pages of NVMe Base 2.0 that netstor reads or serves: error information, SMART / health, firmware
// slots, commands supported and effects, changed namespaces, asymmetric namespace access. The discovery
// log is in lib/wire/fabrics/discovery.h. A page may be read in part: callers cut the encoded page.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/wire/nvme/fields.h"
#include "lib/wire/nvme/identify.h"
#include "lib/wire/nvme/status.h"

namespace netstor::nvme {

inline constexpr std::size_t kErrorLogEntryBytes = 64;

struct ErrorLogEntry {
  static constexpr std::size_t kWireBytes = kErrorLogEntryBytes;

  std::uint64_t error_count = 0;  // 0: the entry is empty
  std::uint16_t sqid = 0;
  std::uint16_t cid = 0;
  std::uint16_t status_field = 0;              // with the phase bit, as in a completion
  std::uint16_t parameter_error_location = 0;  // byte in bits 7:0, bit in 10:8
  std::uint64_t lba = 0;
  std::uint32_t nsid = 0;
  std::uint8_t vendor_log = 0;
  std::uint8_t trtype = 0;
  std::uint64_t command_specific = 0;
  std::uint16_t trtype_specific = 0;

  [[nodiscard]] constexpr Status status() const {
    return Status::from_raw(static_cast<std::uint16_t>(status_field >> 1));
  }

  friend constexpr bool operator==(const ErrorLogEntry&, const ErrorLogEntry&) = default;
};

void encode(const ErrorLogEntry& entry, std::span<std::byte, kErrorLogEntryBytes> out);
[[nodiscard]] ErrorLogEntry decode_error_log_entry(std::span<const std::byte, kErrorLogEntryBytes> in);

inline constexpr std::size_t kSmartLogBytes = 512;

// A 128-bit counter of the SMART log. Real ones fit the lower half; the upper is kept.
struct Counter128 {
  static constexpr std::size_t kWireBytes = 16;

  std::uint64_t low = 0;
  std::uint64_t high = 0;

  friend constexpr bool operator==(const Counter128&, const Counter128&) = default;
};

struct SmartLog {
  static constexpr std::size_t kWireBytes = kSmartLogBytes;

  std::uint8_t critical_warning = 0;
  std::uint16_t composite_temperature = 0;  // kelvins, at an odd offset
  std::uint8_t available_spare = 0;         // percent
  std::uint8_t available_spare_threshold = 0;
  std::uint8_t percentage_used = 0;
  std::uint8_t endurance_group_warning = 0;
  Counter128 data_units_read;  // thousands of 512 bytes
  Counter128 data_units_written;
  Counter128 host_read_commands;
  Counter128 host_write_commands;
  Counter128 controller_busy_minutes;
  Counter128 power_cycles;
  Counter128 power_on_hours;
  Counter128 unsafe_shutdowns;
  Counter128 media_errors;
  Counter128 error_log_entries;
  std::uint32_t warning_temperature_minutes = 0;
  std::uint32_t critical_temperature_minutes = 0;
  std::array<std::uint16_t, 8> temperature_sensors{};

  friend constexpr bool operator==(const SmartLog&, const SmartLog&) = default;
};

void encode(const SmartLog& log, std::span<std::byte, kSmartLogBytes> out);
[[nodiscard]] SmartLog decode_smart_log(std::span<const std::byte, kSmartLogBytes> in);

inline constexpr std::size_t kFirmwareSlotLogBytes = 512;

struct FirmwareSlotLog {
  static constexpr std::size_t kWireBytes = kFirmwareSlotLogBytes;

  std::uint8_t afi = 0;  // active slot in bits 2:0, next one in 6:4
  std::array<SpacePadded<8>, 7> revisions{};

  friend constexpr bool operator==(const FirmwareSlotLog&, const FirmwareSlotLog&) = default;
};

void encode(const FirmwareSlotLog& log, std::span<std::byte, kFirmwareSlotLogBytes> out);
[[nodiscard]] FirmwareSlotLog decode_firmware_slot_log(std::span<const std::byte, kFirmwareSlotLogBytes> in);

inline constexpr std::size_t kEffectsLogBytes = 4096;

namespace effects {
inline constexpr std::uint32_t kSupported = 1u << 0;                   // CSUPP
inline constexpr std::uint32_t kBlockContentChange = 1u << 1;          // LBCC
inline constexpr std::uint32_t kNamespaceCapabilityChange = 1u << 2;   // NCC
inline constexpr std::uint32_t kNamespaceInventoryChange = 1u << 3;    // NIC
inline constexpr std::uint32_t kControllerCapabilityChange = 1u << 4;  // CCC
}  // namespace effects

struct EffectsLog {
  static constexpr std::size_t kWireBytes = kEffectsLogBytes;

  std::array<std::uint32_t, 256> admin{};  // by opcode
  std::array<std::uint32_t, 256> io{};

  friend constexpr bool operator==(const EffectsLog&, const EffectsLog&) = default;
};

void encode(const EffectsLog& log, std::span<std::byte, kEffectsLogBytes> out);
[[nodiscard]] EffectsLog decode_effects_log(std::span<const std::byte, kEffectsLogBytes> in);

// Changed Namespace List: ascending identifiers, zero at the end; or kNsidAll alone when there are too
// many to name.
struct ChangedNamespaces {
  bool too_many = false;
  NamespaceList list;
};

// More than kNamespaceListMax identifiers are written as "too many".
void encode_changed_namespaces(std::span<const std::uint32_t> nsids, IdentifyData out);
[[nodiscard]] std::optional<ChangedNamespaces> decode_changed_namespaces(ConstIdentifyData in);

// Asymmetric Namespace Access: a header, then groups of a descriptor and its namespaces each.
inline constexpr std::size_t kAnaHeaderBytes = 16;
inline constexpr std::size_t kAnaGroupBytes = 32;

enum class AnaState : std::uint8_t {
  optimized = 0x1,
  non_optimized = 0x2,
  inaccessible = 0x3,
  persistent_loss = 0x4,
  change = 0xF,
};

struct AnaHeader {
  static constexpr std::size_t kWireBytes = kAnaHeaderBytes;

  std::uint64_t change_count = 0;
  std::uint16_t groups = 0;

  friend constexpr bool operator==(const AnaHeader&, const AnaHeader&) = default;
};

struct AnaGroup {
  static constexpr std::size_t kWireBytes = kAnaGroupBytes;

  std::uint32_t group = 0;
  std::uint32_t nsids = 0;  // how many follow, 4 bytes each
  std::uint64_t change_count = 0;
  AnaState state = AnaState::optimized;

  friend constexpr bool operator==(const AnaGroup&, const AnaGroup&) = default;
};

void encode(const AnaHeader& header, std::span<std::byte, kAnaHeaderBytes> out);
[[nodiscard]] AnaHeader decode_ana_header(std::span<const std::byte, kAnaHeaderBytes> in);
void encode(const AnaGroup& group, std::span<std::byte, kAnaGroupBytes> out);
[[nodiscard]] AnaGroup decode_ana_group(std::span<const std::byte, kAnaGroupBytes> in);

}  // namespace netstor::nvme
