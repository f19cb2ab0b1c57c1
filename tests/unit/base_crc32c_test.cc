// SPDX-License-Identifier: Apache-2.0
//
// lib/base/crc32c.h against the examples of RFC 3720, appendix B.4, and against a bit-by-bit CRC.

#include "lib/base/crc32c.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "lib/base/bytes.h"
#include "tests/unit/wire_hex.h"

namespace netstor {
namespace {

std::uint32_t slow_crc32c(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::byte each : bytes) {
    crc ^= std::to_integer<std::uint32_t>(each);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0x82F63B78u : 0u);
  }
  return ~crc;
}

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::uint32_t x = 1;
  for (std::byte& each : bytes) {
    x = x * 1664525u + 1013904223u;
    each = static_cast<std::byte>(x >> 24);
  }
  return bytes;
}

TEST(Crc32c, MatchesRfc3720Examples) {
  std::array<std::byte, 32> bytes{};
  EXPECT_EQ(crc32c(bytes), 0x8A9136AAu) << "32 bytes of zeros";
  bytes.fill(std::byte{0xFF});
  EXPECT_EQ(crc32c(bytes), 0x62A8AB43u) << "32 bytes of ones";
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(bytes), 0x46DD794Eu) << "32 bytes of incrementing 00..1f";
  for (std::size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(31 - i);
  EXPECT_EQ(crc32c(bytes), 0x113FDB5Cu) << "32 bytes of decrementing 1f..00";
  const auto read10 = test::hex(
      "01 c0 00 00  00 00 00 00  00 00 00 00  00 00 00 00  14 00 00 00  00 00 04 00 "
      "00 00 00 14  00 00 00 18  28 00 00 00  00 00 00 00  02 00 00 00  00 00 00 00");
  ASSERT_EQ(read10.size(), 48u);
  EXPECT_EQ(crc32c(read10), 0xD9963A56u) << "an iSCSI SCSI Read (10) command PDU";
}

TEST(Crc32c, MatchesTheCheckValueOfItsCatalogue) { EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u); }

TEST(Crc32c, OfNothingIsZero) { EXPECT_EQ(crc32c({}), 0u); }

TEST(Crc32c, AgreesWithABitByBitSumAtEveryLengthAndAlignment) {
  const std::vector<std::byte> bytes = pattern(700);
  for (std::size_t start = 0; start < 8; ++start) {
    for (std::size_t size = 0; size + start <= bytes.size(); size += size < 80 ? 1 : 61) {
      const auto piece = std::span(bytes).subspan(start, size);
      ASSERT_EQ(crc32c(piece), slow_crc32c(piece)) << start << " " << size;
    }
  }
}

TEST(Crc32c, IsTheSameInPiecesAsInOne) {
  const std::vector<std::byte> bytes = pattern(4096);
  const std::uint32_t whole = crc32c(bytes);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{511}, std::size_t{4096}}) {
    Crc32c crc;
    crc.update(std::span(bytes).first(cut)).update(std::span(bytes).subspan(cut));
    EXPECT_EQ(crc.value(), whole) << cut;
  }
}

TEST(Crc32c, GoesOnFromAValueSeenEarlier) {
  const std::vector<std::byte> bytes = pattern(1000);
  const std::uint32_t first = crc32c(std::span(bytes).first(300));
  EXPECT_EQ(Crc32c::resume(first).update(std::span(bytes).subspan(300)).value(), crc32c(bytes));
}

TEST(Crc32c, SumsAScatterListInItsOrder) {
  const std::vector<std::byte> bytes = pattern(1000);
  const std::vector<std::span<const std::byte>> pieces{
      std::span(bytes).first(10), {}, std::span(bytes).subspan(10)};
  EXPECT_EQ(Crc32c().update(pieces).value(), crc32c(bytes));
}

}  // namespace
}  // namespace netstor
