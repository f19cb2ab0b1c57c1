// SPDX-License-Identifier: Apache-2.0
//
// Targets that break NVMe/TCP in the answer to a command. The connection ends; what could change the store
// has an unknown effect; the next connection serves.

#include "tests/faults/host_fault_support.h"

namespace netstor::faults {
namespace {

using tcp::Fes;
using tcp::PduType;

struct Fault {
  const char* name;
  Fes fes;  // what the host says of it, where there is time to say it
  void (*answer)(const Peer& peer, const Command& command);
};

ByteVector raw(const tcp::CommonHeader& header, std::size_t size) {
  ByteVector bytes(size);
  encode(header, std::span(bytes).first<tcp::kCommonHeaderBytes>());
  return bytes;
}

const ByteVector kBlock(4096, std::byte{0x5A});
const std::uint16_t kOtherId = 0x5555;

// In the place of the answer to a read of one block.
constexpr Fault kOfReads[] = {
    {"PduTooShort", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) {
       peer.send(raw({.type = PduType::capsule_resp, .hlen = 24, .plen = 20}, 24));
     }},
    {"PduTooLong", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) {
       peer.send(raw({.type = PduType::capsule_resp, .hlen = 24, .plen = 0x7FFFFFFF}, 24));
     }},
    {"PduOfUnknownType", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) {
       peer.send(raw({.type = static_cast<PduType>(0x7E), .hlen = 24, .plen = 24}, 24));
     }},
    {"PduOfTheOtherDirection", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) {
       peer.send(raw({.type = PduType::capsule_cmd, .hlen = 72, .plen = 72}, 72));
     }},
    {"WrongHeaderLength", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) {
       peer.send(raw({.type = PduType::capsule_resp, .hlen = 23, .plen = 24}, 24));
     }},
    {"DataOffsetInsideTheHeader", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) {
       peer.send(raw({.type = PduType::c2h_data, .flags = tcp::kFlagLast, .hlen = 24, .pdo = 8, .plen = 4120},
                     4120));
     }},
    {"DigestThatNobodyAskedFor", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) {
       peer.send(raw({.type = PduType::capsule_resp, .flags = tcp::kFlagHdgst, .hlen = 24, .plen = 28}, 28));
     }},
    {"SecondHandshake", Fes::pdu_sequence_error,
     [](const Peer& peer, const Command&) { peer.send(Answers().ic_resp()); }},
    {"UnknownCommandId", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) { peer.send(peer.answers().response(kOtherId)); }},
    {"DataForAnUnknownCommandId", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) {
       peer.send(peer.answers().data(kOtherId, 0, kBlock, true, true));
     }},
    {"MoreDataThanWasAskedFor", Fes::data_transfer_out_of_range,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().data(command.cid(), 0, ByteVector(8192), true, true));
     }},
    {"DataBehindWhatWasAskedFor", Fes::data_transfer_out_of_range,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().data(command.cid(), 4096, kBlock, true, true));
     }},
    {"DataWhoseEndWraps", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().data(command.cid(), 0xFFFFFC00, kBlock, true, true));
     }},
    {"TheSameDataTwice", Fes::data_transfer_out_of_range,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers()
                     .data(command.cid(), 0, std::span(kBlock).first(2048), false, false)
                     .data(command.cid(), 0, std::span(kBlock).first(2048), true, true));
     }},
    {"SuccessBeforeTheLast", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command& command) {
       Answers answers = peer.answers().data(command.cid(), 0, kBlock, true, true);
       answers.bytes[1] &= ~std::byte{tcp::kFlagLast};
       peer.send(answers);
     }},
    {"DataAfterTheLast", Fes::pdu_sequence_error,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers()
                     .data(command.cid(), 0, std::span(kBlock).first(2048), true, false)
                     .data(command.cid(), 2048, std::span(kBlock).first(2048), true, false));
     }},
    {"AskingForTheDataOfARead", Fes::pdu_sequence_error,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().r2t(command.cid(), 1, 0, 4096));
     }},
};

// In the place of the first R2T of a write of 16 KiB, of which the capsule holds nothing.
constexpr Fault kOfWrites[] = {
    {"R2tBehindTheEnd", Fes::data_transfer_out_of_range,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().r2t(command.cid(), 1, 16384, 4096));
     }},
    {"R2tTooLong", Fes::data_transfer_out_of_range,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().r2t(command.cid(), 1, 0, 20480));
     }},
    {"R2tOfLengthZero", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command& command) { peer.send(peer.answers().r2t(command.cid(), 1, 0, 0)); }},
    {"R2tWhoseEndWraps", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().r2t(command.cid(), 1, 0xFFFFF000, 8192));
     }},
    {"R2tOfAnUnknownCommandId", Fes::invalid_pdu_header_field,
     [](const Peer& peer, const Command&) { peer.send(peer.answers().r2t(kOtherId, 1, 0, 4096)); }},
    {"R2tForTheSameTwice", Fes::data_transfer_out_of_range,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().r2t(command.cid(), 1, 0, 8192).r2t(command.cid(), 2, 4096, 8192));
     }},
    {"MoreR2tsThanWereAgreedOn", Fes::limit_exceeded,
     [](const Peer& peer, const Command& command) {
       Answers answers = peer.answers();
       for (std::uint16_t i = 0; i < 5; ++i) answers.r2t(command.cid(), i, i * 1024u, 1024);
       peer.send(answers);
     }},
    {"DataForAWrite", Fes::pdu_sequence_error,
     [](const Peer& peer, const Command& command) {
       peer.send(peer.answers().data(command.cid(), 0, kBlock, true, true));
     }},
};

class HostPduFault : public HostFault, public ::testing::WithParamInterface<Fault> {
 protected:
  // Once; what comes after it is answered well.
  void misbehave(IoOpcode opcode) {
    target.on_command([opcode, spent = false](Peer& peer, const Command& command) mutable {
      if (spent || !peer.io() || command.is_fabrics() || command.io_opcode() != opcode) return false;
      spent = true;
      GetParam().answer(peer, command);
      return true;
    });
  }
  void expect_named() {
    if (const auto said = target.terminated()) {
      EXPECT_EQ(said->fes, GetParam().fes) << to_string(said->fes);
    }
  }
};
class HostReadFault : public HostPduFault {};
class HostWriteFault : public HostPduFault {};

TEST_P(HostReadFault, EndsTheConnection) {
  open();
  misbehave(IoOpcode::read);
  expect_failed(read(), "read", ErrorKind::disconnected, Effect::none,
                "broke the protocol: " + std::string(to_string(GetParam().fes)));
  expect_service();
  expect_named();
}

TEST_P(HostReadFault, IsReadAgainOnTheNextConnection) {
  VolumeOptions patient = options();
  patient.path_loss_timeout = std::chrono::seconds(20);
  open(patient);
  std::fill_n(target.memory.begin() + kOffset, kBytes, std::byte{0x42});
  misbehave(IoOpcode::read);
  const auto result = read();
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(memory, ByteVector(kBytes, std::byte{0x42}));
  EXPECT_EQ(runtime->metrics().reconnects, 1u);
}

TEST_P(HostWriteFault, EndsTheConnection) {
  open();
  EXPECT_TRUE(read().ok());  // the host now expects small answers: it takes several at once
  misbehave(IoOpcode::write);
  expect_failed(write(16384), "write", ErrorKind::disconnected, Effect::unknown,
                "broke the protocol: " + std::string(to_string(GetParam().fes)));
  expect_service();
  expect_named();
}

std::string name_of(const ::testing::TestParamInfo<Fault>& each) { return each.param.name; }
INSTANTIATE_TEST_SUITE_P(Pdu, HostReadFault, ::testing::ValuesIn(kOfReads), name_of);
INSTANTIATE_TEST_SUITE_P(Pdu, HostWriteFault, ::testing::ValuesIn(kOfWrites), name_of);

TEST_F(HostFault, SecondAnswerToACommand) {
  open();
  target.on_command([](Peer& peer, const Command& command) {
    if (!peer.io() || command.is_fabrics()) return false;
    peer.send(peer.answers().data(command.cid(), 0, kBlock, true, true).response(command.cid()));
    return true;
  });
  // The first answer counts; the second ends the connection, and with it whatever comes next.
  const auto first = read();
  ASSERT_TRUE(first) << first.error();
  EXPECT_EQ(memory, kBlock);
  target.on_command({});
  expect_service();
}

TEST_F(HostFault, SuccessWithoutTheData) {
  open();
  target.on_command([](Peer& peer, const Command& command) {
    if (!peer.io() || command.is_fabrics()) return false;
    peer.answer(command);
    return true;
  });
  expect_failed(read(), "read", ErrorKind::protocol, Effect::none, "data transfer error");
}

TEST_F(HostFault, TermReqOfTheTarget) {
  open();
  target.on_command([](Peer& peer, const Command& command) {
    if (!peer.io() || command.is_fabrics()) return false;
    peer.send(peer.answers().term_req({.fes = Fes::limit_exceeded}));
    return true;
  });
  expect_failed(write(), "write", ErrorKind::disconnected, Effect::unknown,
                "the other end ended the connection: R2T limit");
}

class HostDigestFault : public HostFault {
 protected:
  void SetUp() override {
    VolumeOptions with = options();
    with.header_digest = with.data_digest = true;
    open(with);
  }
  // Flips a bit of the next answer to a read.
  void damage(std::size_t byte) {
    target.on_command([byte, spent = false](Peer& peer, const Command& command) mutable {
      if (spent || !peer.io() || command.is_fabrics()) return false;
      spent = true;
      Answers answers = peer.answers().data(command.cid(), 0, kBlock, true, true);
      answers.bytes[byte] ^= std::byte{1};
      peer.send(answers);
      return true;
    });
  }
};

TEST_F(HostDigestFault, RightDigestsAreWell) {
  EXPECT_TRUE(write().ok());
  EXPECT_TRUE(read().ok());
}

TEST_F(HostDigestFault, WrongHeaderDigest) {
  damage(tcp::kDataBytes);
  expect_failed(read(), "read", ErrorKind::disconnected, Effect::none,
                "broke the protocol: header digest error");
  expect_service();
}

TEST_F(HostDigestFault, WrongDataDigestFailsTheCommandAlone) {
  const unsigned connections = target.connections;
  damage(tcp::kDataBytes + tcp::kDigestBytes + 100);
  expect_failed(read(), "read", ErrorKind::data_corrupt, Effect::none, "data digest error");
  const auto again = read();
  EXPECT_TRUE(again) << again.error();
  EXPECT_EQ(target.connections, connections);
}

}  // namespace
}  // namespace netstor::faults
