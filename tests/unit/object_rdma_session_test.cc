// SPDX-License-Identifier: Apache-2.0
// The client's end of a session of S3 over RDMA: how long what it registers stays, and links that are gone
// before they are used. Over a card that only keeps card.

#include "lib/object/rdma_session.h"

#include "tests/unit/paper_card.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

namespace netstor::object {
namespace {

struct Owner final : RdmaSession::Owner {
  void rdma_connected() override { ++connected; }
  void rdma_opened() override { ++opened; }
  void rdma_released() override { ++released; }
  void rdma_lost() override { ++lost; }
  void rdma_closed() override { ++closed; }
  int connected = 0, opened = 0, released = 0, lost = 0, closed = 0;
};

class ObjectRdmaSession : public testing::Test {
 protected:
  struct End {
    explicit End(ObjectRdmaSession& test)
        : session(test.card, test.loop, owner, {.port = 1, .host = "10.0.0.1"}, "", Time::max()) {
      test.card.poll(1);
    }
    Owner owner;
    RdmaSession session;
  };
  iovec bytes(std::size_t from, std::size_t count) {
    return {.iov_base = memory.data() + from, .iov_len = count};
  }
  void close(End& end) {
    end.session.close();
    card.poll(1);
    ASSERT_TRUE(end.session.closed());
  }

  std::vector<std::byte> memory = std::vector<std::byte>(4096);
  PaperCard card;
  detail::ShardLoop loop{{.seed = 1, .io_driver = drivers()[0], .clock = &SteadyClock::instance()}};
};

TEST_F(ObjectRdmaSession, WhatTwoRequestsLieInStaysForTheSecond) {
  End first(*this), second(*this);
  ASSERT_TRUE(first.session.open(bytes(0, 4096), true, std::chrono::seconds(1)));
  ASSERT_TRUE(second.session.open(bytes(1024, 1024), false, std::chrono::seconds(1)));
  card.poll(1);
  first.session.release();
  card.poll(1);
  EXPECT_EQ(first.owner.released, 1);
  EXPECT_FALSE(card.link->registered_around(bytes(1024, 1024)).empty());
  second.session.release();
  card.poll(1);
  EXPECT_TRUE(card.registered.empty());
  close(first);
  close(second);
}

TEST_F(ObjectRdmaSession, WhatTheUserHasRegisteredOutlastsAForgettingInTheMiddle) {
  ASSERT_TRUE(card.register_memory(memory));
  End end(*this);
  ASSERT_TRUE(end.session.open(bytes(10, 10), true, std::chrono::seconds(1)));
  card.forget_memory(memory);
  EXPECT_EQ(card.registered.size(), 1U);
  close(end);
  EXPECT_TRUE(card.registered.empty());
}

TEST_F(ObjectRdmaSession, MemoryThatIsRefusedLeavesTheSession) {
  End end(*this);
  card.refuses = true;
  EXPECT_FALSE(end.session.open(bytes(0, 10), true, std::chrono::seconds(1)));
  EXPECT_FALSE(end.session.holds_memory());
  EXPECT_TRUE(end.session.connected());
  close(end);
}

TEST_F(ObjectRdmaSession, ALinkThatIsBrokenAlreadyIsNoSession) {
  card.breaks = true;
  End end(*this);
  EXPECT_EQ(end.owner.connected, 0);  // it is closed first
  card.poll(1);
  EXPECT_EQ(end.owner.connected, 1);
  EXPECT_FALSE(end.session.connected());
  EXPECT_TRUE(end.session.closed());
}

/// Why there is none, and whether another may be had.
struct Refusal {
  PaperAnswer answer;
  const char* text;
  bool passing;
};

TEST_F(ObjectRdmaSession, SaysWhyThereIsNone) {
  const OpResult refused = OpResult::system(ECONNREFUSED);
  auto later = words(s3::RdmaStatus::accepted);
  later[5] = std::byte{2};
  const Refusal refusals[] = {
      {{refused, words(s3::RdmaStatus::version)}, "another version", false},
      {{refused, later}, "another version", false},
      {{{}, later}, "another version", false},
      {{{}, {}}, "another version", false},  // who accepts without a word is somebody else
      {{refused, words(s3::RdmaStatus::ticket)}, "the ticket is not good", true},
      {{refused, words(s3::RdmaStatus::resources)}, "no resources", true},
      {{refused, std::vector<std::byte>(56)}, "10.0.0.1 port 1: Connection refused", true},
      {{OpResult::system(EHOSTUNREACH), {}}, "No route to host", true},
      {{OpResult::failure(ErrorKind::timed_out), {}}, "timed out", true},
      {{OpResult::system(ENODEV), {}}, "No such device", false},
      {{OpResult::failure(ErrorKind::unsupported), {}}, "unsupported", false},
  };
  for (const Refusal& each : refusals) {
    card.answers = {each.answer};
    End end(*this);
    card.poll(1);
    EXPECT_EQ(end.owner.connected, 1) << each.text;
    ASSERT_TRUE(end.session.closed()) << each.text;
    const RdmaFailure& failure = end.session.failure();
    EXPECT_NE(failure.why.find(each.text), std::string::npos) << failure.why;
    EXPECT_EQ(failure.passing, each.passing) << failure.why;
    EXPECT_EQ(failure.kind == ErrorKind::unsupported, !each.passing) << failure.why;
    if (failure.why.find("No such device") == failure.why.npos) continue;
    EXPECT_EQ(failure.origin, Origin::system);
    EXPECT_EQ(failure.native, ENODEV);
  }
}

TEST_F(ObjectRdmaSession, ConnectingEndsWhenItIsClosed) {
  card.is_silent = true;
  End end(*this);
  EXPECT_FALSE(end.session.connected());
  end.session.close();
  EXPECT_FALSE(end.session.closed());  // the card is still to say so
  card.poll(1);
  EXPECT_TRUE(end.session.closed());
  EXPECT_EQ(end.owner.connected, 0);
  EXPECT_EQ(end.owner.closed, 1);
}

// The answer is there, and nobody has looked at it yet.
TEST_F(ObjectRdmaSession, ConnectionThatIsThereWhenItIsNotWantedIsClosed) {
  Owner owner;
  RdmaSession session(card, loop, owner, {.port = 1, .host = "10.0.0.1"}, "", Time::max());
  session.close();
  card.poll(1);
  EXPECT_FALSE(session.closed());
  card.poll(1);
  EXPECT_TRUE(session.closed());
  EXPECT_EQ(owner.connected, 0);
  EXPECT_EQ(owner.closed, 1);
}

TEST_F(ObjectRdmaSession, ALinkThatBreaksIsNotConnected) {
  End end(*this);
  EXPECT_TRUE(end.session.connected());
  card.link->lose();
  EXPECT_FALSE(end.session.connected());
  EXPECT_EQ(end.owner.lost, 1);
  close(end);
  EXPECT_EQ(end.owner.closed, 1);
}

TEST_F(ObjectRdmaSession, WhatALinkThatBreaksWasLentIsLentUntilItIsClosed) {
  End end(*this);
  ASSERT_TRUE(end.session.open(bytes(0, 10), true, std::chrono::seconds(1)));
  card.poll(1);
  ASSERT_EQ(end.owner.opened, 1);
  card.link->lose();
  end.session.release();
  card.poll(1);
  EXPECT_EQ(end.owner.released, 0);
  EXPECT_TRUE(end.session.holds_memory());
  EXPECT_FALSE(card.registered.empty());
  close(end);
  EXPECT_FALSE(end.session.holds_memory());
  EXPECT_TRUE(card.registered.empty());
}

}  // namespace
}  // namespace netstor::object
