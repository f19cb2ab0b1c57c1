// SPDX-License-Identifier: Apache-2.0
//
// TcpReceiver and SendBatch by themselves: where bytes go, how far a receive runs, how the receiving end of a
// target takes data in place.

#include "lib/proto/nvme/tcp_framing.h"

#include <gtest/gtest.h>

#include "lib/proto/nvme/send_batch.h"
#include "tests/unit/nvme_tcp_peer.h"

namespace netstor::nvme::tcp {
namespace {

using test::ByteVector;

struct Sink {
  std::optional<PduError> on_header(const Pdu&, Placement& placement) {
    ++headers;
    placement = next;
    return refuse_header;
  }
  std::optional<PduError> on_pdu(const Pdu& pdu, std::span<const std::byte> in_place, bool digest_ok) {
    ++pdus;
    last = pdu.header;
    place.assign(in_place.begin(), in_place.end());
    last_digest_ok = digest_ok;
    if (receiver_to_stop != nullptr) receiver_to_stop->stop();
    return std::nullopt;
  }
  Placement next{};
  std::optional<PduError> refuse_header;
  TcpReceiver* receiver_to_stop = nullptr;
  int headers = 0;
  int pdus = 0;
  CommonHeader last{};
  ByteVector place;
  bool last_digest_ok = false;
};

ByteVector capsule(std::span<const std::byte> data, const PduFormat& format = {}) {
  std::array<std::byte, kPduPrefixMax> raw;
  const PduLayout layout =
      encode_capsule_cmd(make_flush(1, 1), static_cast<std::uint32_t>(data.size()), format, raw);
  ByteVector bytes(raw.begin(), raw.begin() + layout.prefix_bytes);
  test::append(bytes, data);
  if (layout.data_digest) {
    std::array<std::byte, kDigestBytes> digest;
    encode_digest(crc32c(data), digest.data());
    test::append(bytes, digest);
  }
  return bytes;
}

std::optional<PduError> feed(TcpReceiver& receiver, Sink& sink, std::span<const std::byte> bytes,
                             std::size_t step, OverRead over_read) {
  while (!bytes.empty()) {
    std::array<iovec, 8> pieces;
    const unsigned count = receiver.want(pieces.data(), pieces.size(), over_read);
    std::size_t moved = 0;
    for (unsigned i = 0; i < count; ++i) {
      EXPECT_NE(pieces[i].iov_len, 0u);
      const std::size_t take = std::min({pieces[i].iov_len, step - moved, bytes.size() - moved});
      std::memcpy(pieces[i].iov_base, bytes.data() + moved, take);
      moved += take;
    }
    bytes = bytes.subspan(moved);
    if (auto error = receiver.received(moved, sink)) return error;
  }
  return std::nullopt;
}

TEST(TcpReceiver, DeliversInCapsuleDataInPlaceWhateverTheCut) {
  for (const std::size_t step : {1u, 7u, 100u, 5000u, 1000000u}) {
    for (const OverRead over_read : {OverRead::exact, OverRead::greedy}) {
      TcpReceiver receiver(Direction::host_to_controller, {.header_digest = true, .data_digest = true}, 8192);
      Sink sink;
      sink.next.kind = Placement::Kind::in_place;
      const PduFormat format{.header_digest = true, .data_digest = true};
      for (int i = 0; i < 60; ++i) {
        const ByteVector data = test::pattern(8192, static_cast<unsigned>(i));
        ASSERT_FALSE(feed(receiver, sink, capsule(data, format), step, over_read));
        ASSERT_EQ(sink.pdus, i + 1);
        ASSERT_EQ(sink.place, data);
        ASSERT_TRUE(sink.last_digest_ok);
      }
      EXPECT_EQ(receiver.copied_bytes(), 0u);
    }
  }
}

TEST(TcpReceiver, TakesManyPdusFromOneReceive) {
  TcpReceiver receiver(Direction::host_to_controller, {}, 8192);
  Sink sink;
  sink.next.kind = Placement::Kind::in_place;
  ByteVector bytes;
  for (int i = 0; i < 10; ++i) test::append(bytes, capsule(test::pattern(4096)));
  ASSERT_FALSE(feed(receiver, sink, bytes, bytes.size(), OverRead::greedy));
  EXPECT_EQ(sink.pdus, 10);
}

TEST(TcpReceiver, RejectsInPlacePayloadBeyondItsLimit) {
  TcpReceiver receiver(Direction::host_to_controller, {.in_capsule_data_max = 8192}, 4096);
  Sink sink;
  sink.next.kind = Placement::Kind::in_place;
  const auto error = feed(receiver, sink, capsule(test::pattern(8192)), 100000, OverRead::greedy);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->fes, Fes::limit_exceeded);
}

TEST(TcpReceiver, TellsAWrongDataDigest) {
  TcpReceiver receiver(Direction::host_to_controller, {.data_digest = true}, 8192);
  Sink sink;
  sink.next.kind = Placement::Kind::in_place;
  ByteVector bytes = capsule(test::pattern(512), {.data_digest = true});
  bytes[200] ^= std::byte{1};
  ASSERT_FALSE(feed(receiver, sink, bytes, 100, OverRead::greedy));
  EXPECT_FALSE(sink.last_digest_ok);
}

TEST(TcpReceiver, KeepsTheOffendingHeader) {
  TcpReceiver receiver(Direction::host_to_controller, {}, 8192);
  Sink sink;
  ByteVector bytes = capsule({});
  bytes[2] = std::byte{71};
  const auto error = feed(receiver, sink, bytes, 8, OverRead::greedy);
  ASSERT_TRUE(error);
  EXPECT_EQ(*error, (PduError{.fes = Fes::invalid_pdu_header_field, .fei = 2}));
  ASSERT_EQ(receiver.offending().size(), 8u);
  EXPECT_TRUE(std::ranges::equal(receiver.offending(), std::span(bytes).first(8)));
}

TEST(TcpReceiver, EndsWhereItsSinkRefuses) {
  TcpReceiver receiver(Direction::host_to_controller, {}, 8192);
  Sink sink;
  sink.refuse_header = PduError{.fes = Fes::pdu_sequence_error};
  const ByteVector bytes = capsule({});
  EXPECT_TRUE(feed(receiver, sink, bytes, bytes.size(), OverRead::greedy));
  EXPECT_EQ(receiver.offending().size(), bytes.size());
  EXPECT_FALSE(feed(receiver, sink, bytes, bytes.size(), OverRead::greedy));
  EXPECT_EQ(sink.headers, 1);
}

TEST(TcpReceiver, StopsFromInsideItsSink) {
  TcpReceiver receiver(Direction::host_to_controller, {}, 8192);
  Sink sink;
  sink.receiver_to_stop = &receiver;
  ByteVector bytes = capsule({});
  test::append(bytes, capsule({}));
  EXPECT_FALSE(feed(receiver, sink, bytes, bytes.size(), OverRead::greedy));
  EXPECT_EQ(sink.pdus, 1);
}

TEST(TcpReceiver, ExactReadsNotPastTheNextHeader) {
  TcpReceiver receiver(Direction::controller_to_host, {.data_digest = true});
  Sink sink;
  ByteVector memory(65536);
  const iovec piece{.iov_base = memory.data(), .iov_len = memory.size()};
  sink.next = {.kind = Placement::Kind::memory, .pieces = &piece, .piece_count = 1};
  test::Answers answers({.data_digest = true});
  const ByteVector data = test::pattern(65536);
  answers.data(0, 0, data, true, true);
  std::array<iovec, 8> pieces;
  ASSERT_EQ(receiver.want(pieces.data(), 8, OverRead::exact), 1u);
  ASSERT_EQ(pieces[0].iov_len, kDataBytes);
  std::memcpy(pieces[0].iov_base, answers.bytes.data(), kDataBytes);
  ASSERT_FALSE(receiver.received(kDataBytes, sink));
  EXPECT_TRUE(receiver.in_memory_payload());
  ASSERT_EQ(receiver.want(pieces.data(), 8, OverRead::exact), 2u);
  EXPECT_EQ(pieces[0].iov_base, memory.data());
  EXPECT_EQ(pieces[0].iov_len, memory.size());
  EXPECT_EQ(pieces[1].iov_len, kDigestBytes + kDataBytes);
}

TEST(SendBatch, JoinsHeadersAndSeparatesPayload) {
  SendBatch batch;
  std::ranges::fill(std::span(batch.header(72), 72), std::byte{1});
  std::ranges::fill(std::span(batch.header(72), 72), std::byte{2});
  EXPECT_EQ(batch.piece_count(), 1u);
  ByteVector data = test::pattern(100);
  const std::array<iovec, 2> list{iovec{.iov_base = data.data(), .iov_len = 60},
                                  iovec{.iov_base = data.data() + 60, .iov_len = 40}};
  EXPECT_EQ(batch.payload(list.data(), 2, 50, 20), 20u);
  EXPECT_EQ(batch.piece_count(), 3u);
  std::ranges::fill(std::span(batch.header(4), 4), std::byte{3});
  EXPECT_EQ(batch.piece_count(), 4u);
  EXPECT_EQ(batch.bytes(), 72u + 72 + 20 + 4);
  const ByteVector flat = test::flatten(batch);
  ASSERT_EQ(flat.size(), batch.bytes());
  EXPECT_TRUE(std::ranges::equal(std::span(flat).subspan(144, 20), std::span(data).subspan(50, 20)));
}

TEST(SendBatch, SaysHowMuchPayloadFound) {
  SendBatch batch;
  ByteVector data(1000);
  std::vector<iovec> list;
  for (std::size_t i = 0; i < 1000; ++i) list.push_back({.iov_base = data.data() + i, .iov_len = 1});
  static_cast<void>(batch.header(72));
  const std::uint64_t took = batch.payload(list.data(), 1000, 0, 1000);
  EXPECT_EQ(took, SendBatch::kPiecesMax - 2);
  static_cast<void>(batch.header(4));
  EXPECT_EQ(batch.piece_count(), SendBatch::kPiecesMax);
  EXPECT_FALSE(batch.room());
}

}  // namespace
}  // namespace netstor::nvme::tcp
