// SPDX-License-Identifier: Apache-2.0
//
// How a HostQueue lets go of requests before their answer: cancel, timeout, loss. What matters is when the
// memory is free again, and what is said about a write that may have happened.

#include <gtest/gtest.h>

#include "lib/proto/nvme/host_queue.h"
#include "tests/unit/nvme_tcp_peer.h"

namespace netstor::nvme::tcp {
namespace {

using test::Answers;
using test::ByteVector;
using test::SentPdu;

struct Request : HostRequest {
  Request(IoOpcode opcode, std::uint32_t size)
      : memory(opcode == IoOpcode::read ? ByteVector(size) : test::pattern(size)),
        piece{.iov_base = memory.data(), .iov_len = size} {
    sqe = make_command(opcode, 0, 1);
    pieces = &piece;
    piece_count = 1;
    length = size;
    transfer = opcode == IoOpcode::read ? Transfer::from_controller : Transfer::to_controller;
    done = [](HostRequest& self) noexcept { ++static_cast<Request&>(self).times_done; };
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  bool cancelled() const { return times_done == 1 && outcome == HostOutcome::cancelled; }
  ByteVector memory;
  iovec piece;
  int times_done = 0;
};

class HostQueueEnd : public testing::Test {
 protected:
  void SetUp() override {
    send();
    ASSERT_TRUE(feed(Answers().ic_resp({.maxh2cdata = 4096})));
  }
  std::vector<SentPdu> gather() {
    batch.clear();
    queue.gather(batch);
    test::append(sent, test::flatten(batch));
    return test::take_pdus(sent);
  }
  std::vector<SentPdu> send() {
    auto pdus = gather();
    queue.batch_sent();
    return pdus;
  }
  std::uint16_t start(Request& request) {
    EXPECT_TRUE(queue.submit(request));
    return send().at(0).command().cid();
  }
  bool feed(const Answers& answers, std::size_t step = ~std::size_t{0}) {
    return test::feed(queue, answers.bytes, step);
  }

  HostQueue queue{{.depth = 2, .in_capsule_max = 512}};
  SendBatch batch;
  ByteVector sent;
};

TEST_F(HostQueueEnd, CancelBeforeSendingSendsNothing) {
  Request write(IoOpcode::write, 512);
  ASSERT_TRUE(queue.submit(write));
  queue.cancel(write);
  EXPECT_TRUE(write.cancelled());
  EXPECT_FALSE(write.sent);
  EXPECT_TRUE(send().empty());
  EXPECT_EQ(queue.outstanding(), 0u);
}

TEST_F(HostQueueEnd, CancelledReadLetsGoAtOnceAndItsDataIsDropped) {
  Request read(IoOpcode::read, 512);
  const std::uint16_t cid = start(read);
  queue.cancel(read);
  EXPECT_TRUE(read.cancelled());
  EXPECT_EQ(queue.outstanding(), 1u);  // until the controller has answered
  ASSERT_TRUE(feed(Answers().data(cid, 0, test::pattern(512), true, true), 100));
  EXPECT_EQ(read.memory, ByteVector(512));
  EXPECT_EQ(read.times_done, 1);
  EXPECT_EQ(queue.outstanding(), 0u);
}

TEST_F(HostQueueEnd, CancelOfAReadWaitsForThePayloadThatIsArriving) {
  Request read(IoOpcode::read, 1024);
  const std::uint16_t cid = start(read);
  Answers answers;
  answers.data(cid, 0, test::pattern(512), false, false);
  const std::span<const std::byte> bytes(answers.bytes);
  ASSERT_TRUE(test::feed(queue, bytes.first(200)));
  queue.cancel(read);
  EXPECT_EQ(read.times_done, 0);
  ASSERT_TRUE(test::feed(queue, bytes.subspan(200)));
  EXPECT_TRUE(read.cancelled());
  ASSERT_TRUE(feed(Answers().data(cid, 512, test::pattern(512), true, true)));
  EXPECT_EQ(queue.outstanding(), 0u);
}

TEST_F(HostQueueEnd, CancelOfAWriteWaitsForTheBatchInFlight) {
  Request write(IoOpcode::write, 512);
  ASSERT_TRUE(queue.submit(write));
  const auto pdus = gather();
  queue.cancel(write);
  EXPECT_EQ(write.times_done, 0);
  queue.batch_sent();
  EXPECT_TRUE(write.cancelled());
  EXPECT_TRUE(write.sent);
  ASSERT_TRUE(feed(Answers().response(pdus[0].command().cid())));
  EXPECT_EQ(queue.outstanding(), 0u);
}

TEST_F(HostQueueEnd, CancelledWriteGoesOnFromACopy) {
  Request write(IoOpcode::write, 8192);
  const ByteVector before = write.memory;
  const std::uint16_t cid = start(write);
  queue.cancel(write);
  EXPECT_TRUE(write.cancelled());
  EXPECT_TRUE(write.sent);
  std::ranges::fill(write.memory, std::byte{0xEE});
  ASSERT_TRUE(feed(Answers().r2t(cid, 1, 0, 8192)));
  const auto pdus = send();
  ASSERT_EQ(pdus.size(), 2u);
  EXPECT_TRUE(std::ranges::equal(pdus[0].data(), std::span(before).first(4096)));
  EXPECT_TRUE(std::ranges::equal(pdus[1].data(), std::span(before).subspan(4096)));
  ASSERT_TRUE(feed(Answers().response(cid)));
  EXPECT_EQ(queue.outstanding(), 0u);
}

TEST_F(HostQueueEnd, SecondCancelledWriteWaitsUntilItsDataIsSent) {
  Request one(IoOpcode::write, 1024), two(IoOpcode::write, 1024);
  start(one);
  const std::uint16_t cid = start(two);
  queue.cancel(one);
  queue.cancel(two);
  EXPECT_TRUE(one.cancelled());
  EXPECT_EQ(two.times_done, 0);
  ASSERT_TRUE(feed(Answers().r2t(cid, 1, 0, 1024)));
  EXPECT_EQ(send().size(), 1u);
  EXPECT_TRUE(two.cancelled());
  queue.fail_all(Time{});
}

TEST_F(HostQueueEnd, CancelledFusedPairGoesTogether) {
  Request compare(IoOpcode::compare, 512), write(IoOpcode::write, 512);
  ASSERT_TRUE(queue.submit_fused(compare, write));
  queue.cancel(compare);
  EXPECT_TRUE(compare.cancelled());
  EXPECT_TRUE(write.cancelled());
  EXPECT_TRUE(send().empty());
  EXPECT_EQ(queue.outstanding(), 0u);
}

TEST_F(HostQueueEnd, CancelAfterDoneDoesNothing) {
  Request read(IoOpcode::read, 512);
  const std::uint16_t cid = start(read);
  ASSERT_TRUE(feed(Answers().data(cid, 0, test::pattern(512), true, true)));
  queue.cancel(read);
  EXPECT_EQ(read.times_done, 1);
  EXPECT_EQ(read.outcome, HostOutcome::answered);
}

TEST_F(HostQueueEnd, LossTellsWhatWasSent) {
  Request sent_one(IoOpcode::write, 512), kept(IoOpcode::write, 512);
  start(sent_one);
  ASSERT_TRUE(queue.submit(kept));
  queue.fail_all(Time{});
  EXPECT_EQ(sent_one.outcome, HostOutcome::lost);
  EXPECT_TRUE(sent_one.sent);
  EXPECT_EQ(kept.outcome, HostOutcome::lost);
  EXPECT_FALSE(kept.sent);
  EXPECT_FALSE(queue.submit(kept));
}

TEST_F(HostQueueEnd, OverdueRequestTimesOutAndOthersAreLost) {
  using std::chrono::seconds;
  Request late(IoOpcode::read, 512), other(IoOpcode::read, 512);
  late.deadline = Time(seconds(10));
  other.deadline = Time(seconds(20));
  start(late);
  start(other);
  EXPECT_EQ(queue.next_deadline(), Time(seconds(10)));
  EXPECT_FALSE(queue.overdue(Time(seconds(9))));
  ASSERT_TRUE(queue.overdue(Time(seconds(10))));
  queue.fail_all(Time(seconds(10)));
  EXPECT_EQ(late.outcome, HostOutcome::timed_out);
  EXPECT_EQ(other.outcome, HostOutcome::lost);
}

TEST_F(HostQueueEnd, AnsweredRequestsAreNotOverdue) {
  using std::chrono::seconds;
  Request read(IoOpcode::read, 512);
  read.deadline = Time(seconds(10));
  const std::uint16_t cid = start(read);
  ASSERT_TRUE(feed(Answers().data(cid, 0, test::pattern(512), true, true)));
  EXPECT_FALSE(queue.overdue(Time(seconds(11))));
  EXPECT_EQ(queue.next_deadline(), Time::max());
}

TEST_F(HostQueueEnd, DoneMaySubmitAgain) {
  struct Again : Request {
    explicit Again(HostQueue* to) : Request(IoOpcode::read, 512), queue(to) {
      done = [](HostRequest& self) noexcept {
        auto& again = static_cast<Again&>(self);
        if (++again.times_done < 5) {
          EXPECT_TRUE(again.queue->submit(self));
        }
      };
    }
    HostQueue* queue;
  } read(&queue);
  ASSERT_TRUE(queue.submit(read));
  for (int i = 0; i < 5; ++i) {
    const auto pdus = send();
    ASSERT_EQ(pdus.size(), 1u);
    ASSERT_TRUE(feed(Answers().data(pdus[0].command().cid(), 0, test::pattern(512), true, true)));
  }
  EXPECT_EQ(read.times_done, 5);
  EXPECT_TRUE(send().empty());
}

}  // namespace
}  // namespace netstor::nvme::tcp
