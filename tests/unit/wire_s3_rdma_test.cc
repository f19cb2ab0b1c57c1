// SPDX-License-Identifier: Apache-2.0
//
// lib/wire/s3/rdma.h against docs/formats/s3-rdma.md.

#include "lib/wire/s3/rdma.h"

#include <gtest/gtest.h>

#include <cstring>

#include "lib/base/encoding.h"

namespace netstor::s3 {
namespace {

RdmaId id_of(std::string_view hex) {
  RdmaId id{};
  EXPECT_TRUE(decode_hex(hex, id));
  return id;
}

const std::string kToken =
    "netstor-rc-1:000102030405060708090a0b0c0d0e0f:0000000000000007:0000000000007530:"
    "00007f0123456000:0000000000800000:0000beef";

RdmaToken example() {
  return {.session = id_of("000102030405060708090a0b0c0d0e0f"),
          .sequence = 7,
          .expires_ms = 30000,
          .address = 0x7f0123456000,
          .length = 8 << 20,
          .key = 0xbeef};
}

TEST(S3Rdma, TokenIsThatOfThePage) {
  EXPECT_EQ(kToken.size(), kRdmaTokenSize);
  EXPECT_EQ(encode(example()), kToken);
  EXPECT_EQ(decode_rdma_token(kToken), example());
}

TEST(S3Rdma, TokenHasOneFormOnly) {
  for (std::size_t size = 0; size < kToken.size(); ++size)
    EXPECT_EQ(decode_rdma_token(std::string_view(kToken).substr(0, size)), std::nullopt) << size;
  EXPECT_EQ(decode_rdma_token(kToken + "0"), std::nullopt);
  EXPECT_EQ(decode_rdma_token(" " + kToken), std::nullopt);
  for (std::size_t i = 0; i < kToken.size(); ++i) {
    std::string wrong = kToken;
    wrong[i] = 'G';
    EXPECT_EQ(decode_rdma_token(wrong), std::nullopt) << i;
  }
  std::string upper = kToken;
  upper.back() = 'F';
  EXPECT_EQ(decode_rdma_token(upper), std::nullopt);
}

TEST(S3Rdma, TokenOfAnotherVersionIsUnknown) {
  std::string other = kToken;
  other[other.find(":") - 1] = '2';
  EXPECT_EQ(decode_rdma_token(other), std::nullopt);
}

// addr16:size8:rkey8:lid4:qp6:gidflag1:gid32, for dynamically connected transport.
TEST(S3Rdma, TheVendorsTokenIsUnknown) {
  const std::string token =
      "00007f0123456000:00800000:0000beef:0000:000123:1:00000000000000000000ffff0a000001";
  EXPECT_EQ(token.size(), 81U);
  EXPECT_EQ(decode_rdma_token(token), std::nullopt);
}

TEST(S3Rdma, OfferIsThatOfThePage) {
  const std::string text =
      "netstor-rc-1;port=9001;session=000102030405060708090a0b0c0d0e0f;"
      "ticket=f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff;seconds=10;bytes=5368709120";
  RdmaOffer offer{.port = 9001,
                  .session = id_of("000102030405060708090a0b0c0d0e0f"),
                  .ticket = id_of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"),
                  .seconds = 10,
                  .bytes_max = std::uint64_t{5} << 30};
  EXPECT_EQ(encode(offer), text);
  EXPECT_EQ(decode_rdma_offer(text), offer);
  offer.host = "fe80::1";
  EXPECT_EQ(encode(offer), text + ";host=fe80::1");
  EXPECT_EQ(decode_rdma_offer(text + ";host=fe80::1"), offer);
}

TEST(S3Rdma, OfferWithinItsLimits) {
  const auto offer = [](const std::string& port, const std::string& seconds, const std::string& bytes,
                        const std::string& rest = "") {
    return "netstor-rc-1;port=" + port +
           ";session=000102030405060708090a0b0c0d0e0f;ticket=f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff;seconds=" +
           seconds + ";bytes=" + bytes + rest;
  };
  EXPECT_TRUE(decode_rdma_offer(offer("1", "3600", "18446744073709551615")));
  EXPECT_FALSE(decode_rdma_offer(offer("0", "10", "1")));
  EXPECT_FALSE(decode_rdma_offer(offer("65536", "10", "1")));
  EXPECT_FALSE(decode_rdma_offer(offer("09", "10", "1")));
  EXPECT_FALSE(decode_rdma_offer(offer("9", "0", "1")));
  EXPECT_FALSE(decode_rdma_offer(offer("9", "3601", "1")));
  EXPECT_FALSE(decode_rdma_offer(offer("9", "10", "0")));
  EXPECT_FALSE(decode_rdma_offer(offer("9", "10", "18446744073709551616")));
  EXPECT_FALSE(decode_rdma_offer(offer("9", "10", "1", ";host=")));
  EXPECT_FALSE(decode_rdma_offer(offer("9", "10", "1", ";host=storage.example")));
  EXPECT_FALSE(decode_rdma_offer(offer("9", "10", "1", ";host=10.0.0.1;")));
  EXPECT_TRUE(decode_rdma_offer(offer("9", "10", "1", ";host=::ffff:10.0.0.1")));
  for (const char* const other :
       {"10.0.0", "10.0.0.256", "10.0.0.01", "0a", "1", ":::1", "dead.beef", "FE80::1", "fe80::1%eth0"})
    EXPECT_FALSE(decode_rdma_offer(offer("9", "10", "1", std::string(";host=") + other))) << other;
  EXPECT_FALSE(decode_rdma_offer(offer("9", "10", "1", ";more=1")));
  EXPECT_FALSE(decode_rdma_offer(""));
}

TEST(S3Rdma, GreetingIsThatOfThePage) {
  const RdmaGreeting greeting{.session = id_of("000102030405060708090a0b0c0d0e0f"),
                              .ticket = id_of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")};
  const auto bytes = encode(greeting);
  EXPECT_EQ(to_hex(bytes),
            "4e53533300010000000102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
  RdmaStatus refusal{};
  EXPECT_EQ(decode_rdma_greeting(bytes, refusal), greeting);
  // Connection managers pad what they carry.
  std::array<std::byte, 56> padded{};
  std::ranges::copy(bytes, padded.begin());
  EXPECT_EQ(decode_rdma_greeting(padded, refusal), greeting);
}

TEST(S3Rdma, GreetingOfAnotherFormIsRefusedAsAnotherVersion) {
  const auto good = encode(RdmaGreeting{});
  RdmaStatus refusal{};
  for (std::size_t size = 0; size < good.size(); ++size) {
    refusal = RdmaStatus::accepted;
    EXPECT_EQ(decode_rdma_greeting(std::span(good).first(size), refusal), std::nullopt);
    EXPECT_EQ(refusal, RdmaStatus::version);
  }
  for (const std::size_t at : {std::size_t{0}, std::size_t{3}, std::size_t{4}, std::size_t{5}}) {
    auto wrong = good;
    wrong[at] ^= std::byte{2};
    EXPECT_EQ(decode_rdma_greeting(wrong, refusal), std::nullopt) << at;
  }
}

TEST(S3Rdma, WelcomeRoundTrips) {
  EXPECT_EQ(to_hex(encode(RdmaStatus::ticket)), "4e53533300010002");
  for (const RdmaStatus each :
       {RdmaStatus::accepted, RdmaStatus::version, RdmaStatus::ticket, RdmaStatus::resources}) {
    EXPECT_EQ(decode_rdma_welcome(encode(each)), each);
    EXPECT_FALSE(to_string(each).empty());
  }
  EXPECT_EQ(decode_rdma_welcome({}), std::nullopt);
  auto wrong = encode(RdmaStatus::ticket);
  wrong[7] = std::byte{4};
  EXPECT_EQ(decode_rdma_welcome(wrong), std::nullopt);
  wrong = encode(RdmaStatus::accepted);
  EXPECT_EQ(decode_rdma_welcome(std::span(wrong).first(7)), std::nullopt);
  wrong[0] ^= std::byte{2};
  EXPECT_EQ(decode_rdma_welcome(wrong), std::nullopt);
}

// Whatever it says in its own words.
TEST(S3Rdma, WelcomeOfAnotherVersionSaysSo) {
  for (const std::size_t at : {std::size_t{4}, std::size_t{5}}) {
    for (const RdmaStatus each : {RdmaStatus::accepted, RdmaStatus::resources}) {
      auto other = encode(each);
      other[at] ^= std::byte{2};
      EXPECT_EQ(decode_rdma_welcome(other), RdmaStatus::version) << at;
    }
  }
}

}  // namespace
}  // namespace netstor::s3
