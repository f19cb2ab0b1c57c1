// SPDX-License-Identifier: Apache-2.0
//
// lib/base/hash.h, crc.h and encoding.h against published answers: FIPS 180 (its million letters too), RFC
// 1321, RFC 4231, RFC 4648, the check values of the CRC catalogue and of the NVM Express specification.

#include "lib/base/hash.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/crc.h"
#include "lib/base/crc32c.h"
#include "lib/base/encoding.h"

namespace netstor {
namespace {

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::uint32_t x = 7;
  for (std::byte& each : bytes) {
    x = x * 1664525u + 1013904223u;
    each = static_cast<std::byte>(x >> 24);
  }
  return bytes;
}

std::vector<std::byte> hex(std::string_view text) {
  std::vector<std::byte> bytes(text.size() / 2);
  EXPECT_TRUE(decode_hex(text, bytes)) << text;
  return bytes;
}

template <class Hash>
std::string of_million_letters() {
  Hash hash;
  const std::string piece(999, 'a');
  for (int i = 0; i < 1001; ++i) hash.update(as_bytes(piece));
  hash.update(as_bytes("a"));
  return to_hex(hash.finish());
}

TEST(Hash, Sha256MatchesFips180) {
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(of_million_letters<Sha256>(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hash, Sha1MatchesFips180) {
  EXPECT_EQ(to_hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(of_million_letters<Sha1>(), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Hash, Md5MatchesRfc1321) {
  EXPECT_EQ(to_hex(md5({})), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(to_hex(md5(as_bytes("abc"))), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(to_hex(md5(as_bytes("message digest"))), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(Hash, IsReadyForTheNextMessageAfterFinishAndRestart) {
  Sha256 hash;
  const auto whole = sha256(as_bytes("abc"));
  EXPECT_EQ(hash.update(as_bytes("abc")).finish(), whole);
  EXPECT_EQ(hash.update(as_bytes("a")).update(as_bytes("bc")).finish(), whole);
  EXPECT_EQ(hash.finish(), sha256({})) << "nothing was fed";
  hash.update(as_bytes("forgotten")).restart();
  EXPECT_EQ(hash.update(as_bytes("abc")).finish(), whole);
  hash.update(as_bytes("ab"));
  Sha256 other = hash;
  EXPECT_EQ(other.update(as_bytes("c")).finish(), whole) << "a copy goes on";
  EXPECT_EQ(hash.update(as_bytes("c")).finish(), whole);
  EXPECT_EQ(other.update(as_bytes("abc")).finish(), whole);
  const std::vector<std::span<const std::byte>> pieces{as_bytes("a"), {}, as_bytes("bc")};
  EXPECT_EQ(other.update(pieces).finish(), whole);
}

TEST(Hash, HmacMatchesRfc4231) {
  const auto mac = [](std::string_view key, std::string_view data) {
    return to_hex(hmac_sha256(hex(key), as_bytes(data)));
  };
  const std::string b20(40, 'b');
  std::string key1;
  for (int i = 0; i < 20; ++i) key1 += "0b";
  EXPECT_EQ(mac(key1, "Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(mac("4a656665", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  std::string key6;
  for (int i = 0; i < 131; ++i) key6 += "aa";
  EXPECT_EQ(mac(key6, "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hash, HmacKeepsItsKeyAndTakesAnother) {
  HmacSha256 hmac(as_bytes("one"));
  const auto first = hmac_sha256(as_bytes("one"), as_bytes("message"));
  EXPECT_EQ(hmac.update(as_bytes("mess")).update(as_bytes("age")).finish(), first);
  EXPECT_EQ(hmac.update(as_bytes("message")).finish(), first);
  hmac.update(as_bytes("left over"));
  hmac.set_key(as_bytes("two"));
  EXPECT_EQ(hmac.update(as_bytes("message")).finish(), hmac_sha256(as_bytes("two"), as_bytes("message")));
}

TEST(Hash, ComparesInConstantTimeAndWipes) {
  EXPECT_TRUE(equal_in_constant_time(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("abc"), as_bytes("abcd")));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
  auto secret = pattern(40);
  wipe(secret);
  EXPECT_EQ(secret, std::vector<std::byte>(40));
}

std::uint64_t slow_crc64(std::span<const std::byte> bytes) {
  std::uint64_t crc = ~std::uint64_t{0};
  for (const std::byte each : bytes) {
    crc ^= std::to_integer<std::uint64_t>(each);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0x9A6C9329AC4BC9B5u : 0u);
  }
  return ~crc;
}

TEST(Crc, MatchesTheCheckValues) {
  const auto digits = as_bytes("123456789");
  EXPECT_EQ(Crc32().update(digits).value(), 0xCBF43926u);
  EXPECT_EQ(Crc64Nvme().update(digits).value(), 0xAE8B14860A799888u);
  EXPECT_EQ(Crc32().value(), 0u);
  EXPECT_EQ(Crc64Nvme().value(), 0u);
}

TEST(Crc, Crc64MatchesTheExamplesOfTheNvmCommandSet) {
  std::vector<std::byte> page(4096);
  EXPECT_EQ(Crc64Nvme().update(page).value(), 0x6482D367EB22B64Eu) << "zeros";
  page.assign(4096, std::byte{0xFF});
  EXPECT_EQ(Crc64Nvme().update(page).value(), 0xC0DDBA7302ECA3ACu) << "ones";
  for (std::size_t i = 0; i < page.size(); ++i) page[i] = static_cast<std::byte>(i & 0xFFu);
  EXPECT_EQ(Crc64Nvme().update(page).value(), 0x3E729F5F6750449Cu) << "counting up";
}

TEST(Crc, Crc64IsTheSameByFoldingByTableAndBitByBit) {
  const auto bytes = pattern(1100);
  for (std::size_t size = 0; size <= 1024; size += size < 300 ? 1 : 13) {
    const auto piece = std::span(bytes).subspan(size % 17, size);
    const std::uint64_t expected = slow_crc64(piece);
    ASSERT_EQ(Crc64Nvme().update(piece).value(), expected) << size;
    ASSERT_EQ(Crc64Nvme().update_by_table(piece).value(), expected) << size;
  }
}

TEST(Crc, GoesOnOverPiecesAndFromAValue) {
  const auto bytes = pattern(5000);
  const auto whole = std::span(bytes);
  for (const std::size_t cut : {0u, 1u, 300u, 4096u, 5000u}) {
    const auto a = whole.first(cut), b = whole.subspan(cut);
    EXPECT_EQ(Crc64Nvme().update(a).update(b).value(), slow_crc64(whole)) << cut;
    EXPECT_EQ(Crc64Nvme::resume(Crc64Nvme().update(a).value()).update(b).value(), slow_crc64(whole)) << cut;
    EXPECT_EQ(Crc32::resume(Crc32().update(a).value()).update(b).value(), Crc32().update(whole).value());
  }
}

TEST(Crc, CombinesThoseOfTwoPieces) {
  const auto bytes = pattern(5000);
  const auto whole = std::span(bytes);
  for (const std::size_t cut : {0u, 1u, 7u, 2048u, 4999u, 5000u}) {
    const auto a = whole.first(cut), b = whole.subspan(cut);
    EXPECT_EQ(combine_crc32(Crc32().update(a).value(), Crc32().update(b).value(), b.size()),
              Crc32().update(whole).value())
        << cut;
    EXPECT_EQ(combine_crc32c(crc32c(a), crc32c(b), b.size()), crc32c(whole)) << cut;
    EXPECT_EQ(combine_crc64nvme(Crc64Nvme().update(a).value(), Crc64Nvme().update(b).value(), b.size()),
              slow_crc64(whole))
        << cut;
  }
}

TEST(Encoding, Base64MatchesRfc4648) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : cases) {
    EXPECT_EQ(to_base64(as_bytes(plain)), text);
    std::vector<std::byte> back(plain.size());
    EXPECT_TRUE(decode_base64(text, back)) << text;
    EXPECT_EQ(to_hex(back), to_hex(as_bytes(plain)));
  }
  const std::byte high[] = {std::byte{0xFB}, std::byte{0xFF}, std::byte{0xBF}};
  EXPECT_EQ(to_base64(high), "+/+/");
}

TEST(Encoding, Base64RejectsAllButTheOneText) {
  std::byte one[1], two[2], three[3];
  EXPECT_FALSE(decode_base64("Zh==", one)) << "bits behind the last byte";
  EXPECT_FALSE(decode_base64("Zm9=", two)) << "bits behind the last byte";
  EXPECT_FALSE(decode_base64("Zg", one)) << "no padding";
  EXPECT_FALSE(decode_base64("Zg=a", one)) << "padding inside";
  EXPECT_FALSE(decode_base64("Zg==", two)) << "too short";
  EXPECT_FALSE(decode_base64("Zm9v", two)) << "too long";
  EXPECT_FALSE(decode_base64("Zm-v", three)) << "of the other alphabet";
  EXPECT_FALSE(decode_base64("Zm v", three)) << "white space";
  EXPECT_FALSE(decode_base64("=m9v", three));
}

TEST(Encoding, HexRejectsAnythingElse) {
  std::byte two[2];
  EXPECT_TRUE(decode_hex("aBCd", two));
  EXPECT_EQ(to_hex(two), "abcd");
  EXPECT_FALSE(decode_hex("abc", two));
  EXPECT_FALSE(decode_hex("abcde", two));
  EXPECT_FALSE(decode_hex("abcg", two));
  EXPECT_FALSE(decode_hex("ab d", two));
}

}  // namespace
}  // namespace netstor
