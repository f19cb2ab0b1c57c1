// SPDX-License-Identifier: Apache-2.0
//
// Identify data structures: each field's place from the widths of the fields before it, in the order of the
// figures of the NVMe Base Specification 2.0, and the lists that carry their own lengths.

#include "lib/wire/nvme/identify.h"

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

TEST(IdentifyController, FieldsLieWhereTheSpecificationPutsThem) {
  using T = IdentifyController;
  const auto gap = [](std::size_t width) { return Row<T>{"reserved", width, nullptr}; };
#define F(field, width) NETSTOR_ROW(T, field, width)
  const std::vector<Row<T>> rows{
      F(vid, 2), F(ssvid, 2), F(sn, 20), F(mn, 40), F(fr, 8), F(rab, 1), F(ieee, 3), F(cmic, 1), F(mdts, 1),
      F(cntlid, 2), F(ver, 4), F(rtd3r, 4), F(rtd3e, 4), F(oaes, 4), F(ctratt, 4), F(rrls, 2), gap(9),
      F(cntrltype, 1), F(fguid, 16), F(crdt1, 2), F(crdt2, 2), F(crdt3, 2), gap(122),
      // byte 256
      F(oacs, 2), F(acl, 1), F(aerl, 1), F(frmw, 1), F(lpa, 1), F(elpe, 1), F(npss, 1), F(avscc, 1),
      F(apsta, 1), F(wctemp, 2), F(cctemp, 2), F(mtfa, 2), F(hmpre, 4), F(hmmin, 4), F(tnvmcap, 16),
      F(unvmcap, 16), F(rpmbs, 4), F(edstt, 2), F(dsto, 1), F(fwug, 1), F(kas, 2), F(hctma, 2), F(mntmt, 2),
      F(mxtmt, 2), F(sanicap, 4), F(hmminds, 4), F(hmmaxd, 2), F(nsetidmax, 2), F(endgidmax, 2), F(anatt, 1),
      F(anacap, 1), F(anagrpmax, 4), F(nanagrpid, 4), F(pels, 4), gap(156),
      // byte 512
      F(sqes, 1), F(cqes, 1), F(maxcmd, 2), F(nn, 4), F(oncs, 2), F(fuses, 2), F(fna, 1), F(vwc, 1),
      F(awun, 2), F(awupf, 2), F(icsvscc, 1), F(nwpc, 1), F(acwu, 2), F(ocfs, 2), F(sgls, 4), F(mnan, 4),
      gap(224), F(subnqn, 256), gap(768),
      // byte 1792
      F(ioccsz, 4), F(iorcsz, 4), F(icdoff, 2), F(fcatt, 1), F(msdbd, 1), F(ofcs, 2), F(dctype, 1), gap(241),
      // byte 2048: power states, looked at below; byte 3072: vendor specific
      gap(1024), gap(1024)};
#undef F
  expect_layout<T, kIdentifyBytes>(rows, decode_identify_controller);
}

TEST(IdentifyController, PowerStatesLieWhereTheSpecificationPutsThem) {
  IdentifyController controller;
  PowerState& ps = controller.psd[1];
  ps.mp = 0x0102;
  ps.flags = 0x03;
  ps.enlat = 0x04050607;
  ps.exlat = 0x08090A0B;
  ps.rrt = 0x0C;
  ps.rrl = 0x0D;
  ps.rwt = 0x0E;
  ps.rwl = 0x0F;
  ps.idlp = 0x1011;
  ps.ips = 0x12;
  ps.actp = 0x1314;
  ps.apw_aps = 0x15;
  const auto bytes = encoded(controller);
  EXPECT_EQ(dump(std::span(bytes).subspan(2048 + 32, 32)),
            dump(hex("02 01 00 03 07 06 05 04 0b 0a 09 08 0c 0d 0e 0f 11 10 12 00 14 13 15 ..9")));
  EXPECT_EQ(decode_identify_controller(bytes), controller);
}

TEST(IdentifyController, TextIsPaddedWithSpacesAndNamesWithZeros) {
  IdentifyController controller;
  controller.sn = SpacePadded<20>("S123");
  controller.subnqn = NqnField("nqn.2014-08.org.nvmexpress.discovery");
  const auto bytes = encoded(controller);
  EXPECT_EQ(dump(std::span(bytes).subspan(4, 20)),
            dump(hex("53 31 32 33 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20")));
  EXPECT_EQ(bytes[768 + 36], std::byte{0});
  const IdentifyController again = decode_identify_controller(bytes);
  EXPECT_EQ(again.sn.view(), "S123");
  EXPECT_EQ(again.subnqn.view(), "nqn.2014-08.org.nvmexpress.discovery");
}

TEST(TextField, CutsWhatDoesNotFitAndSaysWhatIsNotTerminated) {
  EXPECT_EQ(SpacePadded<4>("abcdef").view(), "abcd");
  EXPECT_FALSE(SpacePadded<4>::fits("abcde"));
  EXPECT_FALSE(ZeroPadded<4>("abcd").terminated());
  EXPECT_TRUE(ZeroPadded<4>("abc").terminated());
  EXPECT_EQ(SpacePadded<4>("    ").view(), "");
  EXPECT_EQ(SpacePadded<4>(" a ").view(), " a");
}

TEST(IdentifyNamespace, FieldsLieWhereTheSpecificationPutsThem) {
  using T = IdentifyNamespace;
  const auto gap = [](std::size_t width) { return Row<T>{"reserved", width, nullptr}; };
#define F(field, width) NETSTOR_ROW(T, field, width)
  const std::vector<Row<T>> rows{
      F(nsze, 8),   F(ncap, 8),  F(nuse, 8),     F(nsfeat, 1), F(nlbaf, 1),  F(flbas, 1),    F(mc, 1),
      F(dpc, 1),    F(dps, 1),   F(nmic, 1),     F(rescap, 1), F(fpi, 1),    F(dlfeat, 1),   F(nawun, 2),
      F(nawupf, 2), F(nacwu, 2), F(nabsn, 2),    F(nabo, 2),   F(nabspf, 2), F(noiob, 2),    F(nvmcap, 16),
      F(npwg, 2),   F(npwa, 2),  F(npdg, 2),     F(npda, 2),   F(nows, 2),   F(mssrl, 2),    F(mcl, 4),
      F(msrc, 1),   gap(11),     F(anagrpid, 4), gap(3),       F(nsattr, 1), F(nvmsetid, 2), F(endgid, 2),
      F(nguid, 16), F(eui64, 8), gap(256),       gap(3712)};
#undef F
  expect_layout<T, kIdentifyBytes>(rows, decode_identify_namespace);
}

TEST(IdentifyNamespace, FormatsAreFourBytesEachFromByte128) {
  IdentifyNamespace ns;
  ns.lbaf[0] = {.ms = 0, .lbads = 9, .rp = 2};
  ns.lbaf[63] = {.ms = 0x0102, .lbads = 12, .rp = 1};
  const auto bytes = encoded(ns);
  EXPECT_EQ(dump(std::span(bytes).subspan(128, 4)), dump(hex("00 00 09 02")));
  EXPECT_EQ(dump(std::span(bytes).subspan(128 + 252, 4)), dump(hex("02 01 0c 01")));
  EXPECT_EQ(decode_identify_namespace(bytes), ns);
}

TEST(IdentifyNamespace, BlockSizeComesFromTheFormatThatIsInUse) {
  IdentifyNamespace ns;
  ns.nlbaf = 17;
  ns.flbas = 0x31;  // index 17: 1 in bits 3:0, 1 in bits 6:5, and the metadata bit 4 that must not count
  ns.lbaf[17] = {.ms = 8, .lbads = 12, .rp = 0};
  EXPECT_EQ(ns.format_index(), 17u);
  EXPECT_EQ(ns.block_bytes(), 4096u);
}

TEST(IdentifyNamespace, BlockSizeOfAnUnlistedOrAbsurdFormatIsNone) {
  IdentifyNamespace ns;
  EXPECT_EQ(ns.block_bytes(), std::nullopt) << "lbads 0";
  ns.lbaf[0].lbads = 63;
  EXPECT_EQ(ns.block_bytes(), std::nullopt);
  ns.lbaf[1].lbads = 9;
  ns.flbas = 1;
  EXPECT_EQ(ns.block_bytes(), std::nullopt) << "index above nlbaf";
  ns.nlbaf = 1;
  EXPECT_EQ(ns.block_bytes(), 512u);
}

TEST(IdentifyNamespaceIndependent, FieldsLieWhereTheSpecificationPutsThem) {
  using T = IdentifyNamespaceIndependent;
#define F(field, width) NETSTOR_ROW(T, field, width)
  expect_layout<T, kIdentifyBytes>({F(nsfeat, 1),
                                    F(nmic, 1),
                                    F(rescap, 1),
                                    F(fpi, 1),
                                    F(anagrpid, 4),
                                    F(nsattr, 1),
                                    {"reserved", 1, nullptr},
                                    F(nvmsetid, 2),
                                    F(endgid, 2),
                                    F(nstat, 1),
                                    {"reserved", 4081, nullptr}},
                                   decode_identify_namespace_independent);
#undef F
}

TEST(IdentifyNvm, CommandSetSpecificFieldsLieWhereTheSpecificationPutsThem) {
  using C = IdentifyControllerNvm;
  expect_layout<C, kIdentifyBytes>({NETSTOR_ROW(C, vsl, 1),
                                    NETSTOR_ROW(C, wzsl, 1),
                                    NETSTOR_ROW(C, wusl, 1),
                                    NETSTOR_ROW(C, dmrl, 1),
                                    NETSTOR_ROW(C, dmrsl, 4),
                                    NETSTOR_ROW(C, dmsl, 8),
                                    {"reserved", 4080, nullptr}},
                                   decode_identify_controller_nvm);
  using N = IdentifyNamespaceNvm;
  expect_layout<N, kIdentifyBytes>({NETSTOR_ROW(N, lbstm, 8),
                                    NETSTOR_ROW(N, pic, 1),
                                    {"reserved", 3, nullptr},
                                    NETSTOR_ROW(N, elbaf, 256),
                                    {"reserved", 3828, nullptr}},
                                   decode_identify_namespace_nvm);
}

TEST(NamespaceList, EndsAtTheFirstZero) {
  std::array<std::byte, kIdentifyBytes> bytes;
  bytes.fill(std::byte{0xEE});
  const std::uint32_t nsids[] = {1, 2, 0x01020304};
  EXPECT_EQ(encode_namespace_list(nsids, bytes), 3u);
  EXPECT_EQ(dump(std::span(bytes).first(20)), dump(hex("01 00 00 00 02 00 00 00 04 03 02 01 ..8")));
  const auto list = decode_namespace_list(bytes);
  ASSERT_TRUE(list);
  EXPECT_EQ(list->count, 3u);
  EXPECT_EQ(list->nsids[2], 0x01020304u);
}

TEST(NamespaceList, HoldsExactly1024) {
  std::vector<std::uint32_t> nsids(1025);
  for (std::uint32_t i = 0; i < nsids.size(); ++i) nsids[i] = i + 1;
  std::array<std::byte, kIdentifyBytes> bytes{};
  EXPECT_EQ(encode_namespace_list(nsids, bytes), 1024u);
  const auto list = decode_namespace_list(bytes);
  ASSERT_TRUE(list);
  EXPECT_EQ(list->count, 1024u);
  EXPECT_EQ(list->nsids[1023], 1024u);
}

TEST(NamespaceList, ThatDoesNotAscendIsRefused) {
  std::array<std::byte, kIdentifyBytes> bytes{};
  encode_namespace_list(std::vector<std::uint32_t>{2, 2}, bytes);
  EXPECT_FALSE(decode_namespace_list(bytes));
  encode_namespace_list(std::vector<std::uint32_t>{1, kNsidAll}, bytes);
  EXPECT_FALSE(decode_namespace_list(bytes));
}

NamespaceIds all_ids() {
  NamespaceIds ids;
  ids.eui64.emplace();
  ids.nguid.emplace();
  ids.uuid.emplace();
  ids.eui64->fill(std::byte{0x11});
  ids.nguid->fill(std::byte{0x22});
  ids.uuid->fill(std::byte{0x33});
  ids.csi = Csi::zoned_namespace;
  return ids;
}

TEST(NamespaceIds, MatchTheirDump) {
  std::array<std::byte, kIdentifyBytes> bytes{};
  encode(all_ids(), bytes);
  EXPECT_EQ(dump(std::span(bytes).first(61)),
            dump(hex("01 08 00 00 11 11 11 11 11 11 11 11 "
                     "02 10 00 00 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 "
                     "03 10 00 00 33 33 33 33 33 33 33 33 33 33 33 33 33 33 33 33 "
                     "04 01 00 00 02 ..4")));
  EXPECT_EQ(decode_namespace_ids(bytes), all_ids());
}

TEST(NamespaceIds, UnknownTypeIsPassedOver) {
  std::array<std::byte, kIdentifyBytes> bytes{};
  const auto start = hex("77 02 00 00 aa bb 04 01 00 00 02");
  std::memcpy(bytes.data(), start.data(), start.size());
  const auto ids = decode_namespace_ids(bytes);
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->csi, Csi::zoned_namespace);
}

TEST(NamespaceIds, WrongLengthOfAKnownTypeIsRefused) {
  for (const char* start : {"01 10", "02 08", "03 0f", "04 02"}) {
    std::array<std::byte, kIdentifyBytes> bytes{};
    const auto header = hex(start);
    std::memcpy(bytes.data(), header.data(), header.size());
    EXPECT_FALSE(decode_namespace_ids(bytes)) << start;
  }
}

TEST(NamespaceIds, DescriptorThatRunsPastTheEndIsRefused) {
  std::array<std::byte, kIdentifyBytes> bytes{};
  std::size_t at = 0;
  while (at + 4 + 255 <= bytes.size()) {
    bytes[at] = std::byte{0x77};
    bytes[at + 1] = std::byte{255};
    at += 4 + 255;
  }
  bytes[at] = std::byte{0x77};
  bytes[at + 1] = std::byte{255};
  EXPECT_FALSE(decode_namespace_ids(bytes));
}

TEST(IoCommandSets, AreVectorsOfEightBytes) {
  IoCommandSets sets;
  sets.vectors[0] = 1;
  sets.vectors[511] = 0x0102030405060708u;
  const auto bytes = encoded(sets);
  EXPECT_EQ(bytes[0], std::byte{1});
  EXPECT_EQ(bytes[4088], std::byte{8});
  EXPECT_EQ(decode_io_command_sets(bytes), sets);
}

}  // namespace
}  // namespace netstor::nvme
