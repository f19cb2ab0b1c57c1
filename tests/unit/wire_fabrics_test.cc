// SPDX-License-Identifier: Apache-2.0
//
// Connect data, RDMA private data, the discovery log and qualified names.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/wire/fabrics/connect.h"
#include "lib/wire/fabrics/discovery.h"
#include "lib/wire/fabrics/nqn.h"
#include "tests/unit/wire_hex.h"

namespace netstor::nvme {
namespace {

using test::dump;
using test::encoded;
using test::expect_layout;
using test::hex;
using test::leading;
using test::Row;

TEST(ConnectData, FieldsLieWhereTheSpecificationPutsThem) {
  using T = ConnectData;
  expect_layout<T, kConnectDataBytes>({NETSTOR_ROW(T, hostid, 16),
                                       NETSTOR_ROW(T, cntlid, 2),
                                       {"reserved", 238, nullptr},
                                       NETSTOR_ROW(T, subnqn, 256),
                                       NETSTOR_ROW(T, hostnqn, 256),
                                       {"reserved", 256, nullptr}},
                                      decode_connect_data);
}

ConnectData good_connect() {
  ConnectData data;
  data.subnqn = NqnField("nqn.2024-01.org.example:disk1");
  data.hostnqn = NqnField("nqn.2014-08.org.nvmexpress:uuid:12345678-1234-5678-9abc-def012345678");
  return data;
}

TEST(ConnectData, GoodNamesPass) { EXPECT_EQ(check(good_connect()), std::nullopt); }

TEST(ConnectData, BadNameIsAnsweredWithItsPlace) {
  ConnectData data = good_connect();
  data.subnqn = NqnField(std::string(224, 'a'));
  EXPECT_EQ(check(data), (ConnectRefused{.ipo = 256, .in_data = true}));
  data = good_connect();
  data.hostnqn = NqnField();
  EXPECT_EQ(check(data), (ConnectRefused{.ipo = 512, .in_data = true}));
}

TEST(ConnectData, NameWithoutItsZeroIsRefused) {
  ConnectData data = good_connect();
  data.subnqn.chars().fill('a');
  EXPECT_FALSE(data.subnqn.terminated());
  EXPECT_EQ(check(data), kRefusedSubnqn);
}

TEST(RdmaPrivateData, MatchesItsDumps) {
  const RdmaRequest request{.recfmt = 1, .qid = 2, .hrqsize = 128, .hsqsize = 127, .cntlid = 0x0102};
  std::array<std::byte, kRdmaRequestBytes> bytes;
  bytes.fill(std::byte{0xEE});
  encode(request, bytes);
  EXPECT_EQ(dump(bytes), dump(hex("01 00 02 00 80 00 7f 00 02 01 ..22")));
  EXPECT_EQ(decode_rdma_request(bytes), request);
  encode(RdmaAccept{.recfmt = 0, .crqsize = 128}, bytes);
  EXPECT_EQ(dump(bytes), dump(hex("00 00 80 00 ..28")));
  EXPECT_EQ(decode_rdma_accept(bytes).crqsize, 128u);
  std::array<std::byte, kRdmaRejectBytes> reject{};
  encode(RdmaReject{.recfmt = 0, .reason = RdmaRejectReason::no_resources}, reject);
  EXPECT_EQ(dump(reject), dump(hex("00 00 06 00")));
  EXPECT_EQ(decode_rdma_reject(reject).reason, RdmaRejectReason::no_resources);
}

TEST(Discovery, HeaderFieldsLieWhereTheSpecificationPutsThem) {
  using T = DiscoveryHeader;
  expect_layout<T, kDiscoveryHeaderBytes>({NETSTOR_ROW(T, genctr, 8),
                                           NETSTOR_ROW(T, numrec, 8),
                                           NETSTOR_ROW(T, recfmt, 2),
                                           {"reserved", 1006, nullptr}},
                                          decode_discovery_header);
}

DiscoveryEntry good_entry() {
  DiscoveryEntry entry;
  entry.treq = 0x05;
  entry.portid = 0x0102;
  entry.eflags = eflags::kExplicitPersistentConnection;
  entry.trsvcid = ZeroPadded<32>("4420");
  entry.subnqn = NqnField("nqn.2024-01.org.example:disk1");
  entry.traddr = ZeroPadded<256>("192.0.2.1");
  entry.tcp.sectype = TcpSecurity::tls_1_3;
  return entry;
}

TEST(Discovery, TcpEntryMatchesItsDump) {
  const auto bytes = encoded(good_entry());
  const auto all = std::span<const std::byte>(bytes);
  EXPECT_EQ(dump(all.first(40)), dump(hex("03 01 02 05 02 01 ff ff 20 00 02 00 ..20 34 34 32 30 ..4")));
  EXPECT_EQ(dump(all.subspan(256, 4)), dump(hex("6e 71 6e 2e")));
  EXPECT_EQ(dump(all.subspan(512, 12)), dump(hex("31 39 32 2e 30 2e 32 2e 31 ..3")));
  EXPECT_EQ(dump(all.subspan(768, 16)), dump(hex("02 ..15")));
  EXPECT_EQ(decode_discovery_entry(bytes), good_entry());
  EXPECT_EQ(good_entry().secure_channel(), SecureChannel::required);
}

TEST(Discovery, RdmaEntryHasItsOwnSubtype) {
  DiscoveryEntry entry = good_entry();
  entry.trtype = TransportType::rdma;
  entry.tcp = {};
  entry.rdma = {.prtype = RdmaProvider::roce_v2, .pkey = 0x0102};
  const auto bytes = encoded(entry);
  EXPECT_EQ(dump(std::span(bytes).subspan(768, 16)), dump(hex("01 04 01 ..5 02 01 ..6")));
  EXPECT_EQ(decode_discovery_entry(bytes), entry);
}

TEST(Discovery, TrailingSpacesOfAddressAndServiceAreTakenOff) {
  auto bytes = encoded(good_entry());
  std::memset(bytes.data() + 32, ' ', 32);
  std::memcpy(bytes.data() + 32, "8009", 4);
  std::memset(bytes.data() + 512, ' ', 256);
  std::memcpy(bytes.data() + 512, "192.0.2.9", 9);
  const DiscoveryEntry entry = decode_discovery_entry(bytes);
  EXPECT_EQ(entry.trsvcid.view(), "8009");
  EXPECT_EQ(entry.traddr.view(), "192.0.2.9");
}

TEST(Discovery, EntriesThatCannotBeUsedAreNamed) {
  EXPECT_EQ(check(good_entry()), std::nullopt);
  DiscoveryEntry entry = good_entry();
  entry.trtype = static_cast<TransportType>(9);
  EXPECT_EQ(check(entry), DiscoveryEntryError::unknown_transport);
  entry = good_entry();
  entry.adrfam = static_cast<AddressFamily>(9);
  EXPECT_EQ(check(entry), DiscoveryEntryError::unknown_address_family);
  entry = good_entry();
  entry.subnqn = NqnField("bad\nname");
  EXPECT_EQ(check(entry), DiscoveryEntryError::bad_subnqn);
  entry = good_entry();
  entry.traddr = ZeroPadded<256>("192.0.2.1; rm");
  EXPECT_EQ(check(entry), DiscoveryEntryError::bad_address);
  entry.traddr = ZeroPadded<256>();
  EXPECT_EQ(check(entry), DiscoveryEntryError::bad_address);
}

TEST(Discovery, LogBelievesItsBytesAndNotItsCount) {
  std::vector<std::byte> page(kDiscoveryHeaderBytes + 2 * kDiscoveryEntryBytes + 1023);
  encode(DiscoveryHeader{.genctr = 7, .numrec = UINT64_MAX}, std::span(page).first<kDiscoveryHeaderBytes>());
  const auto entry = encoded(good_entry());
  std::memcpy(page.data() + 2048, entry.data(), entry.size());
  const auto log = DiscoveryLog::from(page);
  ASSERT_TRUE(log);
  EXPECT_EQ(log->count(), 2u);
  EXPECT_FALSE(log->complete());
  EXPECT_EQ(log->entry(1), good_entry());
}

TEST(Discovery, LogShorterThanItsHeaderOrOfAnotherFormatIsRefused) {
  std::vector<std::byte> page(kDiscoveryHeaderBytes);
  EXPECT_TRUE(DiscoveryLog::from(page));
  EXPECT_TRUE(DiscoveryLog::from(page)->complete());
  EXPECT_FALSE(DiscoveryLog::from(std::span(page).first(1023)));
  page[16] = std::byte{1};
  EXPECT_FALSE(DiscoveryLog::from(page));
}

TEST(Nqn, FormsOfTheSpecificationAreValid) {
  EXPECT_TRUE(valid_nqn("nqn.2014-08.com.example:nvme:nvm-subsystem-sn-d78432"));
  EXPECT_TRUE(valid_nqn("nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
  EXPECT_TRUE(valid_nqn(kDiscoveryNqn));
  EXPECT_TRUE(valid_nqn("nqn.2016-06.io.spdk:cnode1"));
  EXPECT_TRUE(valid_nqn("nqn.2024-01.org.example:\xC3\xA9t\xC3\xA9"));
}

TEST(Nqn, BrokenFormsAreInvalid) {
  for (const char* name : {"", "nqn", "nqn.", "iqn.2014-08.com.example:x", "NQN.2014-08.com.example:x",
                           "nqn.2014-13.com.example:x", "nqn.2014-00.com.example:x",
                           "nqn.14-08.com.example:x", "nqn.2014-08com.example:x", "nqn.2014-08.com.example",
                           "nqn.2014-08.com.example:", "nqn.2014-08..example:x", "nqn.2014-08.com.:x",
                           "nqn.2014-08.-com.example:x", "nqn.2014-08.com.exa_mple:x", "nqn.2014-08.:x",
                           "nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf",
                           "nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bfg",
                           "nqn.2014-08.org.nvmexpress:uuid:f81d4fae07dec-11d0-a765-00a0c91e6bf6"}) {
    EXPECT_FALSE(valid_nqn(name)) << name;
  }
}

TEST(Nqn, LengthIsAtMost223Bytes) {
  const std::string prefix = "nqn.2014-08.com.example:";
  EXPECT_TRUE(valid_nqn(prefix + std::string(kNqnMax - prefix.size(), 'a')));
  EXPECT_FALSE(valid_nqn(prefix + std::string(kNqnMax - prefix.size() + 1, 'a')));
  EXPECT_TRUE(valid_nqn("nqn.2014-08." + std::string(63, 'a') + ":x"));
  EXPECT_FALSE(valid_nqn("nqn.2014-08." + std::string(64, 'a') + ":x"));
}

TEST(Nqn, MalformedUtf8AndControlCharactersAreNotBearable) {
  EXPECT_TRUE(bearable_nqn("testnqn"));
  EXPECT_TRUE(bearable_nqn("\xF0\x9F\x98\x80"));
  for (const char* name : {"a\x01", "a\x7F", "\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE2\x82", "\xE2\x28\xA1"}) {
    EXPECT_FALSE(bearable_nqn(name)) << dump(as_bytes(name));
  }
}

TEST(Nqn, IsMadeFromAUuidAndReadBack) {
  const auto uuid = parse_uuid("F81D4FAE-7dec-11d0-a765-00a0c91e6bf6");
  ASSERT_TRUE(uuid);
  EXPECT_EQ(dump(*uuid), dump(hex("f8 1d 4f ae 7d ec 11 d0 a7 65 00 a0 c9 1e 6b f6")));
  const NqnField field = uuid_nqn(*uuid);
  EXPECT_EQ(field.view(), "nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
  EXPECT_TRUE(valid_nqn(field.view()));
}

}  // namespace
}  // namespace netstor::nvme
