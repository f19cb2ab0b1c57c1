// SPDX-License-Identifier: Apache-2.0
//
// The initiator's end of an NVMe/RDMA queue pair, message by message: no card.

#include <gtest/gtest.h>

#include "lib/proto/nvme/rdma_host_queue.h"
#include "tests/unit/host_queue_fixture.h"

namespace netstor::nvme::rdma {
namespace {

using tcp::test::Request;

constexpr Time kNow{std::chrono::seconds(100)};

/// Opens windows under made up keys, and closes them when the test says so.
class Owner final : public HostOwner {
 public:
  bool place(std::uint16_t slot, HostRequest& request, bool in_capsule, SglDescriptor& where) override {
    if (places == 0) return false;
    --places;
    if (in_capsule) {
      where = in_capsule_data(0, request.length);
    } else {
      where = keyed_data_block(0x1000u + slot, request.length, 0x70u + slot, true);
    }
    return true;
  }
  void close_window(std::uint16_t slot) override { closing.push_back(slot); }
  void window_ended(std::uint16_t slot) override { ended.push_back(slot); }
  bool apart(std::uint16_t) const override { return is_apart; }
  void settle(std::uint16_t, bool deliver) override {
    ++places;
    settled.push_back(deliver);
  }

  int places = 100;
  bool is_apart = false;
  std::vector<std::uint16_t> closing, ended;
  std::vector<bool> settled;
};

class RdmaHostQueueTest : public ::testing::Test {
 protected:
  /// Submits, and takes what is to be sent.
  HostMessage start(Request& request) {
    EXPECT_TRUE(queue.submit(request));
    HostMessage out;
    EXPECT_TRUE(queue.next(out));
    EXPECT_EQ(out.request, &request);
    return out;
  }
  bool answer(const Request& request, std::uint32_t ended_key = 0, Status status = {}) {
    std::array<std::byte, kCompletionBytes> bytes;
    encode(Completion{.cid = request.sqe.cid(), .status = status}, std::span(bytes));
    return queue.received(bytes, ended_key);
  }
  bool nothing_to_send() {
    HostMessage out;
    return !queue.next(out);
  }

  Owner owner;
  HostQueue queue{owner, {.depth = 4, .in_capsule_max = 4096, .transfer_max = 1 << 20}};
};

TEST_F(RdmaHostQueueTest, ReadsUnderAKeyThatTheControllerEnds) {
  auto request = Request::read(8192);
  const HostMessage out = start(*request);
  EXPECT_FALSE(out.in_capsule);
  const SglDescriptor sgl = request->sqe.sgl();
  EXPECT_EQ(sgl, keyed_data_block(0x1000u + out.slot, 8192, 0x70u + out.slot, true));
  queue.sent(out.slot);
  EXPECT_TRUE(answer(*request, sgl.key));
  EXPECT_TRUE(request->succeeded());
  EXPECT_TRUE(owner.closing.empty());
  EXPECT_EQ(owner.settled, std::vector<bool>{true});
  EXPECT_EQ(queue.room(), 4u);
}

TEST_F(RdmaHostQueueTest, GivesMemoryBackOnlyWhenTheKeyHasEnded) {
  auto request = Request::read(8192);
  const HostMessage out = start(*request);
  queue.sent(out.slot);
  EXPECT_TRUE(answer(*request));
  EXPECT_EQ(request->times_done, 0);
  EXPECT_EQ(owner.closing, std::vector<std::uint16_t>{out.slot});
  queue.closed(out.slot);
  EXPECT_TRUE(request->succeeded());
}

TEST_F(RdmaHostQueueTest, GivesMemoryBackOnlyWhenItsMessageHasLeft) {
  auto request = Request::write(512);
  const HostMessage out = start(*request);
  EXPECT_TRUE(out.in_capsule);
  EXPECT_EQ(request->sqe.sgl(), in_capsule_data(0, 512));
  EXPECT_TRUE(answer(*request));
  EXPECT_EQ(request->times_done, 0);
  queue.sent(out.slot);
  EXPECT_TRUE(request->succeeded());
}

TEST_F(RdmaHostQueueTest, NamesAnEmptyKeyWhereThereIsNoData) {
  auto request = Request::flush();
  const HostMessage out = start(*request);
  EXPECT_EQ(request->sqe.sgl(), keyed_data_block(0, 0, 0));
  queue.sent(out.slot);
  EXPECT_TRUE(answer(*request));
  EXPECT_TRUE(request->succeeded());
}

TEST_F(RdmaHostQueueTest, WaitsForAPlaceInOrder) {
  owner.places = 1;
  auto first = Request::read(8192), second = Request::read(8192);
  const HostMessage out = start(*first);
  ASSERT_TRUE(queue.submit(*second));
  EXPECT_TRUE(nothing_to_send());
  queue.sent(out.slot);
  EXPECT_TRUE(answer(*first, first->sqe.sgl().key));
  HostMessage next;
  EXPECT_TRUE(queue.next(next));
  EXPECT_EQ(next.request, second.get());
}

TEST_F(RdmaHostQueueTest, SendsAFusedPairTogetherOrNotYet) {
  owner.places = 1;
  auto compare = Request::make(IoOpcode::compare, 0), write = Request::write(8192);
  compare->transfer = Transfer::to_controller;
  compare->length = 8192;
  ASSERT_TRUE(queue.submit_fused(*compare, *write));
  EXPECT_TRUE(nothing_to_send());
  owner.places = 1;
  HostMessage first, second;
  ASSERT_TRUE(queue.next(first));
  ASSERT_TRUE(queue.next(second));
  EXPECT_EQ(first.request, compare.get());
  EXPECT_EQ(second.request, write.get());
  EXPECT_EQ(write->sqe.fuse(), Fuse::second);
}

TEST_F(RdmaHostQueueTest, TakesNoMoreThanItsDepth) {
  std::vector<std::unique_ptr<Request>> requests;
  for (int i = 0; i < 4; ++i) requests.push_back(Request::flush());
  for (auto& each : requests) EXPECT_TRUE(queue.submit(*each));
  auto more = Request::flush();
  EXPECT_FALSE(queue.submit(*more));
  queue.fail_all(kNow);
}

TEST_F(RdmaHostQueueTest, CancelsAtOnceWhatWasNotSent) {
  auto request = Request::read(8192);
  ASSERT_TRUE(queue.submit(*request));
  queue.cancel(*request);
  EXPECT_TRUE(request->cancelled());
  EXPECT_TRUE(nothing_to_send());
  EXPECT_EQ(queue.room(), 4u);
}

TEST_F(RdmaHostQueueTest, CancelsWhatTheControllerCanReachOnlyWithItsAnswer) {
  auto request = Request::read(8192);
  const HostMessage out = start(*request);
  queue.sent(out.slot);
  queue.cancel(*request);
  EXPECT_EQ(request->times_done, 0);
  EXPECT_TRUE(answer(*request, request->sqe.sgl().key));
  EXPECT_TRUE(request->succeeded());
}

TEST_F(RdmaHostQueueTest, CancelsAtOnceWhatLiesApart) {
  owner.is_apart = true;
  auto request = Request::read(8192);
  const HostMessage out = start(*request);
  queue.cancel(*request);
  EXPECT_EQ(request->times_done, 0) << "its message is still on the way";
  queue.sent(out.slot);
  EXPECT_TRUE(request->cancelled());
  EXPECT_EQ(queue.room(), 3u) << "the place stays taken until the controller answers";
  EXPECT_TRUE(answer(*request, request->sqe.sgl().key));
  EXPECT_EQ(owner.settled, std::vector<bool>{false});
  EXPECT_EQ(queue.room(), 4u);
}

TEST_F(RdmaHostQueueTest, EndsAWindowThatWasOpenedForNothing) {
  owner.places = 1;
  auto compare = Request::make(IoOpcode::compare, 0), write = Request::write(8192);
  compare->transfer = Transfer::to_controller;
  compare->length = 8192;
  ASSERT_TRUE(queue.submit_fused(*compare, *write));
  EXPECT_TRUE(nothing_to_send());
  queue.cancel(*compare);
  EXPECT_TRUE(compare->cancelled());
  EXPECT_TRUE(write->cancelled());
  EXPECT_TRUE(nothing_to_send());
  ASSERT_EQ(owner.closing.size(), 1u);
  EXPECT_EQ(queue.room(), 3u);
  queue.closed(owner.closing[0]);
  EXPECT_EQ(queue.room(), 4u);
}

TEST_F(RdmaHostQueueTest, GivesEverythingBackInTheEnd) {
  auto sent = Request::read(8192), queued = Request::read(8192), late = Request::read(8192);
  late->deadline = kNow - std::chrono::seconds(1);
  start(*sent);
  start(*late);
  ASSERT_TRUE(queue.submit(*queued));
  EXPECT_TRUE(queue.overdue(kNow));
  queue.fail_all(kNow);
  EXPECT_EQ(sent->outcome, HostOutcome::lost);
  EXPECT_TRUE(sent->sent);
  EXPECT_EQ(late->outcome, HostOutcome::timed_out);
  EXPECT_EQ(queued->outcome, HostOutcome::lost);
  EXPECT_FALSE(queued->sent);
  EXPECT_EQ(owner.settled.size(), 2u);
  auto more = Request::flush();
  EXPECT_FALSE(queue.submit(*more));
}

TEST_F(RdmaHostQueueTest, EndsTheConnectionAtAResponseOfAnotherLength) {
  const std::array<std::byte, 15> shorter{};
  EXPECT_FALSE(queue.received(shorter, 0));
  EXPECT_EQ(queue.fault(), HostFault::message_length);
}

TEST_F(RdmaHostQueueTest, EndsTheConnectionAtAnAnswerToNothing) {
  auto request = Request::flush();
  request->sqe.set_cid(77);
  EXPECT_FALSE(answer(*request));
  EXPECT_EQ(queue.fault(), HostFault::unknown_command);
}

TEST_F(RdmaHostQueueTest, EndsTheConnectionAtASecondAnswer) {
  auto request = Request::read(8192);
  start(*request);
  EXPECT_TRUE(answer(*request));
  EXPECT_FALSE(answer(*request));
  EXPECT_EQ(queue.fault(), HostFault::unknown_command);
  queue.fail_all(kNow);
}

TEST_F(RdmaHostQueueTest, EndsTheConnectionWhenAnotherKeyEnds) {
  auto request = Request::read(8192);
  start(*request);
  EXPECT_FALSE(answer(*request, request->sqe.sgl().key + 1));
  EXPECT_EQ(queue.fault(), HostFault::foreign_key);
  EXPECT_EQ(request->times_done, 0);
  queue.fail_all(kNow);
  EXPECT_EQ(request->outcome, HostOutcome::lost);
}

TEST_F(RdmaHostQueueTest, EndsTheConnectionAtAQueueHeadBeyondTheQueue) {
  queue.enable_flow_control(5, 0);
  auto request = Request::flush();
  start(*request);
  std::array<std::byte, kCompletionBytes> bytes;
  encode(Completion{.sqhd = 5, .cid = request->sqe.cid()}, std::span(bytes));
  EXPECT_FALSE(queue.received(bytes, 0));
  EXPECT_EQ(queue.fault(), HostFault::queue_head);
  queue.fail_all(kNow);
}

}  // namespace
}  // namespace netstor::nvme::rdma
