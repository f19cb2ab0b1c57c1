// SPDX-License-Identifier: Apache-2.0
//
// HostQueue against a controller made of bytes: what it sends, what it makes of answers, and each way in
// which an answer can be wrong.

#include "tests/unit/host_queue_fixture.h"

namespace netstor::nvme::tcp {
namespace {

using test::Answers;
using test::ByteVector;
using test::Request;
using test::SentPdu;
using test::Session;

// ---- Connection set-up.

TEST(HostQueue, SendsIcReqFirstAndHoldsCommandsUntilIcResp) {
  HostQueue queue({.depth = 4});
  auto flush = Request::flush();
  ASSERT_TRUE(queue.submit(*flush));
  SendBatch batch;
  queue.gather(batch);
  ByteVector bytes = test::flatten(batch);
  auto pdus = test::take_pdus(bytes);
  ASSERT_EQ(pdus.size(), 1u);
  EXPECT_EQ(pdus[0].header.type, PduType::ic_req);
  queue.batch_sent();
  batch.clear();
  queue.gather(batch);
  EXPECT_TRUE(batch.empty());
  ASSERT_TRUE(test::feed(queue, Answers().ic_resp().bytes));
  queue.gather(batch);
  bytes = test::flatten(batch);
  EXPECT_EQ(test::take_pdus(bytes).at(0).header.type, PduType::capsule_cmd);
  queue.batch_sent();
  queue.fail_all(Time{});
}

TEST(HostQueue, TreatsAnotherPduFormatVersionAsInvalid) {
  HostQueue queue({});
  SendBatch batch;
  queue.gather(batch);
  queue.batch_sent();
  EXPECT_FALSE(test::feed(queue, Answers().ic_resp({.pfv = 1}).bytes));
  EXPECT_EQ(queue.fault()->error, (PduError{.fes = Fes::invalid_pdu_header_field, .fei = 8}));
}

TEST(HostQueue, RejectsDigestThatItDidNotAskFor) {
  HostQueue queue({});
  SendBatch batch;
  queue.gather(batch);
  queue.batch_sent();
  EXPECT_FALSE(test::feed(queue, Answers().ic_resp({.header_digest = true}).bytes));
  EXPECT_EQ(queue.fault()->error, (PduError{.fes = Fes::invalid_pdu_header_field, .fei = 11}));
}

TEST(HostQueue, RejectsMaxh2cdataBelowTheLeast) {
  HostQueue queue({});
  SendBatch batch;
  queue.gather(batch);
  queue.batch_sent();
  EXPECT_FALSE(test::feed(queue, Answers().ic_resp({.maxh2cdata = 4092}).bytes));
}

TEST(HostQueue, RejectsAnotherPduBeforeIcResp) {
  HostQueue queue({});
  SendBatch batch;
  queue.gather(batch);
  queue.batch_sent();
  EXPECT_FALSE(test::feed(queue, Answers().response(0).bytes));
  EXPECT_EQ(queue.fault()->error.fes, Fes::pdu_sequence_error);
}

TEST(HostQueue, RejectsSecondIcResp) {
  Session session;
  session.expect_broken(Answers().ic_resp(), Fes::pdu_sequence_error, 0);
}

TEST(HostQueue, GoesOnWithoutDigestThatWasRefused) {
  Session session({.depth = 4, .header_digest = true, .data_digest = true});
  EXPECT_FALSE(session.queue.header_digest());
  EXPECT_FALSE(session.queue.data_digest());
}

// ---- Reads.

TEST(HostQueue, ReadsIntoTheCallersMemory) {
  Session session;
  auto read = Request::read(4096);
  const std::uint16_t cid = session.start(*read);
  const ByteVector payload = test::pattern(4096);
  ASSERT_TRUE(session.feed(session.answers().data(cid, 0, payload, true, false).response(cid, {}, 77)));
  EXPECT_TRUE(read->succeeded());
  EXPECT_EQ(read->result, 77u);
  EXPECT_EQ(read->memory, payload);
}

TEST(HostQueue, CompletesOnSuccessFlagWithoutResponse) {
  Session session;
  auto read = Request::read(512);
  const std::uint16_t cid = session.start(*read);
  const ByteVector payload = test::pattern(512);
  ASSERT_TRUE(session.feed(session.answers().data(cid, 0, payload, true, true)));
  EXPECT_TRUE(read->succeeded());
  EXPECT_EQ(read->memory, payload);
}

TEST(HostQueue, TakesDataByteByByte) {
  for (const bool digests : {false, true}) {
    Session session({.depth = 8, .header_digest = digests, .data_digest = digests},
                    {.header_digest = digests, .data_digest = digests});
    auto read = Request::read(300 * 4);
    const std::uint16_t cid = session.start(*read);
    const ByteVector payload = test::pattern(1200);
    ASSERT_TRUE(session.feed(session.answers()
                                 .data(cid, 0, std::span(payload).first(700), false, false)
                                 .data(cid, 700, std::span(payload).subspan(700), true, true),
                             1));
    EXPECT_TRUE(read->succeeded());
    EXPECT_EQ(read->memory, payload);
  }
}

TEST(HostQueue, TakesDataInAnyOrderIntoAnyPieces) {
  Session session;
  auto read = Request::read(4096);
  read->list.clear();
  for (std::size_t at = 0, size = 1; at < 4096;
       at += size, size = std::min<std::size_t>(size * 3, 4096 - at)) {
    read->list.push_back({.iov_base = read->memory.data() + at, .iov_len = size});
  }
  read->pieces = read->list.data();
  read->piece_count = static_cast<unsigned>(read->list.size());
  const std::uint16_t cid = session.start(*read);
  const ByteVector payload = test::pattern(4096);
  const auto part = [&](std::size_t from, std::size_t size) {
    return std::span(payload).subspan(from, size);
  };
  ASSERT_TRUE(session.feed(session.answers()
                               .data(cid, 3000, part(3000, 1096), false, false)
                               .data(cid, 100, part(100, 900), false, false)
                               .data(cid, 0, part(0, 100), false, false)
                               .data(cid, 1000, part(1000, 2000), true, true),
                           97));
  EXPECT_TRUE(read->succeeded());
  EXPECT_EQ(read->memory, payload);
}

TEST(HostQueue, NeverStagesPayloadOfLargeReads) {
  Session session({.depth = 8, .header_digest = true, .data_digest = true},
                  {.header_digest = true, .data_digest = true});
  auto one = Request::read(32768);
  auto two = Request::read(65536);
  ASSERT_TRUE(session.queue.submit(*one));
  ASSERT_TRUE(session.queue.submit(*two));
  const auto pdus = session.send();
  const ByteVector payload = test::pattern(65536);
  ASSERT_TRUE(
      session.feed(session.answers()
                       .data(pdus[1].command().cid(), 0, payload, true, true)
                       .data(pdus[0].command().cid(), 0, std::span(payload).first(32768), true, true)));
  EXPECT_TRUE(one->succeeded());
  EXPECT_TRUE(two->succeeded());
  EXPECT_EQ(two->memory, payload);
  EXPECT_EQ(session.queue.copied_bytes(), 0u);
}

TEST(HostQueue, PutsManySmallReadsIntoOnePieceEachWay) {
  Session session({.depth = 32});
  std::vector<std::unique_ptr<Request>> reads;
  for (int i = 0; i < 32; ++i) {
    reads.push_back(Request::read(2048));
    ASSERT_TRUE(session.queue.submit(*reads.back()));
  }
  const auto pdus = session.gather();
  EXPECT_EQ(pdus.size(), 32u);
  EXPECT_EQ(session.batch.piece_count(), 1u);
  session.queue.batch_sent();
  const ByteVector payload = test::pattern(2048);
  Answers answers;
  for (const SentPdu& pdu : pdus) answers.data(pdu.command().cid(), 0, payload, true, true);
  iovec pieces[4];
  ASSERT_EQ(session.queue.want(pieces, 4), 1u);
  ASSERT_GE(pieces[0].iov_len, answers.bytes.size());
  std::memcpy(pieces[0].iov_base, answers.bytes.data(), answers.bytes.size());
  ASSERT_TRUE(session.queue.received(answers.bytes.size()));
  for (const auto& read : reads) EXPECT_TRUE(read->succeeded() && read->memory == payload);
  EXPECT_EQ(session.queue.outstanding(), 0u);
}

TEST(HostQueue, AnswersFullAtItsDepth) {
  Session session({.depth = 2});
  auto a = Request::flush(), b = Request::flush(), c = Request::flush();
  EXPECT_TRUE(session.queue.submit(*a));
  EXPECT_TRUE(session.queue.submit(*b));
  EXPECT_FALSE(session.queue.submit(*c));
  const auto pdus = session.send();
  ASSERT_TRUE(session.feed(session.answers().response(pdus[0].command().cid())));
  EXPECT_TRUE(session.queue.submit(*c));
  session.queue.fail_all(Time{});
}

TEST(HostQueue, ShortReadThatSucceedsIsATransferError) {
  Session session;
  auto read = Request::read(1024);
  const std::uint16_t cid = session.start(*read);
  ASSERT_TRUE(session.feed(session.answers().data(cid, 0, test::pattern(512), true, false).response(cid)));
  EXPECT_EQ(read->times_done, 1);
  EXPECT_TRUE(read->status.is(GenericStatus::data_transfer_error));
}

TEST(HostQueue, BringsTheControllersStatus) {
  Session session;
  auto read = Request::read(1024);
  const std::uint16_t cid = session.start(*read);
  ASSERT_TRUE(session.feed(session.answers().response(cid, GenericStatus::lba_out_of_range)));
  EXPECT_EQ(read->outcome, HostOutcome::answered);
  EXPECT_TRUE(read->status.is(GenericStatus::lba_out_of_range));
}

TEST(HostQueue, WrongDataDigestFailsTheCommandAndNotTheConnection) {
  Session session({.depth = 8, .data_digest = true}, {.data_digest = true});
  auto bad = Request::read(512);
  auto good = Request::read(512);
  const std::uint16_t cid = session.start(*bad);
  Answers wrong = session.answers();
  wrong.data(cid, 0, test::pattern(512), true, true);
  wrong.bytes.back() ^= std::byte{1};
  ASSERT_TRUE(session.feed(wrong));
  EXPECT_EQ(bad->times_done, 1);
  EXPECT_EQ(bad->outcome, HostOutcome::corrupt);
  const std::uint16_t next = session.start(*good);
  ASSERT_TRUE(session.feed(session.answers().data(next, 0, test::pattern(512), true, true)));
  EXPECT_TRUE(good->succeeded());
}

TEST(HostQueue, WrongHeaderDigestEndsTheConnection) {
  Session session({.depth = 8, .header_digest = true}, {.header_digest = true});
  auto flush = Request::flush();
  const std::uint16_t cid = session.start(*flush);
  Answers wrong = session.answers();
  wrong.response(cid);
  wrong.bytes.back() ^= std::byte{1};
  EXPECT_FALSE(session.feed(wrong));
  EXPECT_EQ(session.queue.fault()->error.fes, Fes::header_digest_error);
  session.queue.fail_all(Time{});
  EXPECT_EQ(flush->outcome, HostOutcome::lost);
}

// ---- Answers that are wrong.

TEST(HostQueue, RejectsDataBeyondTheCommand) {
  Session session;
  auto read = Request::read(1024);
  const std::uint16_t cid = session.start(*read);
  session.expect_broken(session.answers().data(cid, 512, test::pattern(516), true, false),
                        Fes::data_transfer_out_of_range, 0);
}

TEST(HostQueue, RejectsDataThatCameBefore) {
  Session session;
  auto read = Request::read(1024);
  const std::uint16_t cid = session.start(*read);
  session.expect_broken(session.answers()
                            .data(cid, 512, test::pattern(512), false, false)
                            .data(cid, 508, test::pattern(8), false, false),
                        Fes::data_transfer_out_of_range, 0);
}

TEST(HostQueue, RejectsDataAfterTheLast) {
  Session session;
  auto read = Request::read(1024);
  const std::uint16_t cid = session.start(*read);
  session.expect_broken(session.answers()
                            .data(cid, 0, test::pattern(512), true, false)
                            .data(cid, 512, test::pattern(512), true, false),
                        Fes::pdu_sequence_error, 0);
}

TEST(HostQueue, RejectsDataForAWrite) {
  Session session;
  auto write = Request::write(512);
  const std::uint16_t cid = session.start(*write);
  session.expect_broken(session.answers().data(cid, 0, test::pattern(512), true, false),
                        Fes::pdu_sequence_error, 0);
}

TEST(HostQueue, RejectsDataForAnUnknownCommand) {
  Session session;
  session.expect_broken(session.answers().data(3, 0, test::pattern(512), true, false),
                        Fes::invalid_pdu_header_field, 8);
}

TEST(HostQueue, RejectsResponseForAnUnknownCommand) {
  Session session;
  session.expect_broken(session.answers().response(3), Fes::invalid_pdu_header_field, 20);
}

TEST(HostQueue, RejectsCommandIdBeyondItsSlots) {
  Session session({.depth = 5});
  session.expect_broken(session.answers().response(7), Fes::invalid_pdu_header_field, 20);
}

TEST(HostQueue, RejectsASecondResponse) {
  Session session;
  auto flush = Request::flush();
  const std::uint16_t cid = session.start(*flush);
  session.expect_broken(session.answers().response(cid).response(cid), Fes::invalid_pdu_header_field, 20);
  EXPECT_TRUE(flush->succeeded());
}

TEST(HostQueue, RejectsLateAnswerToTheSlotsEarlierCommand) {
  Session session({.depth = 1});
  auto first = Request::flush(), second = Request::flush();
  const std::uint16_t old = session.start(*first);
  ASSERT_TRUE(session.feed(session.answers().response(old)));
  const std::uint16_t now = session.start(*second);
  EXPECT_NE(old, now);
  session.expect_broken(session.answers().response(old), Fes::invalid_pdu_header_field, 20);
  EXPECT_EQ(second->times_done, 0);
  session.queue.fail_all(Time{});
}

TEST(HostQueue, RejectsResponseToACommandThatWasNotSent) {
  Session session({.depth = 1});
  auto first = Request::flush(), second = Request::flush();
  const std::uint16_t cid = session.start(*first);
  ASSERT_TRUE(session.feed(session.answers().response(cid)));
  ASSERT_TRUE(session.queue.submit(*second));
  session.expect_broken(session.answers().response(static_cast<std::uint16_t>(cid + 1)),
                        Fes::invalid_pdu_header_field, 20);
  session.queue.fail_all(Time{});
  EXPECT_FALSE(second->sent);
}

TEST(HostQueue, TakesTheControllersTermReqAndSendsNone) {
  Session session;
  EXPECT_FALSE(session.feed(session.answers().term_req({.fes = Fes::limit_exceeded, .fei = 0})));
  EXPECT_EQ(session.queue.fault()->kind, HostFault::Kind::terminated);
  EXPECT_EQ(session.queue.fault()->error.fes, Fes::limit_exceeded);
  EXPECT_TRUE(session.gather().empty());
}

TEST(HostQueue, RejectsAPduOfTheWrongDirection) {
  Session session;
  Answers answers;
  std::array<std::byte, kPduPrefixMax> raw;
  const PduLayout layout = encode_capsule_cmd(make_flush(0, 1), 0, {}, raw);
  test::append(answers.bytes, std::span(raw).first(layout.prefix_bytes));
  session.expect_broken(answers, Fes::invalid_pdu_header_field, 0);
}

}  // namespace
}  // namespace netstor::nvme::tcp
