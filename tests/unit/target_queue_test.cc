// SPDX-License-Identifier: Apache-2.0
//
// The target's end of a queue pair, byte by byte: no socket, no store.

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/proto/nvme/target_queue.h"
#include "tests/unit/controller_fixture.h"

namespace netstor::nvme::tcp {
namespace {

using testing::kHostNqn;
using testing::kSubsystemNqn;

constexpr std::uint32_t kBlock = 4096;

/// An owner with a namespace in memory, and a say in when it answers.
class Owner final : public TargetOwner {
 public:
  Owner() : view(subsystem.add(1)), bytes(view.blocks << view.block_shift) {}

  void connect(TargetRequest& request, const Connect& asked, const ConnectData& data) override {
    EXPECT_EQ(data.subnqn.view(), kSubsystemNqn);
    if (refuse_connect)
      return queue->refuse(request, refused(FabricsStatus::connect_invalid_parameters), kRefusedQid);
    const bool flow = (asked.cattr & kConnectDisableSqFlowControl) == 0;
    queue->accept(request, {.cntlid = 3,
                            .entries = static_cast<std::uint16_t>(asked.sqsize + 1),
                            .admin = false,
                            .sq_flow_control = flow});
    pieces.resize(TargetQueue::nodes(asked.sqsize + 1u));
    memory.resize(pieces.size());
  }
  Status admit(TargetRequest& request) override {
    request.wants_in_place = in_place;
    return plan_io(request.command, subsystem.find(request.command.nsid()), 1 << 20, request.plan);
  }
  bool buffer(TargetRequest& request) override {
    if (buffers == 0 && !request.in_capsule) return false;
    if (!request.in_capsule) --buffers;
    memory[request.slot].resize(request.plan.to_controller);
    place(request, memory[request.slot].data());
    return true;
  }
  void execute(TargetRequest& request) override {
    executed.push_back(&request);
    if (!hold) answer(request);
  }
  void release(TargetRequest&) noexcept override { ++released; }

  void answer(TargetRequest& request) {
    if (request.partner != nullptr) queue->complete(*request.partner, {});
    if (request.plan.verb == IoVerb::read) {
      place(request, bytes.data() + request.plan.offset);
      request.send_bytes = request.plan.to_host;
    } else if (request.plan.verb == IoVerb::write) {
      const std::byte* const from =
          request.in_place.empty() ? memory[request.slot].data() : request.in_place.data();
      std::copy_n(from, request.plan.length, bytes.data() + request.plan.offset);
    }
    queue->complete(request, {});
  }
  void place(TargetRequest& request, std::byte* at) {
    iovec& piece = pieces[request.slot];
    piece = {.iov_base = at, .iov_len = std::max(request.plan.to_host, request.plan.to_controller)};
    request.pieces = &piece;
    request.piece_count = 1;
  }

  testing::FakeSubsystem subsystem;
  NamespaceView& view;
  std::vector<std::byte> bytes;
  std::vector<iovec> pieces;
  std::vector<std::vector<std::byte>> memory;
  std::vector<TargetRequest*> executed;
  TargetQueue* queue = nullptr;
  int released = 0;
  int buffers = 100;
  bool in_place = true;
  bool hold = false;
  bool refuse_connect = false;
};

class TargetQueueTest : public ::testing::Test {
 protected:
  TargetQueueTest() { owner.queue = queue_.get(); }

  void feed(std::span<const std::byte> all) {
    while (!all.empty()) {
      iovec pieces[16];
      const unsigned count = queue_->want(pieces, 16);
      std::size_t taken = 0;
      for (unsigned i = 0; i < count && !all.empty(); ++i) {
        const std::size_t take = std::min({pieces[i].iov_len, all.size(), chunk - taken});
        std::copy_n(all.begin(), take, static_cast<std::byte*>(pieces[i].iov_base));
        all = all.subspan(take);
        taken += take;
        if (take < pieces[i].iov_len) break;
      }
      ASSERT_NE(taken, 0u);
      queue_->received(taken);
      if (queue_->ended() || queue_->error()) return;
    }
  }
  /// All that the queue says now, PDU by PDU.
  std::vector<std::vector<std::byte>> answers() {
    std::vector<std::byte> stream;
    SendBatch batch;
    while (queue_->gather(batch)) {
      for (unsigned i = 0; i < batch.piece_count(); ++i) {
        const auto* const at = static_cast<const std::byte*>(batch.pieces()[i].iov_base);
        stream.insert(stream.end(), at, at + batch.pieces()[i].iov_len);
      }
      queue_->sent();
    }
    std::vector<std::vector<std::byte>> pdus;
    for (std::size_t at = 0; at < stream.size();) {
      const CommonHeader header = header_of(std::span(stream).subspan(at));
      pdus.emplace_back(stream.begin() + static_cast<std::ptrdiff_t>(at),
                        stream.begin() + static_cast<std::ptrdiff_t>(at + header.plen));
      at += header.plen;
    }
    return pdus;
  }
  static CommonHeader header_of(std::span<const std::byte> pdu) {
    return decode_common_header(pdu.first<kCommonHeaderBytes>());
  }
  static Completion completion_of(std::span<const std::byte> pdu) {
    return decode_capsule_resp(pdu.first<kCapsuleRespBytes>());
  }

  void shake_hands(const IcReq& request = {}) {
    std::array<std::byte, kIcBytes> bytes;
    encode(request, std::span(bytes));
    feed(bytes);
    const auto said = answers();
    ASSERT_EQ(said.size(), 1u);
    const IcResp response = decode_ic_resp(std::span(said[0]).first<kIcBytes>());
    format = {.header_digest = response.header_digest, .data_digest = response.data_digest};
  }
  void connect(std::uint16_t sqsize = 7, std::uint8_t cattr = 0) {
    std::array<std::byte, kConnectDataBytes> data;
    encode(ConnectData{.subnqn = NqnField(kSubsystemNqn), .hostnqn = NqnField(kHostNqn)}, std::span(data));
    capsule(make_connect(1, {.qid = 1, .sqsize = sqsize, .cattr = cattr}, in_capsule_data(0, data.size())),
            data);
  }
  void bring_up(std::uint16_t sqsize = 7, std::uint8_t cattr = 0, const IcReq& request = {}) {
    shake_hands(request);
    connect(sqsize, cattr);
    const auto said = answers();
    ASSERT_EQ(said.size(), 1u);
    EXPECT_EQ(decode_connect_accepted(completion_of(said[0]).dw0()).cntlid, 3);
    ASSERT_TRUE(queue_->connected());
  }
  void capsule(const Command& command, std::span<const std::byte> data = {}) {
    std::vector<std::byte> out(kPduPrefixMax);
    const PduLayout layout =
        encode_capsule_cmd(command, static_cast<std::uint32_t>(data.size()), format,
                           std::span<std::byte, kPduPrefixMax>(out.data(), kPduPrefixMax));
    feed_pdu(std::move(out), layout, data);
  }
  void h2c(const DataPdu& pdu, bool last, std::span<const std::byte> data) {
    std::vector<std::byte> out(kPduPrefixMax);
    const PduLayout layout =
        encode_h2c_data(pdu, last, format, std::span<std::byte, kPduPrefixMax>(out.data(), kPduPrefixMax));
    feed_pdu(std::move(out), layout, data);
  }
  void feed_pdu(std::vector<std::byte> out, const PduLayout& layout, std::span<const std::byte> data) {
    out.resize(layout.prefix_bytes);
    out.insert(out.end(), data.begin(), data.end());
    if (layout.data_digest) {
      out.resize(out.size() + kDigestBytes);
      encode_digest(crc32c(data) ^ spoil_digest, out.data() + out.size() - kDigestBytes);
    }
    feed(out);
  }
  static Command read(std::uint16_t cid, std::uint64_t slba, std::uint32_t blocks = 1) {
    return make_read(cid, 1, {.slba = slba, .blocks = blocks}, transport_data_block(blocks * kBlock));
  }
  static Command long_write(std::uint16_t cid, std::uint64_t slba, std::uint32_t blocks) {
    return make_write(cid, 1, {.slba = slba, .blocks = blocks}, transport_data_block(blocks * kBlock));
  }

  Owner owner;
  std::unique_ptr<TargetQueue> queue_ = std::make_unique<TargetQueue>(owner, TargetOptions{});
  PduFormat format;
  std::uint32_t spoil_digest = 0;
  std::size_t chunk = 1 << 20;
  std::vector<std::byte> pattern = std::vector<std::byte>(8 * kBlock, std::byte{0xAB});
};

TEST_F(TargetQueueTest, AnswersAReadWithDataAndResponse) {
  bring_up();
  owner.bytes[2 * kBlock] = std::byte{0x42};
  capsule(read(5, 2));
  const auto said = answers();
  ASSERT_EQ(said.size(), 2u);
  const CommonHeader header = header_of(said[0]);
  EXPECT_EQ(header.type, PduType::c2h_data);
  EXPECT_TRUE(header.last());
  EXPECT_FALSE(header.success());
  EXPECT_EQ(decode_data(std::span(said[0]).first<kDataBytes>()),
            (DataPdu{.cccid = 5, .datao = 0, .datal = kBlock}));
  EXPECT_EQ(said[0][kDataBytes], std::byte{0x42});
  EXPECT_EQ(completion_of(said[1]).cid, 5);
  EXPECT_EQ(completion_of(said[1]).sqhd, 2);
  EXPECT_EQ(owner.released, 1);
  EXPECT_EQ(queue_->in_use(), 0u);
}

TEST_F(TargetQueueTest, TakesAConnectAgainWhoseDigestWasWrong) {
  shake_hands({.data_digest = true});
  spoil_digest = 1;
  connect();
  const auto said = answers();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(completion_of(said[0]).status.is(GenericStatus::transient_transport_error));
  spoil_digest = 0;
  connect();
  EXPECT_EQ(answers().size(), 1u);
  EXPECT_TRUE(queue_->connected());
}

TEST_F(TargetQueueTest, SparesTheResponseWithoutFlowControl) {
  bring_up(7, kConnectDisableSqFlowControl);
  capsule(read(5, 0));
  const auto said = answers();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(header_of(said[0]).success());
}

TEST_F(TargetQueueTest, TakesInCapsuleDataInPlaceOrInMemory) {
  bring_up();
  for (const bool in_place : {true, false}) {
    owner.in_place = in_place;
    std::fill(owner.bytes.begin(), owner.bytes.end(), std::byte{0});
    capsule(make_write(4, 1, {.slba = 1}, in_capsule_data(0, kBlock)), std::span(pattern).first(kBlock));
    EXPECT_TRUE(completion_of(answers().at(0)).status.ok());
    EXPECT_EQ(owner.bytes[kBlock], std::byte{0xAB});
    EXPECT_EQ(owner.bytes[2 * kBlock], std::byte{0});
  }
}

TEST_F(TargetQueueTest, WorksWhateverTheStreamIsCutInto) {
  for (const std::size_t size : {1u, 7u, 100u, 5000u}) {
    chunk = size;
    queue_ = std::make_unique<TargetQueue>(owner, TargetOptions{});
    owner.queue = queue_.get();
    format = {};
    bring_up(7, 0, {.header_digest = true, .data_digest = true});
    capsule(make_write(4, 1, {.slba = 1}, in_capsule_data(0, kBlock)), std::span(pattern).first(kBlock));
    capsule(read(5, 1));
    const auto said = answers();
    ASSERT_EQ(said.size(), 3u);
    EXPECT_TRUE(completion_of(said[0]).status.ok());
    EXPECT_TRUE(header_of(said[1]).data_digest());
    EXPECT_TRUE(completion_of(said[2]).status.ok());
  }
}

TEST_F(TargetQueueTest, AsksForLongWritesAndTakesThemInPieces) {
  bring_up();
  capsule(long_write(9, 0, 8));
  const auto asked = answers();
  ASSERT_EQ(asked.size(), 1u);
  const R2t r2t = decode_r2t(std::span(asked[0]).first<kR2tBytes>());
  EXPECT_EQ(r2t.r2tl, 8 * kBlock);
  const std::span<const std::byte> all(pattern);
  h2c({9, r2t.ttag, 0, 3 * kBlock}, false, all.first(3 * kBlock));
  EXPECT_TRUE(owner.executed.empty());
  h2c({9, r2t.ttag, 3 * kBlock, 5 * kBlock}, true, all.first(5 * kBlock));
  EXPECT_TRUE(completion_of(answers().at(0)).status.ok());
  EXPECT_EQ(owner.bytes[8 * kBlock - 1], std::byte{0xAB});
}

TEST_F(TargetQueueTest, WaitsForMemoryInOrder) {
  bring_up();
  owner.buffers = 1;
  capsule(long_write(1, 0, 2));
  capsule(long_write(2, 0, 8));
  capsule(long_write(3, 0, 1));
  EXPECT_EQ(answers().size(), 1u);
  EXPECT_TRUE(queue_->waits_for_buffers());
  owner.buffers = 1;
  queue_->buffers_freed();
  const auto asked = answers();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(decode_r2t(std::span(asked[0]).first<kR2tBytes>()).cccid, 2);
  owner.buffers = 1;
  queue_->buffers_freed();
  EXPECT_EQ(decode_r2t(std::span(answers().at(0)).first<kR2tBytes>()).cccid, 3);
}

TEST_F(TargetQueueTest, KeepsTheCommandIdentifierUntilTheAnswerIsSaid) {
  bring_up();
  owner.hold = true;
  capsule(read(5, 0));
  capsule(read(5, 0));
  EXPECT_TRUE(completion_of(answers().at(0)).status.is(GenericStatus::command_id_conflict));
  owner.answer(*owner.executed.at(0));
  EXPECT_EQ(answers().size(), 2u);
  owner.hold = false;
  capsule(read(5, 0));
  EXPECT_EQ(answers().size(), 2u);
}

TEST_F(TargetQueueTest, EndsAQueueThatIsOverrun) {
  bring_up(1);
  owner.hold = true;
  for (std::uint16_t cid = 0; cid < 3; ++cid) capsule(read(cid, 0));
  ASSERT_TRUE(queue_->error());
  EXPECT_EQ(queue_->error()->fes, Fes::pdu_sequence_error);
  EXPECT_EQ(header_of(answers().at(0)).type, PduType::c2h_term_req);
  EXPECT_TRUE(queue_->ended());
  for (TargetRequest* const each : owner.executed) queue_->complete(*each, {});
  queue_->abandon();
  EXPECT_EQ(queue_->in_use(), 0u);
}

TEST_F(TargetQueueTest, RunsAFusedPairAsOne) {
  bring_up();
  Command first = make_compare(1, 1, {}, in_capsule_data(0, kBlock));
  first.set_fuse(Fuse::first);
  Command second = make_write(2, 1, {}, in_capsule_data(0, kBlock));
  second.set_fuse(Fuse::second);
  capsule(first, std::span(pattern).first(kBlock));
  EXPECT_TRUE(owner.executed.empty());
  capsule(second, std::span(pattern).first(kBlock));
  ASSERT_EQ(owner.executed.size(), 1u);
  EXPECT_EQ(owner.executed[0]->command.cid(), 2);
  const auto said = answers();
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(completion_of(said[0]).cid, 1);
  EXPECT_EQ(completion_of(said[1]).cid, 2);
}

TEST_F(TargetQueueTest, FailsAFirstHalfWithoutItsSecond) {
  bring_up();
  Command first = make_compare(1, 1, {}, in_capsule_data(0, kBlock));
  first.set_fuse(Fuse::first);
  capsule(first, std::span(pattern).first(kBlock));
  capsule(read(2, 0));
  const auto said = answers();
  ASSERT_EQ(said.size(), 3u);
  EXPECT_EQ(completion_of(said[0]).cid, 1);
  EXPECT_TRUE(completion_of(said[0]).status.is(GenericStatus::aborted_missing_fused));
}

TEST_F(TargetQueueTest, FailsAFirstHalfWhoseSecondIsWrong) {
  bring_up();
  Command first = make_compare(1, 1, {}, in_capsule_data(0, kBlock));
  first.set_fuse(Fuse::first);
  Command second = make_write(2, 1, {.slba = 5000}, in_capsule_data(0, kBlock));
  second.set_fuse(Fuse::second);
  capsule(first, std::span(pattern).first(kBlock));
  capsule(second, std::span(pattern).first(kBlock));
  const auto said = answers();
  ASSERT_EQ(said.size(), 2u);
  EXPECT_TRUE(completion_of(said[0]).status.is(GenericStatus::aborted_failed_fused));
  EXPECT_TRUE(completion_of(said[1]).status.is(GenericStatus::lba_out_of_range));
  EXPECT_TRUE(owner.executed.empty());
}

TEST_F(TargetQueueTest, RefusesAConnectAndLetsTheHostTryAgain) {
  shake_hands();
  owner.refuse_connect = true;
  connect();
  const Completion refusal = completion_of(answers().at(0));
  EXPECT_EQ(decode_connect_refused(refusal.dw0()), kRefusedQid);
  owner.refuse_connect = false;
  connect();
  EXPECT_TRUE(completion_of(answers().at(0)).status.ok());
  EXPECT_TRUE(queue_->connected());
}

TEST_F(TargetQueueTest, GivesEverythingBackWhenAbandoned) {
  bring_up();
  owner.hold = true;
  capsule(long_write(1, 0, 2));
  answers();
  capsule(read(2, 0));
  queue_->abandon();
  EXPECT_EQ(queue_->in_use(), 1u);
  queue_->complete(*owner.executed.at(0), {});
  EXPECT_EQ(queue_->in_use(), 0u);
  EXPECT_EQ(owner.released, 2);
}

TEST_F(TargetQueueTest, CutsAnswersThatExceedABatch) {
  bring_up(31);
  for (std::uint16_t cid = 0; cid < 8; ++cid) capsule(read(cid, 0, 256));
  SendBatch batch;
  unsigned batches = 0;
  std::uint64_t bytes = 0;
  while (queue_->gather(batch)) {
    ++batches;
    bytes += batch.bytes();
    queue_->sent();
  }
  EXPECT_GT(batches, 1u);
  EXPECT_EQ(bytes, 8u * (256 * kBlock + kDataBytes + kCapsuleRespBytes));
}

}  // namespace
}  // namespace netstor::nvme::tcp
