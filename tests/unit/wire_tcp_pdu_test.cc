// SPDX-License-Identifier: Apache-2.0
//
// NVMe/TCP PDUs against dumps built by hand from the figures of the NVMe TCP Transport Specification 1.0, and
// the header checks field by field, each with the offset that the TermReq would carry.

#include "lib/wire/fabrics/tcp_pdu.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/unit/wire_hex.h"

namespace netstor::nvme::tcp {
namespace {

using test::dump;
using test::hex;

using Prefix = std::array<std::byte, kPduPrefixMax>;

Prefix dirty() {
  Prefix bytes;
  bytes.fill(std::byte{0xEE});
  return bytes;
}

CommonHeader header_of(const Prefix& bytes) {
  return decode_common_header(std::span<const std::byte, kPduPrefixMax>(bytes).first<kCommonHeaderBytes>());
}

constexpr PduError wrong(std::uint32_t offset) {
  return {.fes = Fes::invalid_pdu_header_field, .fei = offset};
}

TEST(Pdu, IcReqMatchesItsDump) {
  const IcReq request{.pfv = 0, .hpda = 3, .header_digest = true, .data_digest = true, .maxr2t = 0x01020304};
  std::array<std::byte, kIcBytes> bytes;
  bytes.fill(std::byte{0xEE});
  encode(request, bytes);
  EXPECT_EQ(dump(bytes), dump(hex("00 00 80 00 80 00 00 00  00 00 03 03 04 03 02 01 ..112")));
  EXPECT_EQ(decode_ic_req(bytes), request);
}

TEST(Pdu, IcRespMatchesItsDump) {
  const IcResp response{
      .pfv = 0, .cpda = 1, .header_digest = false, .data_digest = true, .maxh2cdata = 131072};
  std::array<std::byte, kIcBytes> bytes;
  bytes.fill(std::byte{0xEE});
  encode(response, bytes);
  EXPECT_EQ(dump(bytes), dump(hex("01 00 80 00 80 00 00 00  00 00 01 02 00 00 02 00 ..112")));
  EXPECT_EQ(decode_ic_resp(bytes), response);
}

TEST(Pdu, TermReqCarriesTheOffendingHeader) {
  std::array<std::byte, kTermReqBytes + kTermReqDataMax> bytes;
  bytes.fill(std::byte{0xEE});
  const TermReq request{.error = {.fes = Fes::header_digest_error, .fei = 0xA1A2A3A4u}};
  const std::size_t size =
      encode_term_req(Direction::controller_to_host, request, hex("04 00 48 00 48 00 00 00"), bytes);
  ASSERT_EQ(size, 32u);
  EXPECT_EQ(dump(std::span(bytes).first(size)),
            dump(hex("03 00 18 00 20 00 00 00  03 00 a4 a3 a2 a1 ..10  04 00 48 00 48 00 00 00")));
  EXPECT_EQ(decode_term_req(std::span<const std::byte, 152>(bytes).first<kTermReqBytes>()), request);
}

TEST(Pdu, TermReqCutsTheOffendingBytesAt128) {
  std::array<std::byte, kTermReqBytes + kTermReqDataMax> bytes{};
  const std::vector<std::byte> much(1000, std::byte{1});
  EXPECT_EQ(encode_term_req(Direction::host_to_controller, {}, much, bytes), 152u);
  EXPECT_EQ(bytes[0], std::byte{2});
  EXPECT_EQ(load_le<std::uint32_t>(bytes.data() + 4), 152u);
}

TEST(Pdu, CapsuleCmdWithoutDataMatchesItsDump) {
  Prefix bytes = dirty();
  const Command command = make_read(0x0201, 1, {.slba = 8, .blocks = 8}, transport_data_block(4096));
  const PduLayout layout = encode_capsule_cmd(command, 0, {}, bytes);
  EXPECT_EQ(layout, (PduLayout{.prefix_bytes = 72, .data_bytes = 0, .data_digest = false, .plen = 72}));
  EXPECT_EQ(dump(std::span(bytes).first(72)),
            dump(hex("04 00 48 00 48 00 00 00 "
                     "02 40 01 02 01 00 00 00 ..16 ..8 00 10 00 00 00 00 00 5a 08 ..7 07 00 00 00 ..12")));
  EXPECT_EQ(decode_capsule_cmd(std::span<const std::byte, kPduPrefixMax>(bytes).first<kCapsuleCmdBytes>()),
            command);
}

TEST(Pdu, CapsuleCmdWithDataIsPaddedToTheAlignmentAskedFor) {
  Prefix bytes = dirty();
  const PduFormat format{.header_digest = true, .data_digest = true, .pda = 31};
  const PduLayout layout = encode_capsule_cmd(make_write(1, 1, {}), 512, format, bytes);
  EXPECT_EQ(layout,
            (PduLayout{.prefix_bytes = 128, .data_bytes = 512, .data_digest = true, .plen = 128 + 512 + 4}));
  EXPECT_EQ(dump(std::span(bytes).first(8)), dump(hex("04 03 48 80 84 02 00 00")));
  EXPECT_EQ(decode_digest(bytes.data() + 72), crc32c(std::span(bytes).first(72)));
  EXPECT_EQ(dump(std::span(bytes).subspan(76, 52)), dump(hex("..52"))) << "the padding is zero";
}

TEST(Pdu, CapsuleRespMatchesItsDump) {
  Prefix bytes = dirty();
  const Completion completion{
      .result = 5, .sqhd = 1, .cid = 0x0102, .status = GenericStatus::lba_out_of_range};
  const PduLayout layout = encode_capsule_resp(completion, {}, bytes);
  EXPECT_EQ(layout.prefix_bytes, 24u);
  EXPECT_EQ(dump(std::span(bytes).first(24)),
            dump(hex("05 00 18 00 18 00 00 00  05 ..7 01 00 00 00 02 01 00 01")));
  EXPECT_EQ(decode_capsule_resp(std::span<const std::byte, kPduPrefixMax>(bytes).first<kCapsuleRespBytes>()),
            completion);
}

TEST(Pdu, C2hDataMatchesItsDump) {
  Prefix bytes = dirty();
  const DataPdu data{.cccid = 0x0102, .datao = 0x1000, .datal = 0x2000};
  const PduLayout layout = encode_c2h_data(data, true, true, {}, bytes);
  EXPECT_EQ(layout.plen, 24u + 0x2000u);
  EXPECT_EQ(dump(std::span(bytes).first(24)),
            dump(hex("07 0c 18 18 18 20 00 00  02 01 00 00 00 10 00 00 00 20 00 00 ..4")));
  EXPECT_EQ(decode_data(std::span<const std::byte, kPduPrefixMax>(bytes).first<kDataBytes>()), data);
}

TEST(Pdu, SuccessWithoutLastIsNotSent) {
  Prefix bytes = dirty();
  encode_c2h_data({.cccid = 1, .datal = 4}, false, true, {}, bytes);
  EXPECT_EQ(header_of(bytes).flags, 0u);
}

TEST(Pdu, H2cDataMatchesItsDump) {
  Prefix bytes = dirty();
  const DataPdu data{.cccid = 0x0102, .ttag = 0x0304, .datao = 0x10, .datal = 0x20};
  const PduFormat format{.data_digest = true, .pda = 1};
  const PduLayout layout = encode_h2c_data(data, true, format, bytes);
  EXPECT_EQ(layout, (PduLayout{.prefix_bytes = 24, .data_bytes = 32, .data_digest = true, .plen = 60}));
  EXPECT_EQ(dump(std::span(bytes).first(24)),
            dump(hex("06 06 18 18 3c 00 00 00  02 01 04 03 10 00 00 00 20 00 00 00 ..4")));
}

TEST(Pdu, R2tMatchesItsDumpAndItsDigestCoversTheHeaderAlone) {
  Prefix bytes = dirty();
  const R2t r2t{.cccid = 0x0102, .ttag = 0x0304, .r2to = 0x10, .r2tl = 0x20};
  const PduLayout layout = encode_r2t(r2t, {.header_digest = true, .data_digest = true, .pda = 31}, bytes);
  EXPECT_EQ(layout, (PduLayout{.prefix_bytes = 28, .data_bytes = 0, .data_digest = false, .plen = 28}));
  EXPECT_EQ(dump(std::span(bytes).first(24)),
            dump(hex("09 01 18 00 1c 00 00 00  02 01 04 03 10 00 00 00 20 00 00 00 ..4")));
  EXPECT_EQ(decode_r2t(std::span<const std::byte, kPduPrefixMax>(bytes).first<kR2tBytes>()), r2t);
  EXPECT_EQ(decode_digest(bytes.data() + 24), crc32c(std::span(bytes).first(24)));
}

TEST(PduHeader, EverythingThatIsEncodedPassesTheCheck) {
  for (const bool header_digest : {false, true}) {
    for (const bool data_digest : {false, true}) {
      for (std::uint8_t pda = 0; pda <= kPdaMax; ++pda) {
        const PduFormat format{.header_digest = header_digest, .data_digest = data_digest, .pda = pda};
        const PduRules rules{.header_digest = header_digest, .data_digest = data_digest, .pda = pda};
        Prefix bytes = dirty();
        const auto expect = [&](Direction direction, const PduLayout& layout) {
          const CommonHeader header = header_of(bytes);
          EXPECT_EQ(check_common_header(header, direction, rules), std::nullopt) << to_string(header.type);
          EXPECT_EQ(header.prefix_bytes(), layout.prefix_bytes);
          EXPECT_EQ(header.data_bytes(), layout.data_bytes);
          EXPECT_EQ(check_header_digest(header, std::span(bytes).first(layout.prefix_bytes)), std::nullopt);
        };
        expect(Direction::host_to_controller, encode_capsule_cmd({}, 0, format, bytes));
        expect(Direction::host_to_controller, encode_capsule_cmd({}, 8192, format, bytes));
        expect(Direction::host_to_controller, encode_h2c_data({.datal = 1}, true, format, bytes));
        expect(Direction::controller_to_host, encode_c2h_data({.datal = 513}, true, true, format, bytes));
        expect(Direction::controller_to_host, encode_capsule_resp({}, format, bytes));
        expect(Direction::controller_to_host, encode_r2t({.r2tl = 4}, format, bytes));
      }
    }
  }
}

struct Case {
  const char* what;
  CommonHeader header;
  std::uint32_t offset;
};

TEST(PduHeader, EachWrongFieldIsNamedByItsOffset) {
  const PduRules rules{.pda = 1, .in_capsule_data_max = 4096, .data_max = 1 << 20};
  const Case cases[] = {
      {"a reserved type", {static_cast<PduType>(8), 0, 24, 0, 24}, 0},
      {"a type above the last", {static_cast<PduType>(0xFF), 0, 24, 0, 24}, 0},
      {"a type of the other direction", {PduType::capsule_resp, 0, 24, 0, 24}, 0},
      {"HLEN below the common header", {PduType::capsule_cmd, 0, 4, 0, 72}, 2},
      {"HLEN of another type", {PduType::capsule_cmd, 0, 24, 0, 72}, 2},
      {"a header digest nobody agreed to", {PduType::capsule_cmd, kFlagHdgst, 72, 0, 76}, 1},
      {"a data digest nobody agreed to", {PduType::capsule_cmd, kFlagDdgst, 72, 72, 76}, 1},
      {"PLEN below HLEN", {PduType::capsule_cmd, 0, 72, 0, 71}, 4},
      {"PLEN zero", {PduType::capsule_cmd, 0, 72, 0, 0}, 4},
      {"PDO inside the header", {PduType::capsule_cmd, 0, 72, 64, 128}, 3},
      {"PDO off its alignment", {PduType::capsule_cmd, 0, 72, 76, 128}, 3},
      {"PDO past the end", {PduType::capsule_cmd, 0, 72, 80, 80}, 3},
      {"PDO beyond any alignment", {PduType::capsule_cmd, 0, 72, 152, 1000}, 3},
      {"data in the capsule above its limit", {PduType::capsule_cmd, 0, 72, 72, 72 + 4097}, 4},
      {"data of a PDU above its limit", {PduType::h2c_data, 0, 24, 24, 24 + (1 << 20) + 1}, 4},
      {"PLEN at its largest", {PduType::h2c_data, 0, 24, 24, 0xFFFFFFFFu}, 4},
      {"H2CData without data", {PduType::h2c_data, 0, 24, 24, 24}, 4},
      {"ICReq longer than itself", {PduType::ic_req, 0, 128, 0, 129}, 4},
      {"ICReq with a digest", {PduType::ic_req, kFlagHdgst, 128, 0, 132}, 1},
      {"TermReq with more than 128 bytes", {PduType::h2c_term_req, 0, 24, 0, 24 + 129}, 4},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(check_common_header(each.header, Direction::host_to_controller, rules), wrong(each.offset))
        << each.what;
  }
}

TEST(PduHeader, WrongFieldsTowardsTheHostAreNamedToo) {
  const PduRules rules{.header_digest = true, .data_digest = true};
  const Case cases[] = {
      {"a command to a host", {PduType::capsule_cmd, kFlagHdgst, 72, 0, 76}, 0},
      {"a missing header digest", {PduType::capsule_resp, 0, 24, 0, 24}, 1},
      {"a missing data digest", {PduType::c2h_data, kFlagHdgst, 24, 28, 100}, 1},
      {"success before the last PDU",
       {PduType::c2h_data, kFlagHdgst | kFlagDdgst | kFlagSuccess, 24, 28, 100},
       1},
      {"a response with data", {PduType::capsule_resp, kFlagHdgst, 24, 28, 100}, 4},
      {"an R2T with data", {PduType::r2t, kFlagHdgst, 24, 28, 100}, 4},
      {"nothing between PDO and the data digest",
       {PduType::c2h_data, kFlagHdgst | kFlagDdgst, 24, 28, 32},
       4},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(check_common_header(each.header, Direction::controller_to_host, rules), wrong(each.offset))
        << each.what;
  }
}

TEST(PduHeader, ReservedPdoOfAPduWithoutDataIsIgnored) {
  EXPECT_EQ(check_common_header({PduType::capsule_cmd, 0, 72, 72, 72}, Direction::host_to_controller, {}),
            std::nullopt);
}

TEST(PduHeader, TermReqPassesWithAndWithoutTheOffendingHeader) {
  const PduRules rules{.header_digest = true, .data_digest = true, .pda = 31};
  EXPECT_EQ(check_common_header({PduType::h2c_term_req, 0, 24, 0, 24}, Direction::host_to_controller, rules),
            std::nullopt);
  const CommonHeader full{PduType::h2c_term_req, 0, 24, 0, 152};
  EXPECT_EQ(check_common_header(full, Direction::host_to_controller, rules), std::nullopt);
  EXPECT_EQ(full.prefix_bytes(), 24u);
  EXPECT_EQ(full.data_bytes(), 128u);
}

TEST(PduHeader, BrokenHeaderDigestIsAnsweredWithTheDigestReceived) {
  Prefix bytes = dirty();
  const PduLayout layout = encode_r2t({.cccid = 1, .r2tl = 4}, {.header_digest = true}, bytes);
  const std::uint32_t digest = decode_digest(bytes.data() + 24);
  bytes[12] ^= std::byte{1};
  EXPECT_EQ(check_header_digest(header_of(bytes), std::span(bytes).first(layout.prefix_bytes)),
            (PduError{.fes = Fes::header_digest_error, .fei = digest}));
}

TEST(Pdu, IcReqOutOfBoundsIsRefused) {
  EXPECT_EQ(check(IcReq{.hpda = 31}), std::nullopt);
  EXPECT_EQ(check(IcReq{.pfv = 1}), wrong(8));
  EXPECT_EQ(check(IcReq{.hpda = 32}), wrong(10));
}

TEST(Pdu, IcRespOutOfBoundsIsRefused) {
  EXPECT_EQ(check(IcResp{}), std::nullopt);
  EXPECT_EQ(check(IcResp{.pfv = 1}), wrong(8));
  EXPECT_EQ(check(IcResp{.cpda = 32}), wrong(10));
  EXPECT_EQ(check(IcResp{.maxh2cdata = 4095}), wrong(12));
  EXPECT_EQ(check(IcResp{.maxh2cdata = 0}), wrong(12));
  EXPECT_EQ(check(IcResp{.maxh2cdata = 4098}), wrong(12));
}

TEST(Pdu, DataLengthMustBeWhatTheHeaderLeavesForIt) {
  const CommonHeader header{PduType::h2c_data, kFlagDdgst, 24, 24, 24 + 100 + 4};
  EXPECT_EQ(header.data_bytes(), 100u);
  EXPECT_EQ(check(header, DataPdu{.datao = 0, .datal = 100}), std::nullopt);
  EXPECT_EQ(check(header, DataPdu{.datao = 0, .datal = 99}), wrong(16));
  EXPECT_EQ(check(header, DataPdu{.datao = 0, .datal = 101}), wrong(16));
}

TEST(Pdu, RangesThatWrapAreRefused) {
  const CommonHeader header{PduType::h2c_data, 0, 24, 24, 24 + 100};
  EXPECT_EQ(check(header, DataPdu{.datao = 0xFFFFFFFFu - 99, .datal = 100}), wrong(12));
  EXPECT_EQ(check(R2t{.r2to = 0xFFFFFFFCu, .r2tl = 8}), wrong(12));
  EXPECT_EQ(check(R2t{.r2to = 0, .r2tl = 0}), wrong(16));
  EXPECT_EQ(check(R2t{.r2to = 4, .r2tl = 8}), std::nullopt);
}

TEST(PduDeathTest, AlignmentThatWasNeverCheckedDoesNotOverrunTheBuffer) {
  Prefix bytes = dirty();
  EXPECT_DEATH((void)encode_capsule_cmd({}, 512, {.pda = 255}, bytes), "");
}

TEST(Pdu, NamesAreTheSpecificationsOwn) {
  EXPECT_EQ(to_string(PduType::c2h_data), "C2HData");
  EXPECT_EQ(to_string(static_cast<PduType>(8)), "unknown PDU");
  EXPECT_EQ(to_string(Fes::pdu_sequence_error), "PDU sequence error");
}

}  // namespace
}  // namespace netstor::nvme::tcp
