// SPDX-License-Identifier: Apache-2.0
//
// Set Features and Get Features (NVMe Base 2.0, "Feature Specific Information"). A feature that has no
// meaning over a network (interrupts, power) keeps its value for the host and does nothing.

#include "lib/wire/nvme/features.h"

#include <algorithm>

#include "lib/proto/nvme/controller.h"

namespace netstor::nvme {

namespace {

constexpr std::uint32_t kChangeable = 4;  // bit 2 of the supported capabilities
constexpr std::uint32_t kKeepAliveMaxMs = 24u * 3600 * 1000;

AdminAnswer failed(Status status) { return {.status = refused(status)}; }

bool fixed(FeatureId id) { return id == FeatureId::host_identifier || id == FeatureId::number_of_queues; }

// What discovery controllers have (NVMe Base 2.0, "Discovery Controller feature support").
bool for_discovery(FeatureId id) {
  return id == FeatureId::async_event_configuration || id == FeatureId::keep_alive_timer;
}

}  // namespace

AdminAnswer Controller::set_features(const Command& command, Time now) {
  const SetFeatures asked = decode_set_features(command);
  if (asked.save) return failed(CommandStatus::feature_not_saveable);
  if (subsystem_.discovery() && !for_discovery(asked.id)) return failed(GenericStatus::invalid_field);
  switch (asked.id) {
    case FeatureId::arbitration:
      arbitration_ = asked.value;
      return {};
    case FeatureId::power_management:
      return decode_power_management(asked.value).power_state == 0 ? AdminAnswer{}
                                                                   : failed(GenericStatus::invalid_field);
    case FeatureId::temperature_threshold: {
      const TemperatureThreshold threshold = decode_temperature_threshold(asked.value);
      if (threshold.sensor != 0 && threshold.sensor != 0xF) return failed(GenericStatus::invalid_field);
      temperature_[threshold.under ? 1 : 0] = threshold.kelvins;
      return {};
    }
    case FeatureId::error_recovery:
      if (decode_error_recovery(asked.value).dulbe) return failed(GenericStatus::invalid_field);
      error_recovery_ = asked.value;
      return {};
    case FeatureId::volatile_write_cache:
      if (!write_cache()) return failed(GenericStatus::invalid_field);
      // The cache is the store's: it cannot be switched off from here.
      return decode_volatile_write_cache(asked.value) ? AdminAnswer{}
                                                      : failed(CommandStatus::feature_not_changeable);
    case FeatureId::number_of_queues: {
      const auto wanted = decode_number_of_queues(asked.value);
      if (!wanted) return failed(GenericStatus::invalid_field);
      const std::uint32_t pairs = std::min(wanted->submission, wanted->completion);
      io_queues_ =
          static_cast<std::uint16_t>(std::min<std::uint32_t>(pairs, subsystem_.limits().io_queues_max));
      return {.result = encode(NumberOfQueues{.submission = io_queues_, .completion = io_queues_})};
    }
    case FeatureId::interrupt_coalescing:
      interrupt_coalescing_ = asked.value;
      return {};
    case FeatureId::write_atomicity_normal:
      write_atomicity_ = asked.value & 1u;
      return {};
    case FeatureId::async_event_configuration: {
      const std::uint32_t known =
          encode(AsyncEventConfiguration{.smart_warnings = 0xFF,
                                         .namespace_attribute = !subsystem_.discovery(),
                                         .discovery_change = subsystem_.discovery()});
      if ((asked.value & ~known) != 0) return failed(GenericStatus::invalid_field);
      event_configuration_ = asked.value;
      return {};
    }
    case FeatureId::keep_alive_timer: {
      const std::uint32_t kato = decode_keep_alive_timer(asked.value);
      if (kato > kKeepAliveMaxMs) return failed(GenericStatus::keep_alive_timeout_invalid);
      identity_.keep_alive_ms = (kato + kKeepAliveUnitMs - 1) / kKeepAliveUnitMs * kKeepAliveUnitMs;
      keep_alive_ = std::chrono::milliseconds(identity_.keep_alive_ms);
      touch(now);
      return {};
    }
    // The Connect command has said who the host is.
    case FeatureId::host_identifier:
      return failed(GenericStatus::command_sequence_error);
    default:
      break;
  }
  return failed(GenericStatus::invalid_field);
}

AdminAnswer Controller::get_features(const Command& command, std::span<std::byte> out) const {
  const GetFeatures asked = decode_get_features(command);
  if (subsystem_.discovery() && !for_discovery(asked.id)) return failed(GenericStatus::invalid_field);
  if (asked.id == FeatureId::host_identifier) {
    if ((asked.value & kHostIdentifierExtended) == 0) return failed(GenericStatus::invalid_field);
    if (asked.select == FeatureSelect::supported_capabilities) return {};
    std::copy(identity_.host_id.begin(), identity_.host_id.end(), out.begin());
    return {.bytes = kHostIdentifierBytes};
  }
  const std::optional<std::uint32_t> value = feature(asked.id, asked.value);
  if (!value) return failed(GenericStatus::invalid_field);
  // Without saved values, "saved" answers the default (ONCS.SaveSelect is clear: most hosts never ask).
  if (asked.select == FeatureSelect::supported_capabilities) {
    const bool may_change = !fixed(asked.id) && asked.id != FeatureId::volatile_write_cache;
    return {.result = may_change ? kChangeable : 0u};
  }
  return {.result = *value};
}

std::optional<std::uint32_t> Controller::feature(FeatureId id, std::uint32_t dw11) const {
  switch (id) {
    case FeatureId::arbitration:
      return arbitration_;
    case FeatureId::power_management:
      return 0;
    case FeatureId::temperature_threshold: {
      const TemperatureThreshold asked = decode_temperature_threshold(dw11);
      if (asked.sensor != 0) return std::nullopt;
      return temperature_[asked.under ? 1 : 0];
    }
    case FeatureId::error_recovery:
      return error_recovery_;
    case FeatureId::volatile_write_cache:
      if (!write_cache()) return std::nullopt;
      return encode_volatile_write_cache(true);
    case FeatureId::number_of_queues:
      return encode(NumberOfQueues{.submission = io_queues_, .completion = io_queues_});
    case FeatureId::interrupt_coalescing:
      return interrupt_coalescing_;
    case FeatureId::interrupt_vector_configuration:
      return dw11 & 0xFFFFu;
    case FeatureId::write_atomicity_normal:
      return write_atomicity_;
    case FeatureId::async_event_configuration:
      return event_configuration_;
    case FeatureId::keep_alive_timer:
      return encode_keep_alive_timer(identity_.keep_alive_ms);
    default:
      break;
  }
  return std::nullopt;
}

}  // namespace netstor::nvme
