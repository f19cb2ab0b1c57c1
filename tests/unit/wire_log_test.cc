// SPDX-License-Identifier: Apache-2.0
//
// Log pages: each field's place from the widths of the fields before it, in the order of the figures of the
// NVMe Base Specification 2.0.

#include "lib/wire/nvme/log.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/wire_hex.h"

namespace netstor::nvme {
namespace {

using test::dump;
using test::encoded;
using test::expect_layout;
using test::hex;
using test::leading;
using test::Row;

TEST(ErrorLog, FieldsLieWhereTheSpecificationPutsThem) {
  using T = ErrorLogEntry;
#define F(field, width) NETSTOR_ROW(T, field, width)
  expect_layout<T, kErrorLogEntryBytes>({F(error_count, 8),
                                         F(sqid, 2),
                                         F(cid, 2),
                                         F(status_field, 2),
                                         F(parameter_error_location, 2),
                                         F(lba, 8),
                                         F(nsid, 4),
                                         F(vendor_log, 1),
                                         F(trtype, 1),
                                         {"reserved", 2, nullptr},
                                         F(command_specific, 8),
                                         F(trtype_specific, 2),
                                         {"reserved", 22, nullptr}},
                                        decode_error_log_entry);
#undef F
}

TEST(ErrorLog, StatusIsReadAboveThePhaseBit) {
  ErrorLogEntry entry;
  entry.status_field = 0x0005;
  EXPECT_TRUE(entry.status().is(GenericStatus::invalid_field));
}

TEST(SmartLog, FieldsLieWhereTheSpecificationPutsThem) {
  using T = SmartLog;
#define F(field, width) NETSTOR_ROW(T, field, width)
  expect_layout<T, kSmartLogBytes>({F(critical_warning, 1),
                                    F(composite_temperature, 2),
                                    F(available_spare, 1),
                                    F(available_spare_threshold, 1),
                                    F(percentage_used, 1),
                                    F(endurance_group_warning, 1),
                                    {"reserved", 25, nullptr},
                                    F(data_units_read, 16),
                                    F(data_units_written, 16),
                                    F(host_read_commands, 16),
                                    F(host_write_commands, 16),
                                    F(controller_busy_minutes, 16),
                                    F(power_cycles, 16),
                                    F(power_on_hours, 16),
                                    F(unsafe_shutdowns, 16),
                                    F(media_errors, 16),
                                    F(error_log_entries, 16),
                                    F(warning_temperature_minutes, 4),
                                    F(critical_temperature_minutes, 4),
                                    F(temperature_sensors, 16),
                                    {"thermal", 16, nullptr},
                                    {"reserved", 280, nullptr}},
                                   decode_smart_log);
#undef F
}

TEST(FirmwareSlotLog, RevisionsStartAtByteEight) {
  FirmwareSlotLog log;
  log.afi = 0x21;
  log.revisions[0] = SpacePadded<8>("1.0");
  log.revisions[6] = SpacePadded<8>("7.7.7");
  const auto bytes = encoded(log);
  EXPECT_EQ(dump(std::span(bytes).first(16)), dump(hex("21 ..7 31 2e 30 20 20 20 20 20")));
  EXPECT_EQ(dump(std::span(bytes).subspan(56, 8)), dump(hex("37 2e 37 2e 37 20 20 20")));
  EXPECT_EQ(decode_firmware_slot_log(bytes), log);
}

TEST(EffectsLog, AdminComesFirstAndIoFollowsAt1024) {
  EffectsLog log;
  log.admin[0x06] = effects::kSupported;
  log.io[0x01] = effects::kSupported | effects::kBlockContentChange;
  const auto bytes = encoded(log);
  EXPECT_EQ(bytes[0x06 * 4], std::byte{1});
  EXPECT_EQ(bytes[1024 + 4], std::byte{3});
  EXPECT_EQ(decode_effects_log(bytes), log);
}

TEST(ChangedNamespaces, AreAListOrTheWordTooMany) {
  std::array<std::byte, kIdentifyBytes> bytes{};
  encode_changed_namespaces(std::vector<std::uint32_t>{3, 5}, bytes);
  auto changed = decode_changed_namespaces(bytes);
  ASSERT_TRUE(changed);
  EXPECT_FALSE(changed->too_many);
  EXPECT_EQ(changed->list.count, 2u);

  encode_changed_namespaces(std::vector<std::uint32_t>(1025, 1), bytes);
  EXPECT_EQ(dump(std::span(bytes).first(8)), dump(hex("ff ff ff ff ..4")));
  changed = decode_changed_namespaces(bytes);
  ASSERT_TRUE(changed);
  EXPECT_TRUE(changed->too_many);
}

TEST(AnaLog, HeaderAndGroupMatchTheirDumps) {
  const AnaHeader header{.change_count = 0x0102030405060708u, .groups = 2};
  EXPECT_EQ(dump(encoded(header)), dump(hex("08 07 06 05 04 03 02 01 02 00 ..6")));
  EXPECT_EQ(decode_ana_header(encoded(header)), header);
  const AnaGroup group{.group = 1, .nsids = 3, .change_count = 9, .state = AnaState::inaccessible};
  EXPECT_EQ(dump(encoded(group)), dump(hex("01 00 00 00 03 00 00 00 09 ..7 03 ..15")));
  EXPECT_EQ(decode_ana_group(encoded(group)), group);
}

}  // namespace
}  // namespace netstor::nvme
