// SPDX-License-Identifier: Apache-2.0
//
// server/s3/rdma_terms.h: who may take a session up, and which tokens are good in it. And rdma_host.h: where.

#include "server/s3/rdma_terms.h"

#include <gtest/gtest.h>

#include "server/s3/rdma_host.h"

namespace netstor::s3server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kKey = "NSTRREADER";

struct S3RdmaTerms : testing::Test {
  s3::RdmaToken token(std::uint64_t sequence = 1) const {
    return {.session = session, .sequence = sequence, .expires_ms = 1000, .address = 4096, .length = 1 << 20};
  }
  unsigned status(const s3::RdmaToken& shown, std::string_view by = kKey) {
    const auto refusal = terms.judge(shown, by, now);
    return refusal ? refusal->status : 200;
  }

  static s3::RdmaId id_of(std::uint8_t each) {
    s3::RdmaId id;
    id.fill(std::byte{each});
    return id;
  }
  const s3::RdmaId session = id_of(1);
  const s3::RdmaId ticket = id_of(2);
  Time now{seconds(100)};
  RdmaTerms terms{session, ticket, std::string(kKey), now};
};

TEST_F(S3RdmaTerms, TicketIsGoodOnce) {
  EXPECT_TRUE(terms.take_ticket(ticket, now + seconds(10)));
  EXPECT_FALSE(terms.take_ticket(ticket, now + seconds(10)));
}

TEST_F(S3RdmaTerms, WrongTicketDoesNotUseUpTheRightOne) {
  EXPECT_FALSE(terms.take_ticket(session, now));
  EXPECT_TRUE(terms.take_ticket(ticket, now));
}

TEST_F(S3RdmaTerms, TicketIsGoodForSeconds) {
  EXPECT_FALSE(terms.take_ticket(ticket, now + seconds(10) + milliseconds(1)));
}

TEST_F(S3RdmaTerms, TokensAreGoodWhileConnected) {
  EXPECT_EQ(status(token(1)), 501U);
  terms.begin(now);
  EXPECT_EQ(status(token(1)), 200U);
  terms.end();
  EXPECT_EQ(status(token(2)), 501U);
}

TEST_F(S3RdmaTerms, TokenOfAnotherSessionIsRefused) {
  terms.begin(now);
  auto others = token();
  others.session[15] ^= std::byte{1};
  EXPECT_EQ(status(others), 403U);
  EXPECT_EQ(status(token()), 200U);  // it did not count
}

TEST_F(S3RdmaTerms, TokenByAnotherKeyIsRefused) {
  terms.begin(now);
  EXPECT_EQ(status(token(), "NSTRWRITER"), 403U);
  EXPECT_EQ(status(token(), ""), 403U);
}

TEST_F(S3RdmaTerms, TokenIsGoodOnce) {
  terms.begin(now);
  EXPECT_EQ(status(token(5)), 200U);
  EXPECT_EQ(status(token(5)), 403U);
  EXPECT_EQ(status(token(4)), 403U);
  EXPECT_EQ(status(token(0)), 403U);
  EXPECT_EQ(status(token(9)), 200U);
  EXPECT_EQ(status(token(UINT64_MAX)), 200U);
}

TEST_F(S3RdmaTerms, SequenceZeroIsNever) {
  terms.begin(now);
  EXPECT_EQ(status(token(0)), 403U);
}

TEST_F(S3RdmaTerms, TokenExpires) {
  terms.begin(now);
  now += milliseconds(1000);
  EXPECT_EQ(status(token(1)), 200U);
  now += milliseconds(1);
  EXPECT_EQ(status(token(2)), 403U);
}

TEST_F(S3RdmaTerms, LengthWithinItsLimits) {
  terms.begin(now);
  auto shown = token(1);
  shown.length = 0;
  EXPECT_EQ(status(shown), 400U);
  shown = token(2);
  shown.length = RdmaTerms::kBytesMax;
  EXPECT_EQ(status(shown), 200U);
  shown = token(3);
  shown.length = RdmaTerms::kBytesMax + 1;
  EXPECT_EQ(status(shown), 501U);
  shown = token(4);
  shown.address = UINT64_MAX;
  EXPECT_EQ(status(shown), 400U);
  shown.sequence = 5;
  shown.length = 1;
  EXPECT_EQ(status(shown), 200U);
}

TEST_F(S3RdmaTerms, UnknownFormsAreDeclined) {
  terms.begin(now);
  s3::RdmaToken out;
  const auto judged = [&](std::string_view text, RdmaTerms* of) {
    const auto refusal = judge_rdma_token(text, of, kKey, now, out);
    return refusal ? refusal->status : 200;
  };
  EXPECT_EQ(judged("", &terms), 501U);
  EXPECT_EQ(
      judged("00007f0123456000:00800000:0000beef:0000:000123:1:00000000000000000000ffff0a000001", &terms),
      501U);
  EXPECT_EQ(judged(encode(token()), nullptr), 501U);
  EXPECT_EQ(judged(encode(token()), &terms), 200U);
  EXPECT_EQ(out, token());
}

TEST(S3RdmaHost, IsOfferedAsTheSystemWritesIt) {
  const auto offered = [](const char* host) { return rdma_host_to_offer({.host = host, .port = 9001}); };
  EXPECT_EQ(offered("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(offered("2001:DB8:0::1"), "2001:db8::1");
  for (const char* everywhere : {"0.0.0.0", "::", "::0", "0:0:0:0:0:0:0:0"})
    EXPECT_EQ(offered(everywhere), "");
  const s3::RdmaOffer offer{.port = 9001, .seconds = 10, .bytes_max = 1, .host = offered("FE80::A")};
  EXPECT_EQ(s3::decode_rdma_offer(encode(offer)), offer);
}

}  // namespace
}  // namespace netstor::s3server
