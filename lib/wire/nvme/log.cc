// SPDX-License-Identifier: Apache-2.0
//
// The byte offsets of the log pages in log.h, each written once and used both ways.

#include "lib/wire/nvme/log.h"

#include <concepts>

namespace netstor::nvme {

namespace {

template <typename Self, typename T>
concept Is = std::same_as<std::remove_const_t<Self>, T>;

}  // namespace

template <Is<ErrorLogEntry> Self, typename Visit>
void fields(Self& e, const Visit& visit) {
  visit(0, e.error_count);
  visit(8, e.sqid);
  visit(10, e.cid);
  visit(12, e.status_field);
  visit(14, e.parameter_error_location);
  visit(16, e.lba);
  visit(24, e.nsid);
  visit(28, e.vendor_log);
  visit(29, e.trtype);
  visit(32, e.command_specific);
  visit(40, e.trtype_specific);
}

template <Is<Counter128> Self, typename Visit>
void fields(Self& counter, const Visit& visit) {
  visit(0, counter.low);
  visit(8, counter.high);
}

template <Is<SmartLog> Self, typename Visit>
void fields(Self& s, const Visit& visit) {
  visit(0, s.critical_warning);
  visit(1, s.composite_temperature);
  visit(3, s.available_spare);
  visit(4, s.available_spare_threshold);
  visit(5, s.percentage_used);
  visit(6, s.endurance_group_warning);
  visit(32, s.data_units_read);
  visit(48, s.data_units_written);
  visit(64, s.host_read_commands);
  visit(80, s.host_write_commands);
  visit(96, s.controller_busy_minutes);
  visit(112, s.power_cycles);
  visit(128, s.power_on_hours);
  visit(144, s.unsafe_shutdowns);
  visit(160, s.media_errors);
  visit(176, s.error_log_entries);
  visit(192, s.warning_temperature_minutes);
  visit(196, s.critical_temperature_minutes);
  visit(200, s.temperature_sensors);
}

template <Is<FirmwareSlotLog> Self, typename Visit>
void fields(Self& log, const Visit& visit) {
  visit(0, log.afi);
  visit(8, log.revisions);
}

template <Is<EffectsLog> Self, typename Visit>
void fields(Self& log, const Visit& visit) {
  visit(0, log.admin);
  visit(1024, log.io);
}

template <Is<AnaHeader> Self, typename Visit>
void fields(Self& header, const Visit& visit) {
  visit(0, header.change_count);
  visit(8, header.groups);
}

template <Is<AnaGroup> Self, typename Visit>
void fields(Self& group, const Visit& visit) {
  visit(0, group.group);
  visit(4, group.nsids);
  visit(8, group.change_count);
  visit(16, group.state);
}

void encode(const ErrorLogEntry& entry, std::span<std::byte, kErrorLogEntryBytes> out) {
  detail::encode_fields(entry, out);
}
ErrorLogEntry decode_error_log_entry(std::span<const std::byte, kErrorLogEntryBytes> in) {
  return detail::decode_fields<ErrorLogEntry>(in);
}

void encode(const SmartLog& log, std::span<std::byte, kSmartLogBytes> out) {
  detail::encode_fields(log, out);
}
SmartLog decode_smart_log(std::span<const std::byte, kSmartLogBytes> in) {
  return detail::decode_fields<SmartLog>(in);
}

void encode(const FirmwareSlotLog& log, std::span<std::byte, kFirmwareSlotLogBytes> out) {
  detail::encode_fields(log, out);
}
FirmwareSlotLog decode_firmware_slot_log(std::span<const std::byte, kFirmwareSlotLogBytes> in) {
  return detail::decode_fields<FirmwareSlotLog>(in);
}

void encode(const EffectsLog& log, std::span<std::byte, kEffectsLogBytes> out) {
  detail::encode_fields(log, out);
}
EffectsLog decode_effects_log(std::span<const std::byte, kEffectsLogBytes> in) {
  return detail::decode_fields<EffectsLog>(in);
}

void encode(const AnaHeader& header, std::span<std::byte, kAnaHeaderBytes> out) {
  detail::encode_fields(header, out);
}
AnaHeader decode_ana_header(std::span<const std::byte, kAnaHeaderBytes> in) {
  return detail::decode_fields<AnaHeader>(in);
}
void encode(const AnaGroup& group, std::span<std::byte, kAnaGroupBytes> out) {
  detail::encode_fields(group, out);
}
AnaGroup decode_ana_group(std::span<const std::byte, kAnaGroupBytes> in) {
  return detail::decode_fields<AnaGroup>(in);
}

void encode_changed_namespaces(std::span<const std::uint32_t> nsids, IdentifyData out) {
  static constexpr std::uint32_t kTooMany[] = {kNsidAll};
  encode_namespace_list(nsids.size() > kNamespaceListMax ? std::span<const std::uint32_t>(kTooMany) : nsids,
                        out);
}

std::optional<ChangedNamespaces> decode_changed_namespaces(ConstIdentifyData in) {
  ChangedNamespaces changed;
  if (load_le<std::uint32_t>(in.data()) == kNsidAll) {
    changed.too_many = true;
    return changed;
  }
  const std::optional<NamespaceList> list = decode_namespace_list(in);
  if (!list) {
    return std::nullopt;
  }
  changed.list = *list;
  return changed;
}

}  // namespace netstor::nvme
