// SPDX-License-Identifier: Apache-2.0
//
// Properties, feature values and asynchronous events: bit positions as numbers, then round trips.

#include "lib/wire/nvme/property.h"

#include <gtest/gtest.h>

#include "lib/wire/nvme/features.h"

namespace netstor::nvme {
namespace {

TEST(Property, CapabilitiesHaveTheirBits) {
  EXPECT_EQ(encode(Capabilities{.mqes = 0xFFFF}), 0x000000000000FFFFu);
  EXPECT_EQ(encode(Capabilities{.cqr = true}), 1ull << 16);
  EXPECT_EQ(encode(Capabilities{.ams = 3}), 3ull << 17);
  EXPECT_EQ(encode(Capabilities{.to = 0xFF}), 0xFFull << 24);
  EXPECT_EQ(encode(Capabilities{.dstrd = 0xF}), 0xFull << 32);
  EXPECT_EQ(encode(Capabilities{.nssrs = true}), 1ull << 36);
  EXPECT_EQ(encode(Capabilities{.css = 0xFF}), 0xFFull << 37);
  EXPECT_EQ(encode(Capabilities{.mpsmin = 0xF}), 0xFull << 48);
  EXPECT_EQ(encode(Capabilities{.mpsmax = 0xF}), 0xFull << 52);
  EXPECT_EQ(encode(Capabilities{.cmbs = true}), 1ull << 57);
  EXPECT_EQ(encode(Capabilities{.crms = 3}), 3ull << 59);
}

TEST(Property, CapabilitiesOfAFabricsControllerReadBack) {
  const Capabilities cap{.mqes = 127, .cqr = true, .to = 30, .css = 0x41, .mpsmax = 4};
  EXPECT_EQ(encode(cap), 0x004008201E01007Full);
  EXPECT_EQ(decode_capabilities(encode(cap)), cap);
  EXPECT_EQ(encode(decode_capabilities(0x1FFFFFF1FF07FFFFull)), 0x1FFFFFF1FF07FFFFull)
      << "every defined bit but DSTRD";
}

TEST(Property, VersionIsMajorMinorTertiary) {
  EXPECT_EQ(encode(Version{.major = 2, .minor = 0, .tertiary = 1}), 0x00020001u);
  EXPECT_EQ(decode_version(0x00010400), (Version{.major = 1, .minor = 4, .tertiary = 0}));
}

TEST(Property, ConfigurationOfALinuxHostReadsBack) {
  const ControllerConfiguration cc{.en = true, .iosqes = 6, .iocqes = 4};
  EXPECT_EQ(encode(cc), 0x00460001u);
  EXPECT_EQ(decode_configuration(0x00460001), cc);
  EXPECT_EQ(encode(ControllerConfiguration{.css = 6}), 0x60u);
  EXPECT_EQ(encode(ControllerConfiguration{.mps = 0xF}), 0x780u);
  EXPECT_EQ(encode(ControllerConfiguration{.ams = 7}), 0x3800u);
  EXPECT_EQ(encode(ControllerConfiguration{.shn = ShutdownNotification::normal}), 0x4000u);
  EXPECT_EQ(encode(ControllerConfiguration{.shn = ShutdownNotification::abrupt}), 0x8000u);
}

TEST(Property, StatusHasItsBits) {
  EXPECT_EQ(encode(ControllerStatus{.rdy = true}), 0x01u);
  EXPECT_EQ(encode(ControllerStatus{.cfs = true}), 0x02u);
  EXPECT_EQ(encode(ControllerStatus{.shst = ShutdownStatus::complete}), 0x08u);
  EXPECT_EQ(encode(ControllerStatus{.nssro = true}), 0x10u);
  EXPECT_EQ(decode_controller_status(0x09),
            (ControllerStatus{.rdy = true, .shst = ShutdownStatus::complete}));
}

TEST(Property, OnlyCapabilitiesAreWide) {
  EXPECT_TRUE(is_wide(Property::cap));
  EXPECT_FALSE(is_wide(Property::vs));
  EXPECT_FALSE(is_wide(Property::cc));
  EXPECT_FALSE(is_wide(Property::csts));
}

TEST(Feature, NumberOfQueuesIsZerosBased) {
  EXPECT_EQ(encode(NumberOfQueues{.submission = 4, .completion = 8}), 0x00070003u);
  EXPECT_EQ(decode_number_of_queues(0x00070003), (NumberOfQueues{.submission = 4, .completion = 8}));
}

TEST(Feature, NumberOfQueuesRefusesFfff) {
  EXPECT_EQ(decode_number_of_queues(0x0000FFFF), std::nullopt);
  EXPECT_EQ(decode_number_of_queues(0xFFFF0000), std::nullopt);
}

TEST(Feature, ValuesHaveTheirBitsAndReadBack) {
  const Arbitration arbitration{.burst = 5, .low_weight = 1, .medium_weight = 2, .high_weight = 3};
  EXPECT_EQ(encode(arbitration), 0x03020105u);
  EXPECT_EQ(decode_arbitration(encode(arbitration)), arbitration);
  const PowerManagement power{.power_state = 31, .workload_hint = 1};
  EXPECT_EQ(encode(power), 0x3Fu);
  EXPECT_EQ(decode_power_management(encode(power)), power);
  const TemperatureThreshold threshold{.kelvins = 350, .sensor = 2, .under = true};
  EXPECT_EQ(encode(threshold), 0x0012015Eu);
  EXPECT_EQ(decode_temperature_threshold(encode(threshold)), threshold);
  const ErrorRecovery recovery{.tler_100ms = 0x1234, .dulbe = true};
  EXPECT_EQ(encode(recovery), 0x00011234u);
  EXPECT_EQ(decode_error_recovery(encode(recovery)), recovery);
  EXPECT_EQ(encode_volatile_write_cache(true), 1u);
  EXPECT_TRUE(decode_volatile_write_cache(3));
  EXPECT_EQ(encode_keep_alive_timer(15000), 15000u);
}

TEST(Feature, AsyncEventConfigurationHasItsBits) {
  EXPECT_EQ(encode(AsyncEventConfiguration{.smart_warnings = 0x1F}), 0x1Fu);
  EXPECT_EQ(encode(AsyncEventConfiguration{.namespace_attribute = true}), 0x100u);
  EXPECT_EQ(encode(AsyncEventConfiguration{.firmware_activation = true}), 0x200u);
  EXPECT_EQ(encode(AsyncEventConfiguration{.ana_change = true}), 0x800u);
  EXPECT_EQ(encode(AsyncEventConfiguration{.discovery_change = true}), 0x80000000u);
  const auto config = decode_async_event_configuration(0x80000F1F);
  EXPECT_EQ(encode(config), 0x80000F1Fu);
}

TEST(AsyncEvent, NoticesNameTheLogThatClearsThem) {
  EXPECT_EQ(encode(notice(AsyncNoticeInfo::namespace_attribute_changed)), 0x00040002u);
  EXPECT_EQ(encode(notice(AsyncNoticeInfo::discovery_log_changed)), 0x0070F002u);
  EXPECT_EQ(encode(notice(AsyncNoticeInfo::ana_change)), 0x000C0302u);
  EXPECT_EQ(decode_async_event(0x0070F002), notice(AsyncNoticeInfo::discovery_log_changed));
}

}  // namespace
}  // namespace netstor::nvme
