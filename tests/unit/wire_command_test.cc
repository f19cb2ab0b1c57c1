// SPDX-License-Identifier: Apache-2.0
//
// Commands, completions, SGL descriptors and status values against dumps built by hand from the figures of
// the NVMe Base Specification 2.0 and the NVM Command Set Specification 1.0.

#include "lib/wire/nvme/command.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "lib/wire/fabrics/fabrics_command.h"
#include "lib/wire/nvme/completion.h"
#include "lib/wire/nvme/dsm.h"
#include "lib/wire/nvme/status.h"
#include "tests/unit/wire_hex.h"

namespace netstor::nvme {
namespace {

using test::block;
using test::dump;
using test::hex;
using test::view;

void expect_command(const Command& command, std::string_view expected) {
  EXPECT_EQ(dump(command.bytes), dump(hex(expected)));
}

TEST(Command, ReadMatchesItsDump) {
  const Command command = make_read(0x1234, 7, {.slba = 0x0102030405060708u, .blocks = 16, .fua = true},
                                    transport_data_block(8192));
  expect_command(command,
                 "02 40 34 12  07 00 00 00  ..16 "                           // opcode, PSDT, CID, NSID
                 "00 00 00 00 00 00 00 00  00 20 00 00  00 00 00 5a "        // SGL1
                 "08 07 06 05 04 03 02 01  0f 00 00 40  00 00 00 00  ..8");  // SLBA, NLB-1 and FUA
}

TEST(Command, WriteWithDataInTheCapsuleMatchesItsDump) {
  BlockIo io{.slba = 256, .blocks = 8, .limited_retry = true, .prinfo = 0xA, .dataset = 0x43};
  io.reference_tag = 0xA1A2A3A4u;
  io.application_tag = 0xB1B2;
  io.application_tag_mask = 0xC1C2;
  expect_command(make_write(1, 1, io, in_capsule_data(0, 4096)),
                 "01 40 01 00  01 00 00 00  ..16 "
                 "00 00 00 00 00 00 00 00  00 10 00 00  00 00 00 01 "
                 "00 01 00 00 00 00 00 00  07 00 00 a8  43 00 00 00  a4 a3 a2 a1  b2 b1 c2 c1");
}

TEST(Command, KeyedReadMatchesItsDump) {
  expect_command(make_read(2, 3, {}, keyed_data_block(0x1122334455667788u, 0xABCDEF, 0xDEADBEEFu)),
                 "02 40 02 00  03 00 00 00  ..16 "
                 "88 77 66 55 44 33 22 11  ef cd ab ef be ad de 40 ..24");
}

TEST(Command, WholeRangeOf65536BlocksIsSentAsFfff) {
  const Command command = make_write_zeroes(9, 1, {.slba = 1, .blocks = kBlocksMax, .deallocate = true});
  EXPECT_EQ(command.opcode(), 0x08u);
  EXPECT_EQ(command.cdw(12), 0x0200FFFFu);
  EXPECT_EQ(decode_block_io(command).blocks, kBlocksMax);
}

TEST(CommandDeathTest, NoBlocksAreNotSentAs65536) { EXPECT_DEATH((void)make_write(1, 1, {.blocks = 0}), ""); }

TEST(Command, BlockIoSurvivesARoundTrip) {
  BlockIo io{
      .slba = 0xFFFFFFFFFFFFFFF0u, .blocks = 77, .fua = true, .limited_retry = true, .deallocate = true};
  io.prinfo = 0xF;
  io.dataset = 0xFF;
  io.reference_tag = 1;
  io.application_tag = 2;
  io.application_tag_mask = 3;
  for (const IoOpcode opcode : {IoOpcode::read, IoOpcode::write, IoOpcode::compare, IoOpcode::verify}) {
    const Command command = make_block_io(opcode, 5, 6, io);
    EXPECT_EQ(decode_block_io(command), io);
    EXPECT_EQ(command.io_opcode(), opcode);
    EXPECT_EQ(command.cid(), 5u);
    EXPECT_EQ(command.nsid(), 6u);
    EXPECT_EQ(command.psdt(), Psdt::sgl);
  }
}

TEST(Command, FusedCompareAndWriteAreMarkedFirstAndSecond) {
  Command compare = make_compare(1, 1, {});
  compare.set_fuse(Fuse::first);
  Command write = make_write(2, 1, {});
  write.set_fuse(Fuse::second);
  EXPECT_EQ(compare.bytes[1], std::byte{0x41});
  EXPECT_EQ(write.bytes[1], std::byte{0x42});
  EXPECT_EQ(write.fuse(), Fuse::second);
  write.set_fuse(Fuse::none);
  EXPECT_EQ(write.bytes[1], std::byte{0x40});
}

TEST(Command, FlushCarriesNothingButItsNamespace) {
  expect_command(make_flush(3, kNsidAll), "00 40 03 00 ff ff ff ff ..56");
}

TEST(Command, DeallocateMatchesItsDump) {
  const DatasetManagement dsm{.ranges = 256, .deallocate = true};
  const Command command = make_dataset_management(4, 1, dsm, transport_data_block(4096));
  expect_command(
      command, "09 40 04 00  01 00 00 00  ..16  ..8 00 10 00 00 00 00 00 5a  ff 00 00 00  04 00 00 00 ..16");
  EXPECT_EQ(decode_dataset_management(command), dsm);
}

TEST(Command, AbortNamesQueueAndCommand) {
  const Command command = make_abort(5, {.sqid = 2, .cid = 0x1234});
  expect_command(command, "08 40 05 00 ..36  02 00 34 12 ..20");
  EXPECT_EQ(decode_abort(command), (Abort{.sqid = 2, .cid = 0x1234}));
  EXPECT_TRUE(was_aborted(0));
  EXPECT_FALSE(was_aborted(1));
}

TEST(Command, IdentifyMatchesItsDump) {
  const Identify identify{.cns = Cns::csi_namespace,
                          .cntid = 0x2211,
                          .cns_specific = 0x4433,
                          .csi = Csi::zoned_namespace,
                          .uuid_index = 5};
  const Command command = make_identify(6, 9, identify, transport_data_block(4096));
  expect_command(command,
                 "06 40 06 00  09 00 00 00  ..16  ..8 00 10 00 00 00 00 00 5a "
                 "05 00 11 22  33 44 00 02  ..8  05 00 00 00  ..4");
  EXPECT_EQ(decode_identify(command), identify);
}

TEST(Command, FeaturesMatchTheirDumps) {
  const SetFeatures set{.id = FeatureId::number_of_queues, .value = 0x00070003, .save = true};
  expect_command(make_set_features(7, 0, set), "09 40 07 00 ..36  07 00 00 80  03 00 07 00 ..16");
  EXPECT_EQ(decode_set_features(make_set_features(7, 0, set)), set);
  const GetFeatures get{.id = FeatureId::keep_alive_timer, .select = FeatureSelect::saved, .value = 1};
  expect_command(make_get_features(8, 0, get), "0a 40 08 00 ..36  0f 02 00 00  01 00 00 00 ..16");
  EXPECT_EQ(decode_get_features(make_get_features(8, 0, get)), get);
}

TEST(Command, GetLogPageSplitsItsLengthOverTwoDwords) {
  GetLogPage log{.id = LogId::discovery, .bytes = (0x12345678u + 1ull) * 4, .offset = 0x1122334455667788u};
  log.specific = 0x5;
  log.retain_async_event = true;
  log.specific_identifier = 0xBBAA;
  log.offset_is_index = true;
  log.uuid_index = 0x7F;
  log.csi = Csi::zoned_namespace;
  const Command command = make_get_log_page(9, 0, log);
  expect_command(command,
                 "02 40 09 00 ..36  70 85 78 56  34 12 aa bb  88 77 66 55 44 33 22 11  7f 00 80 02  ..4");
  EXPECT_EQ(decode_get_log_page(command), log);
}

TEST(Command, KeepAliveAndAsyncEventRequestAreBare) {
  expect_command(make_keep_alive(1), "18 40 01 00 ..60");
  expect_command(make_async_event_request(2), "0c 40 02 00 ..60");
}

TEST(FabricsCommand, ConnectMatchesItsDump) {
  const Connect connect{
      .recfmt = 0, .qid = 3, .sqsize = 127, .cattr = kConnectDisableSqFlowControl, .kato_ms = 120000};
  const Command command = make_connect(0xABCD, connect, in_capsule_data(0, 1024));
  expect_command(command,
                 "7f 40 cd ab  01 ..19  ..8 00 04 00 00 00 00 00 01 "
                 "00 00 03 00  7f 00 04 00  c0 d4 01 00  ..12");
  EXPECT_TRUE(command.is_fabrics());
  EXPECT_EQ(command.fabrics_type(), FabricsType::connect);
  EXPECT_EQ(decode_connect(command), connect);
}

TEST(FabricsCommand, PropertyAccessMatchesItsDumps) {
  expect_command(make_property_get(1, Property::cap), "7f 40 01 00 04 ..35  01 00 00 00  00 00 00 00 ..16");
  const Command set = make_property_set(2, Property::cc, 0x00460001);
  expect_command(set, "7f 40 02 00 ..36  00 00 00 00  14 00 00 00  01 00 46 00 00 00 00 00 ..8");
  PropertyAccess access;
  ASSERT_TRUE(decode_property_access(set, access));
  EXPECT_EQ(access, (PropertyAccess{.property = Property::cc, .wide = false, .value = 0x00460001}));
}

TEST(FabricsCommand, PropertySizeBeyondEightBytesIsRefused) {
  Command get = make_property_get(1, Property::cap);
  get.set<std::uint8_t>(40, 2);
  PropertyAccess access;
  EXPECT_FALSE(decode_property_access(get, access));
}

TEST(FabricsCommand, DisconnectIsTypeEight) { expect_command(make_disconnect(3), "7f 40 03 00 08 ..59"); }

TEST(FabricsCommand, ConnectAnswersCarryTheirDword) {
  const Completion yes = connect_accepted(5, {.cntlid = 0x0102, .authentication_transaction_required = true});
  EXPECT_TRUE(yes.status.ok());
  EXPECT_EQ(yes.dw0(), 0x00020102u);
  EXPECT_EQ(decode_connect_accepted(yes.dw0()).cntlid, 0x0102u);
  const Completion no = connect_refused(5, kRefusedSubnqn);
  EXPECT_TRUE(no.status.is(FabricsStatus::connect_invalid_parameters));
  EXPECT_TRUE(no.status.dnr());
  EXPECT_EQ(no.dw0(), 0x00010100u) << "IPO 256, IATTR 1";
  EXPECT_EQ(decode_connect_refused(no.dw0()), kRefusedSubnqn);
}

TEST(Sgl, EveryKindSurvivesARoundTrip) {
  const SglDescriptor kinds[] = {data_block(1, 2), in_capsule_data(3, 4), transport_data_block(0xFFFFFFFFu),
                                 keyed_data_block(5, kKeyedLengthMax, 0xFFFFFFFFu, true)};
  for (const SglDescriptor& kind : kinds) {
    std::array<std::byte, kSglBytes> bytes{};
    encode(kind, bytes);
    EXPECT_EQ(decode_sgl(bytes), kind);
  }
}

TEST(Sgl, IdentifierByteIsTypeAboveSubType) {
  std::array<std::byte, kSglBytes> bytes{};
  encode(keyed_data_block(0, 0, 0, true), bytes);
  EXPECT_EQ(bytes[15], std::byte{0x4F});
  encode(transport_data_block(0), bytes);
  EXPECT_EQ(bytes[15], std::byte{0x5A});
}

TEST(Completion, MatchesItsDump) {
  const Completion completion{.result = 0x1112131415161718u,
                              .sqhd = 0x2122,
                              .sqid = 0x3132,
                              .cid = 0x4142,
                              .status = Status(GenericStatus::invalid_field).with_dnr(),
                              .phase = true};
  std::array<std::byte, kCompletionBytes> bytes{};
  encode(completion, bytes);
  EXPECT_EQ(dump(bytes), dump(hex("18 17 16 15 14 13 12 11  22 21 32 31  42 41 05 80")));
  EXPECT_EQ(decode_completion(bytes), completion);
  EXPECT_EQ(completion.dw0(), 0x15161718u);
  EXPECT_EQ(completion.dw1(), 0x11121314u);
}

TEST(Status, TakesItsFieldsApart) {
  const Status status = Status::from_raw(0x7FFF & ((1u << 14) | (1u << 13) | (2u << 11) | (2u << 8) | 0x81u));
  EXPECT_EQ(status.sct(), StatusType::media_and_data_integrity);
  EXPECT_EQ(status.sc(), 0x81u);
  EXPECT_EQ(status.crd(), 2u);
  EXPECT_TRUE(status.more());
  EXPECT_TRUE(status.dnr());
  EXPECT_TRUE(status.is(MediaStatus::unrecovered_read_error));
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(Status(MediaStatus::unrecovered_read_error).with_crd(2).with_more().with_dnr(), status);
  EXPECT_EQ(status.with_dnr(false).with_more(false).with_crd(0), Status(MediaStatus::unrecovered_read_error));
}

TEST(Status, RetryBitsDoNotMakeASuccessAFailure) {
  EXPECT_TRUE(Status().ok());
  EXPECT_TRUE(Status().with_more().ok());
}

TEST(Status, OverlappingCodesAreNamedByTheirDialect) {
  const Status status(StatusType::command_specific, 0x82);
  EXPECT_EQ(to_string(status, StatusDialect::nvm), "attempted write to read only range");
  EXPECT_EQ(to_string(status, StatusDialect::fabrics), "connect invalid parameters");
}

TEST(Status, NamesAreThereForEveryTypeAndForNone) {
  EXPECT_EQ(to_string(Status()), "success");
  EXPECT_EQ(to_string(Status(CommandStatus::invalid_log_page)), "invalid log page");
  EXPECT_EQ(to_string(Status(MediaStatus::compare_failure)), "compare failure");
  EXPECT_EQ(to_string(Status(PathStatus::ana_inaccessible)), "asymmetric access inaccessible");
  EXPECT_EQ(to_string(Status(StatusType::generic, 0xC0)), "vendor specific status");
  EXPECT_EQ(to_string(Status(StatusType::generic, 0x7F)), "unknown status");
  EXPECT_EQ(to_string(Status(static_cast<StatusType>(5), 0x00)), "unknown status");
}

TEST(Opcode, LowBitsSayWhereTheDataGoes) {
  EXPECT_EQ(data_direction(static_cast<std::uint8_t>(IoOpcode::read)), DataDirection::controller_to_host);
  EXPECT_EQ(data_direction(static_cast<std::uint8_t>(IoOpcode::write)), DataDirection::host_to_controller);
  EXPECT_EQ(data_direction(static_cast<std::uint8_t>(AdminOpcode::keep_alive)), DataDirection::none);
  EXPECT_EQ(data_direction(static_cast<std::uint8_t>(FabricsType::connect)),
            DataDirection::host_to_controller);
}

TEST(Dsm, RangeMatchesItsDump) {
  const DsmRange range{.context_attributes = 0x01020304, .blocks = 0x11121314, .slba = 0x2122232425262728u};
  std::array<std::byte, kDsmRangeBytes> bytes{};
  encode(range, bytes);
  EXPECT_EQ(dump(bytes), dump(hex("04 03 02 01  14 13 12 11  28 27 26 25 24 23 22 21")));
  EXPECT_EQ(decode_dsm_range(bytes), range);
}

TEST(Dsm, RangeBeyondTheRealLengthOfTheListIsNotRead) {
  std::array<std::byte, 2 * kDsmRangeBytes + 15> list{};
  DsmRange range;
  EXPECT_TRUE(read_dsm_range(list, 1, range));
  EXPECT_FALSE(read_dsm_range(list, 2, range));
  EXPECT_FALSE(read_dsm_range(list, SIZE_MAX, range));
}

}  // namespace
}  // namespace netstor::nvme
