// SPDX-License-Identifier: Apache-2.0
//
// Commands and Connects that ask for what may not be: each gets its status, and the connection lives on
// where the protocol was kept.

#include "tests/faults/raw_host.h"

namespace netstor::faults {
namespace {

TEST_F(TargetFault, UnknownOpcode) {
  bring_up();
  expect_refused(io.ask(make_command(IoOpcode::copy, 2, 1)), GenericStatus::invalid_opcode);
  expect_refused(io.ask(make_command(std::uint8_t{0xC4}, 3, 1)), GenericStatus::invalid_opcode);
  expect_refused(admin.ask(make_command(AdminOpcode::format_nvm, 4, 1)), GenericStatus::invalid_opcode);
}

TEST_F(TargetFault, DuplicateCommandId) {
  bring_up();
  io.send(io.capsule(write_of(6, 0, 4)));
  ASSERT_TRUE(io.receive());  // R2T: command 6 stays in flight
  expect_refused(io.ask(make_flush(6, 1)), GenericStatus::command_id_conflict);
  EXPECT_TRUE(io.ask(make_flush(7, 1)).status.ok());
}

TEST_F(TargetFault, CapsuleBeforeConnect) {
  io.handshake();
  expect_refused(io.ask(make_flush(1, 1)), GenericStatus::command_sequence_error);
}

TEST_F(TargetFault, SecondConnect) {
  bring_up();
  const Completion again = io.connect({.qid = 1, .sqsize = 31}, RawHost::names(cntlid));
  expect_refused(again, GenericStatus::command_sequence_error);
}

TEST_F(TargetFault, QueueOverrun) {
  bring_up();
  std::vector<std::byte> many;
  for (std::uint16_t cid = 0; cid < 40; ++cid) {
    const auto one = io.capsule(write_of(cid, 0, 1));
    many.insert(many.end(), one.begin(), one.end());
  }
  io.send(many);
  std::optional<Received> pdu;
  do {
    pdu = io.receive();
  } while (pdu && pdu->type() == tcp::PduType::r2t);
  ASSERT_TRUE(pdu);
  EXPECT_EQ(pdu->type(), tcp::PduType::c2h_term_req);
}

TEST_F(TargetFault, NamespaceThatIsNotThere) {
  bring_up();
  expect_refused(io.ask(make_flush(2, 9)), GenericStatus::invalid_namespace_or_format);
  expect_refused(io.ask(make_read(3, 0, {}, transport_data_block(kBlockBytes))),
                 GenericStatus::invalid_namespace_or_format);
}

TEST_F(TargetFault, IoPastTheEnd) {
  bring_up();
  expect_refused(io.ask(make_read(2, 1, {.slba = kBlocks}, transport_data_block(kBlockBytes))),
                 GenericStatus::lba_out_of_range);
  expect_refused(io.ask(write_of(3, kBlocks - 1, 2)), GenericStatus::lba_out_of_range);
}

TEST_F(TargetFault, TransfersTooLarge) {
  bring_up();
  expect_refused(io.ask(make_read(2, 1, {.blocks = 257}, transport_data_block(257 * kBlockBytes))),
                 GenericStatus::invalid_field);
}

TEST_F(TargetFault, TransfersOfAnotherLengthThanTheBlocks) {
  bring_up();
  expect_refused(io.ask(make_read(2, 1, {}, transport_data_block(0))),
                 GenericStatus::data_sgl_length_invalid);
  expect_refused(io.ask(make_read(3, 1, {}, transport_data_block(512))),
                 GenericStatus::data_sgl_length_invalid);
  const std::vector<std::byte> half(kBlockBytes / 2);
  expect_refused(io.ask(make_write(4, 1, {}, in_capsule_data(0, kBlockBytes)), half),
                 GenericStatus::data_sgl_length_invalid);
}

TEST_F(TargetFault, DescriptorsThatTheTransportLacks) {
  bring_up();
  expect_refused(io.ask(make_read(2, 1, {}, data_block(0x1000, kBlockBytes))),
                 GenericStatus::sgl_descriptor_type_invalid);
  expect_refused(io.ask(make_read(3, 1, {}, keyed_data_block(0x1000, kBlockBytes, 7))),
                 GenericStatus::sgl_descriptor_type_invalid);
  Command prp = make_flush(4, 1);
  prp.set<std::uint8_t>(1, 0);
  expect_refused(io.ask(prp), GenericStatus::invalid_field);
}

TEST_F(TargetFault, HalfAPair) {
  bring_up();
  Command second = write_of(2, 0, 1);
  second.set_fuse(Fuse::second);
  expect_refused(io.ask(second), GenericStatus::aborted_missing_fused);
}

class ConnectFault : public TargetFault {
 protected:
  void expect_wrong(RawHost& host, const Connect& connect, const ConnectData& names,
                    const ConnectRefused& where) {
    host.handshake();
    const Completion answer = host.connect(connect, names);
    expect_refused(answer, FabricsStatus::connect_invalid_parameters);
    EXPECT_EQ(decode_connect_refused(answer.dw0()), where);
  }
  ConnectData data = RawHost::names();
};

TEST_F(ConnectFault, QueueSizeZero) { expect_wrong(admin, {.sqsize = 0}, data, kRefusedSqsize); }

TEST_F(ConnectFault, HostNqnThatIsNotOne) {
  data.hostnqn = NqnField("somebody");
  expect_wrong(admin, {.sqsize = 31}, data, kRefusedHostnqn);
}

TEST_F(ConnectFault, UnknownSubsystem) {
  data.subnqn = NqnField("nqn.2026-01.io.netstor:nowhere");
  expect_wrong(admin, {.sqsize = 31}, data, kRefusedSubnqn);
}

TEST_F(ConnectFault, QueueIdBeyondTheLimit) {
  cntlid = admin.bring_up_admin();
  expect_wrong(io, {.qid = 65, .sqsize = 31}, RawHost::names(cntlid), kRefusedQid);
}

TEST_F(ConnectFault, UnknownController) {
  expect_wrong(io, {.qid = 1, .sqsize = 31}, RawHost::names(0x777), kRefusedCntlid);
}

TEST_F(ConnectFault, QueueIdInUse) {
  bring_up();
  RawHost second(server.port);
  second.handshake();
  expect_refused(second.connect({.qid = 1, .sqsize = 31}, RawHost::names(cntlid)),
                 GenericStatus::command_sequence_error);
}

// Its admin queue came in before the host was shut out.
TEST_F(ConnectFault, NewQueueOfAHostThatIsNotAllowedAnyMore) {
  bring_up();
  const auto close = [this](bool shut) {
    return server.target->set_access({.nqn = std::string(kNqn), .serial = {}, .only_listed = shut}).get();
  };
  ASSERT_TRUE(close(true));
  RawHost second(server.port);
  second.handshake();
  expect_refused(second.connect({.qid = 2, .sqsize = 31}, RawHost::names(cntlid)),
                 FabricsStatus::connect_invalid_host);
  ASSERT_TRUE(close(false));
}

TEST_F(ConnectFault, HostThatIsNotAllowed) {
  const auto allow = [this](std::vector<std::string> hosts) {
    return server.target->set_access({.nqn = std::string(kNqn), .serial = {}, .hosts = std::move(hosts)})
        .get();
  };
  ASSERT_TRUE(allow({"nqn.2026-01.io.netstor:somebody"}));
  admin.handshake();
  expect_refused(admin.connect({.sqsize = 31}, data), FabricsStatus::connect_invalid_host);
  ASSERT_TRUE(allow({}));
}

}  // namespace
}  // namespace netstor::faults
