// SPDX-License-Identifier: Apache-2.0
//
// lib/base/bytes.h: byte order and the bounds of the cursors.

#include "lib/base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace netstor {
namespace {

TEST(Bytes, LoadsLittleEndianFromAnyAlignment) {
  std::array<std::byte, 9> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(load_le<std::uint8_t>(bytes.data() + 1), 0x01u);
  EXPECT_EQ(load_le<std::uint16_t>(bytes.data() + 1), 0x0201u);
  EXPECT_EQ(load_le<std::uint32_t>(bytes.data() + 1), 0x04030201u);
  EXPECT_EQ(load_le<std::uint64_t>(bytes.data() + 1), 0x0807060504030201u);
  EXPECT_EQ(load_be<std::uint32_t>(bytes.data() + 1), 0x01020304u);
}

TEST(Bytes, StoresLittleAndBigEndian) {
  std::array<std::byte, 4> bytes{};
  store_le<std::uint32_t>(bytes.data(), 0x11223344u);
  EXPECT_EQ(bytes[0], std::byte{0x44});
  EXPECT_EQ(bytes[3], std::byte{0x11});
  store_be<std::uint32_t>(bytes.data(), 0x11223344u);
  EXPECT_EQ(bytes[0], std::byte{0x11});
  EXPECT_EQ(bytes[3], std::byte{0x44});
}

TEST(ByteReader, StopsAtTheEndAndStaysStopped) {
  const std::array<std::byte, 3> bytes{std::byte{1}, std::byte{2}, std::byte{3}};
  ByteReader reader(bytes);
  EXPECT_EQ(reader.le<std::uint16_t>(), 0x0201u);
  EXPECT_EQ(reader.remaining(), 1u);
  EXPECT_EQ(reader.le<std::uint16_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_EQ(reader.le<std::uint8_t>(), 0u) << "a byte is left, but the reader has failed";
}

TEST(ByteReader, RefusesALengthThatWouldWrap) {
  const std::array<std::byte, 3> bytes{};
  ByteReader reader(bytes);
  reader.skip(1);
  EXPECT_TRUE(reader.take(SIZE_MAX).empty());
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.position(), 1u);
}

TEST(ByteReader, TellsAnEmptyPieceFromAFailure) {
  ByteReader reader({});
  EXPECT_TRUE(reader.take(0).empty());
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.take(1).empty());
  EXPECT_FALSE(reader.ok());
}

TEST(ByteWriter, WritesNothingOfWhatDoesNotFit) {
  std::array<std::byte, 4> bytes{};
  ByteWriter writer(bytes);
  writer.le<std::uint16_t>(0xBEEF);
  writer.put("abc");
  EXPECT_FALSE(writer.ok());
  EXPECT_EQ(writer.position(), 2u);
  EXPECT_EQ(writer.written().size(), 2u);
  EXPECT_EQ(bytes[2], std::byte{0});
  writer.le<std::uint8_t>(1);
  EXPECT_EQ(bytes[2], std::byte{0}) << "a failed writer stays failed";
}

TEST(ByteWriter, IsReadBackByTheReader) {
  std::array<std::byte, 32> bytes{};
  ByteWriter writer(bytes);
  writer.le<std::uint64_t>(0x0102030405060708u);
  writer.be<std::uint32_t>(0xA1B2C3D4u);
  writer.zeros(3);
  writer.put("xyz");
  ASSERT_TRUE(writer.ok());
  ByteReader reader(writer.written());
  EXPECT_EQ(reader.le<std::uint64_t>(), 0x0102030405060708u);
  EXPECT_EQ(reader.be<std::uint32_t>(), 0xA1B2C3D4u);
  EXPECT_TRUE(reader.skip(3));
  std::array<std::byte, 3> text{};
  EXPECT_TRUE(reader.copy_to(text));
  EXPECT_EQ(text[2], std::byte{'z'});
  EXPECT_EQ(reader.remaining(), 0u);
}

}  // namespace
}  // namespace netstor
