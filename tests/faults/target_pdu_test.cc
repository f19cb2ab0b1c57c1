// SPDX-License-Identifier: Apache-2.0
//
// PDUs that break the protocol: the connection ends with the reason, and others do not notice.

#include "tests/faults/raw_host.h"

namespace netstor::faults {
namespace {

using tcp::Fes;

std::vector<std::byte> bytes_of(const tcp::CommonHeader& header, std::size_t total) {
  std::vector<std::byte> out(std::max(total, tcp::kCommonHeaderBytes));
  encode(header, std::span(out).first<tcp::kCommonHeaderBytes>());
  return out;
}

TEST_F(TargetFault, UnknownPduType) {
  bring_up();
  io.send(bytes_of({.type = static_cast<tcp::PduType>(0x55), .hlen = 72, .plen = 72}, 72));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetFault, PduOfTheOtherDirection) {
  bring_up();
  io.send(bytes_of({.type = tcp::PduType::capsule_resp, .hlen = 24, .plen = 24}, 24));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetFault, WrongHeaderLength) {
  bring_up();
  io.send(bytes_of({.type = tcp::PduType::capsule_cmd, .hlen = 71, .plen = 72}, 72));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetFault, PduTooShort) {
  bring_up();
  io.send(bytes_of({.type = tcp::PduType::capsule_cmd, .hlen = 72, .plen = 40}, 72));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetFault, PduTooLong) {
  bring_up();
  io.send(bytes_of({.type = tcp::PduType::capsule_cmd, .hlen = 72, .pdo = 72, .plen = 0x7FFFFFFF}, 72));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetFault, WrongHeaderDigest) {
  bring_up({.header_digest = true});
  ASSERT_TRUE(io.format.header_digest);
  std::vector<std::byte> bytes = io.capsule(make_flush(2, 1));
  bytes[72] ^= std::byte{1};
  io.send(bytes);
  io.expect_termination(Fes::header_digest_error);
}

TEST_F(TargetFault, WrongDataDigestFailsTheCommandAlone) {
  bring_up({.data_digest = true});
  const std::vector<std::byte> block(kBlockBytes, std::byte{1});
  std::vector<std::byte> bytes = io.capsule(make_write(2, 1, {}, in_capsule_data(0, kBlockBytes)), block);
  bytes.back() ^= std::byte{1};
  io.send(bytes);
  const auto reply = io.receive();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->completion().status.is(GenericStatus::transient_transport_error));
  EXPECT_FALSE(reply->completion().status.dnr());
  EXPECT_TRUE(io.ask(make_write(3, 1, {}, in_capsule_data(0, kBlockBytes)), block).status.ok());
}

TEST_F(TargetFault, SecondHandshake) {
  bring_up();
  std::array<std::byte, tcp::kIcBytes> bytes;
  encode(tcp::IcReq{}, std::span(bytes));
  io.send(bytes);
  io.expect_termination(Fes::pdu_sequence_error);
}

TEST_F(TargetFault, CapsuleBeforeHandshake) {
  io.send(io.capsule(make_flush(1, 1)));
  io.expect_termination(Fes::pdu_sequence_error);
}

TEST_F(TargetFault, UnknownFormatVersion) {
  std::array<std::byte, tcp::kIcBytes> bytes;
  encode(tcp::IcReq{.pfv = 9}, std::span(bytes));
  io.send(bytes);
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetFault, DataForAnUnknownTag) {
  bring_up();
  const std::vector<std::byte> block(kBlockBytes);
  io.send(io.h2c_data({.cccid = 1, .ttag = 3, .datao = 0, .datal = kBlockBytes}, true, block));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetFault, DataForATagBeyondAll) {
  bring_up();
  const std::vector<std::byte> block(kBlockBytes);
  io.send(io.h2c_data({.cccid = 1, .ttag = 0xFFFE, .datao = 0, .datal = kBlockBytes}, true, block));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

class TargetDataFault : public TargetFault {
 protected:
  // A write of four blocks whose data the target asks for.
  tcp::R2t asked() {
    bring_up();
    io.send(io.capsule(write_of(6, 8, 4)));
    const auto pdu = io.receive();
    EXPECT_TRUE(pdu && pdu->type() == tcp::PduType::r2t);
    const tcp::R2t r2t = tcp::decode_r2t(pdu->head<tcp::kR2tBytes>());
    EXPECT_EQ(r2t.cccid, 6);
    EXPECT_EQ(r2t.r2to, 0u);
    EXPECT_EQ(r2t.r2tl, 4 * kBlockBytes);
    return r2t;
  }
  std::vector<std::byte> four = std::vector<std::byte>(4 * kBlockBytes, std::byte{3});
};

TEST_F(TargetDataFault, InOrderInPiecesIsWell) {
  const tcp::R2t r2t = asked();
  const std::span<const std::byte> all(four);
  io.send(io.h2c_data({6, r2t.ttag, 0, kBlockBytes}, false, all.first(kBlockBytes)));
  io.send(io.h2c_data({6, r2t.ttag, kBlockBytes, 3 * kBlockBytes}, true, all.subspan(kBlockBytes)));
  const auto reply = io.receive();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->completion().status.ok());
  EXPECT_EQ(reply->completion().cid, 6);
}

TEST_F(TargetDataFault, MoreThanWasAskedFor) {
  const tcp::R2t r2t = asked();
  const std::vector<std::byte> five(5 * kBlockBytes);
  io.send(io.h2c_data({6, r2t.ttag, 0, 5 * kBlockBytes}, true, five));
  io.expect_termination(Fes::data_transfer_out_of_range);
}

TEST_F(TargetDataFault, OutOfOrder) {
  const tcp::R2t r2t = asked();
  io.send(io.h2c_data({6, r2t.ttag, kBlockBytes, kBlockBytes}, false, std::span(four).first(kBlockBytes)));
  io.expect_termination(Fes::data_transfer_out_of_range);
}

TEST_F(TargetDataFault, OfAnotherCommand) {
  const tcp::R2t r2t = asked();
  io.send(io.h2c_data({7, r2t.ttag, 0, 4 * kBlockBytes}, true, four));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetDataFault, LastBeforeTheEnd) {
  const tcp::R2t r2t = asked();
  io.send(io.h2c_data({6, r2t.ttag, 0, kBlockBytes}, true, std::span(four).first(kBlockBytes)));
  io.expect_termination(Fes::invalid_pdu_header_field);
}

TEST_F(TargetDataFault, HostGoneInTheMiddle) {
  const tcp::R2t r2t = asked();
  std::vector<std::byte> pdu = io.h2c_data({6, r2t.ttag, 0, 4 * kBlockBytes}, true, four);
  pdu.resize(6000);
  io.send(pdu);
  io.close();
}

TEST_F(TargetDataFault, HostEndsTheConnection) {
  asked();
  std::array<std::byte, tcp::kTermReqBytes + tcp::kTermReqDataMax> bytes;
  const std::size_t size = encode_term_req(tcp::Direction::host_to_controller,
                                           {.error = {.fes = Fes::limit_exceeded}}, {}, std::span(bytes));
  io.send(std::span(bytes).first(size));
  EXPECT_FALSE(io.receive());
}

}  // namespace
}  // namespace netstor::faults
