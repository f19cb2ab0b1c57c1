// SPDX-License-Identifier: Apache-2.0
//
// What a HostQueue sends of a write: in the capsule, in answer to R2T, in fused pairs, under flow control;
// and each way in which an R2T can be wrong.

#include "lib/wire/fabrics/fabrics_command.h"
#include "tests/unit/host_queue_fixture.h"

namespace netstor::nvme::tcp {
namespace {

using test::Answers;
using test::Request;
using test::SentPdu;
using test::Session;

TEST(HostQueue, SendsDataInTheCapsuleWhereItFits) {
  Session session;
  auto write = Request::write(4096);
  ASSERT_TRUE(session.queue.submit(*write));
  const auto pdus = session.send();
  ASSERT_EQ(pdus.size(), 1u);
  EXPECT_EQ(pdus[0].command().sgl(), in_capsule_data(0, 4096));
  EXPECT_TRUE(std::ranges::equal(pdus[0].data(), write->memory));
  ASSERT_TRUE(session.feed(session.answers().response(pdus[0].command().cid())));
  EXPECT_TRUE(write->succeeded());
}

TEST(HostQueue, SendsFabricsDataInTheCapsuleAlways) {
  Session session({.depth = 4, .in_capsule_max = 0});
  auto connect = Request::write(1024);
  connect->sqe = make_connect(0, {.qid = 1, .sqsize = 4}, {});
  ASSERT_TRUE(session.queue.submit(*connect));
  EXPECT_EQ(session.send().at(0).data().size(), 1024u);
  session.queue.fail_all(Time{});
}

TEST(HostQueue, PadsAndDigestsAsNegotiated) {
  Session session({.depth = 4, .header_digest = true, .data_digest = true, .in_capsule_max = 4096},
                  {.cpda = 31, .header_digest = true, .data_digest = true});
  auto write = Request::write(512);
  ASSERT_TRUE(session.queue.submit(*write));
  const auto pdus = session.send();
  ASSERT_EQ(pdus.size(), 1u);
  EXPECT_EQ(pdus[0].header.pdo, 128);
  EXPECT_FALSE(check_header_digest(pdus[0].header, pdus[0].bytes));
  EXPECT_EQ(decode_digest(pdus[0].bytes.data() + pdus[0].bytes.size() - 4), crc32c(write->memory));
  session.queue.fail_all(Time{});
}

TEST(HostQueue, SplitsWhatR2tAsksForAtMaxh2cdata) {
  Session session;  // 8,192
  auto write = Request::write(20000);
  const std::uint16_t cid = session.start(*write);
  ASSERT_TRUE(session.feed(session.answers().r2t(cid, 9, 0, 20000)));
  const auto pdus = session.send();
  ASSERT_EQ(pdus.size(), 3u);
  std::uint32_t at = 0;
  for (const SentPdu& pdu : pdus) {
    EXPECT_EQ(pdu.header.type, PduType::h2c_data);
    EXPECT_EQ(pdu.data_pdu().ttag, 9);
    EXPECT_EQ(pdu.data_pdu().cccid, cid);
    EXPECT_EQ(pdu.data_pdu().datao, at);
    EXPECT_TRUE(std::ranges::equal(pdu.data(), std::span(write->memory).subspan(at, pdu.data().size())));
    at += pdu.data_pdu().datal;
    EXPECT_EQ(pdu.header.last(), at == 20000);
  }
  ASSERT_TRUE(session.feed(session.answers().response(cid)));
  EXPECT_TRUE(write->succeeded());
}

TEST(HostQueue, SendsLargeDataInSeveralPdusButForDataDigests) {
  for (const bool digest : {false, true}) {
    Session session({.depth = 4, .data_digest = digest}, {.data_digest = digest, .maxh2cdata = 1 << 20});
    auto write = Request::write(1 << 20);
    const std::uint16_t cid = session.start(*write);
    ASSERT_TRUE(session.feed(session.answers().r2t(cid, 1, 0, 1 << 20)));
    std::vector<SentPdu> pdus;
    for (std::vector<SentPdu> more; !(more = session.send()).empty();) {
      std::ranges::move(more, std::back_inserter(pdus));
    }
    ASSERT_EQ(pdus.size(), digest ? 1u : 4u);
    if (digest) {
      EXPECT_EQ(decode_digest(pdus[0].bytes.data() + pdus[0].bytes.size() - 4), crc32c(write->memory));
    }
    session.queue.fail_all(Time{});
  }
}

TEST(HostQueue, AnswersSeveralR2tsOfOneCommandInOrder) {
  Session session;
  auto write = Request::write(16384);
  const std::uint16_t cid = session.start(*write);
  ASSERT_TRUE(
      session.feed(session.answers().r2t(cid, 1, 8192, 8192).r2t(cid, 2, 0, 4096).r2t(cid, 3, 4096, 4096)));
  const auto pdus = session.send();
  ASSERT_EQ(pdus.size(), 3u);
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(pdus[i].data_pdu().ttag, i + 1);
    EXPECT_TRUE(pdus[i].header.last());
  }
  EXPECT_EQ(pdus[0].data_pdu().datao, 8192u);
  ASSERT_TRUE(session.feed(session.answers().response(cid)));
  EXPECT_TRUE(write->succeeded());
}

TEST(HostQueue, RejectsR2tBeyondTheCommand) {
  Session session;
  auto write = Request::write(8192);
  const std::uint16_t cid = session.start(*write);
  session.expect_broken(session.answers().r2t(cid, 1, 4096, 4100), Fes::data_transfer_out_of_range, 0);
}

TEST(HostQueue, RejectsR2tThatCameBefore) {
  Session session;
  auto write = Request::write(8192);
  const std::uint16_t cid = session.start(*write);
  session.expect_broken(session.answers().r2t(cid, 1, 0, 4096).r2t(cid, 2, 4092, 8),
                        Fes::data_transfer_out_of_range, 0);
}

TEST(HostQueue, RejectsMoreR2tsThanItOffered) {
  Session session;
  auto write = Request::write(8192);
  const std::uint16_t cid = session.start(*write);
  Answers answers = session.answers();
  for (std::uint16_t i = 0; i <= HostQueue::kR2tMax; ++i) answers.r2t(cid, i, i * 512u, 512);
  session.expect_broken(answers, Fes::limit_exceeded, 0);
}

TEST(HostQueue, RejectsR2tForARead) {
  Session session;
  auto read = Request::read(8192);
  const std::uint16_t cid = session.start(*read);
  session.expect_broken(session.answers().r2t(cid, 1, 0, 4096), Fes::pdu_sequence_error, 0);
}

TEST(HostQueue, RejectsR2tForDataThatWasInTheCapsule) {
  Session session;
  auto write = Request::write(4096);
  const std::uint16_t cid = session.start(*write);
  session.expect_broken(session.answers().r2t(cid, 1, 0, 4096), Fes::data_transfer_out_of_range, 0);
}

TEST(HostQueue, WriteThatSucceedsWithoutItsDataIsATransferError) {
  Session session;
  auto write = Request::write(8192);
  const std::uint16_t cid = session.start(*write);
  ASSERT_TRUE(session.feed(session.answers().r2t(cid, 1, 0, 8192).response(cid)));
  EXPECT_TRUE(write->status.is(GenericStatus::data_transfer_error));
  EXPECT_TRUE(session.send().empty());
}

TEST(HostQueue, SpreadsAPayloadOfManyPiecesOverBatches) {
  Session session({.depth = 4, .header_digest = true, .data_digest = true, .in_capsule_max = 4096},
                  {.header_digest = true, .data_digest = true});
  auto write = Request::write(4096);
  write->list.clear();
  for (std::size_t i = 0; i < 512; ++i)
    write->list.push_back({.iov_base = write->memory.data() + i * 8, .iov_len = 8});
  write->pieces = write->list.data();
  write->piece_count = 512;
  ASSERT_TRUE(session.queue.submit(*write));
  std::vector<SentPdu> pdus;
  int batches = 0;
  for (; pdus.empty() && batches < 100; ++batches) pdus = session.send();
  EXPECT_GT(batches, 3);
  ASSERT_EQ(pdus.size(), 1u);
  EXPECT_TRUE(std::ranges::equal(pdus[0].data(), write->memory));
  EXPECT_EQ(decode_digest(pdus[0].bytes.data() + pdus[0].bytes.size() - 4), crc32c(write->memory));
  session.queue.fail_all(Time{});
}

TEST(HostQueue, KeepsAWriteUntilItsBatchIsSent) {
  Session session;
  auto write = Request::write(4096);
  ASSERT_TRUE(session.queue.submit(*write));
  const auto pdus = session.gather();
  ASSERT_TRUE(session.feed(session.answers().response(pdus[0].command().cid())));
  EXPECT_EQ(write->times_done, 0);
  session.queue.batch_sent();
  EXPECT_TRUE(write->succeeded());
}

TEST(HostQueue, SendsFusedPairsNextToEachOther) {
  Session session;
  auto before = Request::flush(), compare = Request::write(512), write = Request::write(512);
  compare->sqe = make_command(IoOpcode::compare, 0, 1);
  ASSERT_TRUE(session.queue.submit(*before));
  ASSERT_TRUE(session.queue.submit_fused(*compare, *write));
  const auto pdus = session.send();
  ASSERT_EQ(pdus.size(), 3u);
  EXPECT_EQ(pdus[1].command().fuse(), Fuse::first);
  EXPECT_EQ(pdus[2].command().fuse(), Fuse::second);
  session.queue.fail_all(Time{});
}

TEST(HostQueue, HoldsCommandsAtTheReportedHeadUnderFlowControl) {
  Session session({.depth = 8});
  session.queue.enable_flow_control(3, 0);
  auto a = Request::flush(), b = Request::flush(), c = Request::flush();
  for (auto* each : {&a, &b, &c}) ASSERT_TRUE(session.queue.submit(**each));
  const auto first = session.send();
  ASSERT_EQ(first.size(), 2u);
  ASSERT_TRUE(session.feed(session.answers().response(first[1].command().cid(), {}, 0, 2)));
  EXPECT_EQ(session.send().size(), 1u);
  session.queue.fail_all(Time{});
}

}  // namespace
}  // namespace netstor::nvme::tcp
