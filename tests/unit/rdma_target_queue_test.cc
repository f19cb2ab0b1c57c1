// SPDX-License-Identifier: Apache-2.0
//
// The target's end of an NVMe/RDMA queue pair, message by message: no card, no store.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "lib/proto/nvme/rdma_target_queue.h"
#include "tests/unit/controller_fixture.h"

namespace netstor::nvme::rdma {
namespace {

using testing::kHostNqn;
using testing::kSubsystemNqn;

constexpr std::uint32_t kBlock = 4096;
constexpr std::uint32_t kKey = 0x55;
constexpr std::uint64_t kAddress = 0x7000;

class Owner final : public TargetOwner, public TargetCard {
 public:
  Owner() : view(subsystem.add(1)) {}

  void connect(TargetRequest& request, const Connect& asked, const ConnectData& data) override {
    EXPECT_EQ(data.subnqn.view(), kSubsystemNqn);
    queue->accept(request, {.cntlid = 3,
                            .entries = static_cast<std::uint16_t>(asked.sqsize + 1),
                            .admin = false,
                            .sq_flow_control = true,
                            .in_capsule_bytes = in_capsule});
  }
  Status admit(TargetRequest& request) override {
    request.wants_in_place = true;
    return plan_io(request.command, subsystem.find(request.command.nsid()), 1 << 20, request.plan);
  }
  bool buffer(TargetRequest& request) override {
    if (buffers == 0) return false;
    --buffers;
    memory = {.iov_base = bytes.data(), .iov_len = request.plan.to_controller};
    request.pieces = &memory;
    request.piece_count = 1;
    return true;
  }
  void execute(TargetRequest& request) override { executed.push_back(&request); }
  void release(TargetRequest&) noexcept override { ++released; }
  void give_back(std::uint32_t receive) noexcept override { EXPECT_EQ(out.erase(receive), 1u); }
  std::byte* connect_memory(unsigned number) noexcept override { return connects[number].data(); }

  testing::FakeSubsystem subsystem;
  NamespaceView& view;
  std::vector<std::byte> bytes = std::vector<std::byte>(1 << 20);
  iovec memory{};
  std::array<std::array<std::byte, kConnectDataBytes>, kConnects> connects{};
  std::vector<TargetRequest*> executed;
  std::set<std::uint32_t> out;  // receives that the queue has
  TargetQueue* queue = nullptr;
  std::uint32_t in_capsule = 4096;
  int released = 0;
  int buffers = 100;
};

class RdmaTargetQueueTest : public ::testing::Test {
 protected:
  RdmaTargetQueueTest() { owner.queue = &queue; }

  bool feed(Command command, std::span<const std::byte> data = {}) {
    messages.emplace_back(command.bytes.begin(), command.bytes.end());
    messages.back().insert(messages.back().end(), data.begin(), data.end());
    return feed_raw(messages.back());
  }
  bool feed_raw(std::span<const std::byte> bytes) {
    const auto receive = static_cast<std::uint32_t>(received_++);
    owner.out.insert(receive);
    return queue.received(receive, bytes);
  }
  void connect(std::uint16_t sqsize = 3) {
    std::array<std::byte, kConnectDataBytes> data{};
    encode(ConnectData{.subnqn = NqnField(kSubsystemNqn), .hostnqn = NqnField(kHostNqn)}, std::span(data));
    Command command = make_connect(1, {.qid = 1, .sqsize = sqsize}, {});
    command.set_sgl(in_capsule_data(0, kConnectDataBytes));
    ASSERT_TRUE(feed(command, data));
    ASSERT_TRUE(queue.connected());
    EXPECT_TRUE(answer_of(1).status.ok());
  }
  void pull_connect_data(TargetRequest& request) {
    encode(ConnectData{.subnqn = NqnField(kSubsystemNqn), .hostnqn = NqnField(kHostNqn)},
           std::span<std::byte, kConnectDataBytes>(static_cast<std::byte*>(request.pieces[0].iov_base),
                                                   kConnectDataBytes));
    queue.pulled(request);
  }
  /// The next work, which has to be the answer to this command; it leaves at once.
  Completion answer_of(std::uint16_t cid) {
    TargetWork work;
    EXPECT_TRUE(queue.next(work)) << cid;
    if (work.request == nullptr) return {};
    EXPECT_EQ(work.kind, TargetWork::Kind::answer);
    EXPECT_EQ(work.response.cid, cid);
    last_ = work;
    queue.sent(*work.request);
    return work.response;
  }
  Command io(IoOpcode opcode, std::uint16_t cid, const SglDescriptor& sgl, std::uint16_t blocks = 1) {
    const BlockIo range{.slba = 0, .blocks = blocks};
    Command command = opcode == IoOpcode::read ? make_read(cid, 1, range) : make_write(cid, 1, range);
    command.set_sgl(sgl);
    return command;
  }
  void expect_refused(const Command& command, GenericStatus status, std::span<const std::byte> data = {}) {
    EXPECT_TRUE(feed(command, data));
    EXPECT_EQ(answer_of(command.cid()).status, refused(status));
    EXPECT_TRUE(owner.executed.empty());
    EXPECT_TRUE(owner.out.empty());
  }

  Owner owner;
  TargetQueue queue{owner, owner};
  TargetWork last_;

 private:
  std::vector<std::vector<std::byte>> messages;
  int received_ = 0;
};

TEST_F(RdmaTargetQueueTest, PullsTheDataOfAConnectThatHasAKey) {
  Command command = make_connect(9, {.qid = 1, .sqsize = 3}, {});
  command.set_sgl(keyed_data_block(kAddress, kConnectDataBytes, kKey));
  ASSERT_TRUE(feed(command));
  TargetWork work;
  ASSERT_TRUE(queue.next(work));
  EXPECT_EQ(work.kind, TargetWork::Kind::pull);
  EXPECT_EQ(work.address, kAddress);
  EXPECT_EQ(work.key, kKey);
  pull_connect_data(*work.request);
  EXPECT_TRUE(queue.connected());
  EXPECT_TRUE(answer_of(9).status.ok());
  EXPECT_TRUE(owner.out.empty());
}

// However late its data would be here.
TEST_F(RdmaTargetQueueTest, RefusesASecondConnectWhileTheDataOfTheFirstIsPulled) {
  Command command = make_connect(9, {.qid = 1, .sqsize = 3}, {});
  command.set_sgl(keyed_data_block(kAddress, kConnectDataBytes, kKey));
  ASSERT_TRUE(feed(command));
  command.set_cid(10);
  ASSERT_TRUE(feed(command));
  TargetWork first;
  ASSERT_TRUE(queue.next(first));
  ASSERT_EQ(first.kind, TargetWork::Kind::pull);
  ASSERT_EQ(first.request->command.cid(), 9);
  EXPECT_EQ(answer_of(10).status, refused(GenericStatus::command_sequence_error));
  pull_connect_data(*first.request);
  EXPECT_TRUE(queue.connected());
  EXPECT_TRUE(answer_of(9).status.ok());
  EXPECT_TRUE(owner.executed.empty());
}

TEST_F(RdmaTargetQueueTest, PushesAReadAndEndsItsKey) {
  connect();
  ASSERT_TRUE(feed(io(IoOpcode::read, 5, keyed_data_block(kAddress, kBlock, kKey, true))));
  ASSERT_EQ(owner.executed.size(), 1u);
  EXPECT_EQ(owner.out.size(), 1u);
  TargetRequest& request = *owner.executed[0];
  request.send_bytes = kBlock;
  queue.complete(request, {});
  TargetWork work;
  ASSERT_TRUE(queue.next(work));
  EXPECT_EQ(work.push_bytes, kBlock);
  EXPECT_EQ(work.address, kAddress);
  EXPECT_EQ(work.key, kKey);
  EXPECT_EQ(work.end_key, kKey);
  EXPECT_TRUE(owner.out.empty()) << "the receive is laid out again before the response goes";
  EXPECT_EQ(owner.released, 0);
  queue.sent(request);
  EXPECT_EQ(owner.released, 1);
}

TEST_F(RdmaTargetQueueTest, PullsAWriteWhenThereIsMemory) {
  connect();
  owner.buffers = 0;
  ASSERT_TRUE(feed(io(IoOpcode::write, 5, keyed_data_block(kAddress, kBlock, kKey))));
  TargetWork work;
  EXPECT_FALSE(queue.next(work));
  EXPECT_TRUE(queue.waits_for_buffers());
  owner.buffers = 1;
  queue.buffers_freed();
  ASSERT_TRUE(queue.next(work));
  EXPECT_EQ(work.kind, TargetWork::Kind::pull);
  EXPECT_TRUE(owner.executed.empty());
  queue.pulled(*work.request);
  ASSERT_EQ(owner.executed.size(), 1u);
  queue.complete(*owner.executed[0], {});
  EXPECT_TRUE(answer_of(5).status.ok());
  EXPECT_EQ(last_.end_key, 0u) << "a key that was not offered for it is not ended";
}

TEST_F(RdmaTargetQueueTest, TakesInCapsuleDataFromItsOffset) {
  connect();
  std::vector<std::byte> data(kBlock);
  data[0] = std::byte{7};
  ASSERT_TRUE(feed(io(IoOpcode::write, 5, in_capsule_data(0, kBlock)), data));
  ASSERT_EQ(owner.executed.size(), 1u);
  const TargetRequest& request = *owner.executed[0];
  ASSERT_EQ(request.piece_count, 1u);
  EXPECT_EQ(request.pieces[0].iov_len, kBlock);
  EXPECT_EQ(*static_cast<const std::byte*>(request.pieces[0].iov_base), std::byte{7});
  EXPECT_EQ(owner.out.size(), 1u) << "it lies in the receive buffer";
  queue.complete(*owner.executed[0], {});
  answer_of(5);
  EXPECT_TRUE(owner.out.empty());
}

TEST_F(RdmaTargetQueueTest, RefusesDescriptorsOfUnknownTypes) {
  connect();
  expect_refused(io(IoOpcode::read, 5, transport_data_block(kBlock)),
                 GenericStatus::sgl_descriptor_type_invalid);
  expect_refused(io(IoOpcode::read, 6, data_block(kAddress, kBlock)),
                 GenericStatus::sgl_descriptor_type_invalid);
  expect_refused(io(IoOpcode::read, 7, in_capsule_data(0, kBlock)),
                 GenericStatus::sgl_descriptor_type_invalid);
  SglDescriptor odd = keyed_data_block(kAddress, kBlock, kKey);
  odd.sub_type = SglSubType::transport_specific;
  expect_refused(io(IoOpcode::read, 8, odd), GenericStatus::sgl_descriptor_type_invalid);
}

TEST_F(RdmaTargetQueueTest, RefusesAnOffsetBeyondTheCapsule) {
  connect();
  const std::vector<std::byte> data(kBlock);
  expect_refused(io(IoOpcode::write, 5, in_capsule_data(kBlock + 1, kBlock)),
                 GenericStatus::sgl_offset_invalid, data);
  expect_refused(io(IoOpcode::write, 6, in_capsule_data(~std::uint64_t{0}, kBlock)),
                 GenericStatus::sgl_offset_invalid, data);
}

TEST_F(RdmaTargetQueueTest, RefusesLengthsThatDoNotAgree) {
  connect();
  const std::vector<std::byte> data(kBlock);
  expect_refused(io(IoOpcode::write, 5, in_capsule_data(16, kBlock)), GenericStatus::data_sgl_length_invalid,
                 data);
  expect_refused(io(IoOpcode::write, 6, in_capsule_data(0, kBlock)), GenericStatus::data_sgl_length_invalid);
  expect_refused(io(IoOpcode::read, 7, keyed_data_block(kAddress, kBlock - 1, kKey)),
                 GenericStatus::data_sgl_length_invalid);
  expect_refused(io(IoOpcode::write, 8, keyed_data_block(kAddress, kBlock * 2, kKey)),
                 GenericStatus::data_sgl_length_invalid);
}

TEST_F(RdmaTargetQueueTest, EndsTheConnectionAtACapsuleShorterThanACommand) {
  const std::array<std::byte, 63> bytes{};
  EXPECT_FALSE(feed_raw(bytes));
  EXPECT_EQ(queue.error(), TargetFault::short_capsule);
  EXPECT_TRUE(queue.ended());
  EXPECT_TRUE(owner.out.empty());
}

TEST_F(RdmaTargetQueueTest, EndsTheConnectionAtACapsuleLongerThanAgreed) {
  owner.in_capsule = 0;
  connect();
  const std::vector<std::byte> data(kConnectDataBytes + 1);
  EXPECT_FALSE(feed(io(IoOpcode::write, 5, in_capsule_data(0, kBlock)), data));
  EXPECT_EQ(queue.error(), TargetFault::long_capsule);
  EXPECT_TRUE(owner.out.empty());
}

TEST_F(RdmaTargetQueueTest, EndsTheConnectionAtMoreCommandsThanEntries) {
  connect(1);
  const SglDescriptor sgl = keyed_data_block(kAddress, kBlock, kKey);
  EXPECT_TRUE(feed(io(IoOpcode::read, 5, sgl)));
  EXPECT_TRUE(feed(io(IoOpcode::read, 6, sgl)));
  EXPECT_FALSE(feed(io(IoOpcode::read, 7, sgl)));
  EXPECT_EQ(queue.error(), TargetFault::too_many);
  // What the store has is waited for; everything else comes home.
  queue.abandon();
  EXPECT_EQ(queue.in_use(), 2u);
  for (TargetRequest* const each : owner.executed) queue.complete(*each, {});
  EXPECT_EQ(queue.in_use(), 0u);
  EXPECT_TRUE(owner.out.empty());
}

TEST_F(RdmaTargetQueueTest, RefusesEverythingBeforeConnect) {
  expect_refused(io(IoOpcode::read, 5, keyed_data_block(kAddress, kBlock, kKey)),
                 GenericStatus::command_sequence_error);
}

TEST_F(RdmaTargetQueueTest, GivesBackWhatWasUnderWayWhenItIsAbandoned) {
  connect();
  ASSERT_TRUE(feed(io(IoOpcode::write, 5, keyed_data_block(kAddress, kBlock, kKey))));
  TargetWork work;
  ASSERT_TRUE(queue.next(work));
  owner.buffers = 0;
  ASSERT_TRUE(feed(io(IoOpcode::write, 6, keyed_data_block(kAddress, kBlock, kKey))));
  const int before = owner.released;
  queue.abandon();
  EXPECT_EQ(queue.in_use(), 0u);
  EXPECT_EQ(owner.released, before + 2);
  EXPECT_TRUE(owner.out.empty());
}

}  // namespace
}  // namespace netstor::nvme::rdma
