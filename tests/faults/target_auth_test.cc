// SPDX-License-Identifier: Apache-2.0
//
// A host that has to prove who it is, and does not: nothing but authentication is answered, on any queue, and
// a failure is the queue's end.

#include "lib/proto/nvme/dhchap.h"
#include "tests/faults/raw_host.h"

namespace netstor::faults {
namespace {

constexpr std::string_view kGuarded = "nqn.2026-01.io.netstor:guarded";

AuthSecret secret_of(int fill) {
  AuthSecret secret;
  secret.size = 32;
  secret.bytes.fill(std::byte{static_cast<unsigned char>(fill)});
  return secret;
}

class AuthFault : public TargetFault {
 protected:
  AuthFault() {
    server.target
        ->add_subsystem({.nqn = std::string(kGuarded),
                         .serial = "GUARDED",
                         .secrets = {{std::string(kHost), {.host = secret_of(1)}}}})
        .get()
        .value();
  }
  ConnectAccepted connect(std::string_view host_nqn = kHost) {
    admin.handshake();
    ConnectData data = RawHost::names();
    data.subnqn = NqnField(kGuarded);
    data.hostnqn = NqnField(host_nqn);
    const Completion connected = admin.connect({.sqsize = 31}, data);
    EXPECT_TRUE(connected.status.ok()) << to_string(connected.status, StatusDialect::fabrics);
    return decode_connect_accepted(connected.dw0());
  }
  Completion say(std::span<const std::byte> message, AuthTransfer transfer = {}) {
    transfer.bytes = static_cast<std::uint32_t>(message.size());
    return admin.ask(with(FabricsType::authentication_send, transfer, in_capsule_data(0, transfer.bytes)),
                     message);
  }
  std::vector<std::byte> hear() {
    admin.send(admin.capsule(with(FabricsType::authentication_receive, {.bytes = kAuthMessageBytesMax},
                                  transport_data_block(kAuthMessageBytesMax))));
    const auto data = admin.receive();
    EXPECT_TRUE(data && data->type() == tcp::PduType::c2h_data);
    const auto response = admin.receive();
    EXPECT_TRUE(response && response->type() == tcp::PduType::capsule_resp);
    return data ? std::vector(data->data().begin(), data->data().end()) : std::vector<std::byte>();
  }
  static Command with(FabricsType type, const AuthTransfer& transfer, const SglDescriptor& sgl) {
    return make_auth_transfer(type, 9, transfer, sgl);
  }
  void expect_outside() {
    expect_refused(admin.ask(make_property_get(3, Property::cap)), FabricsStatus::authentication_required);
    expect_refused(admin.ask(make_command(AdminOpcode::keep_alive, 4, 0)),
                   FabricsStatus::authentication_required);
  }
  static DhChapHost host(int fill) {
    return {{.host_nqn = std::string(kHost), .subsystem_nqn = std::string(kGuarded)},
            {.host = secret_of(fill)},
            3};
  }
};

TEST_F(AuthFault, NothingIsAnsweredBefore) {
  EXPECT_TRUE(connect().authentication_transaction_required);
  expect_outside();
}

TEST_F(AuthFault, TheRightSecretOpens) {
  connect();
  DhChapHost right = host(1);
  EXPECT_TRUE(say(right.negotiate().send).status.ok());
  expect_outside();
  EXPECT_TRUE(say(right.challenged(hear()).send).status.ok());
  EXPECT_FALSE(right.concluded(hear()).failure);
  EXPECT_TRUE(admin.ask(make_property_get(5, Property::cap)).status.ok());
}

TEST_F(AuthFault, AWrongSecretIsTheEndOfTheQueue) {
  connect();
  DhChapHost wrong = host(2);
  EXPECT_TRUE(say(wrong.negotiate().send).status.ok());
  EXPECT_TRUE(say(wrong.challenged(hear()).send).status.ok());
  EXPECT_EQ(wrong.concluded(hear()).failure, AuthFailure::failed);
  expect_outside();
  expect_refused(say(host(1).negotiate().send), GenericStatus::command_sequence_error);
  expect_outside();
}

TEST_F(AuthFault, MessagesThatAreNone) {
  connect();
  const std::vector<std::byte> noise(300, std::byte{0xEE});
  EXPECT_TRUE(say(noise).status.ok());
  EXPECT_EQ(decode_auth_failure(hear()), AuthFailure::incorrect_payload);
  expect_outside();
}

TEST_F(AuthFault, TransfersOfAnotherProtocolOrLength) {
  connect();
  const auto negotiate = host(1).negotiate().send;
  expect_refused(say(negotiate, {.protocol = 0x02}), GenericStatus::invalid_field);
  expect_refused(say(negotiate, {.specific = 0x0201}), GenericStatus::invalid_field);
  for (const std::uint32_t bytes : {0u, 8193u, ~0u}) {
    expect_refused(
        admin.ask(with(FabricsType::authentication_receive, {.bytes = bytes}, transport_data_block(bytes))),
        GenericStatus::invalid_field);
  }
  // Nothing is to be heard before anything was said.
  expect_refused(
      admin.ask(with(FabricsType::authentication_receive, {.bytes = 64}, transport_data_block(64))),
      GenericStatus::command_sequence_error);
}

// Down to the message, so that nobody learns who is known.
TEST_F(AuthFault, AHostWithoutASecretFailsAsOneWithAWrongOne) {
  constexpr std::string_view kNobody = "nqn.2026-01.org.example:nobody";
  EXPECT_TRUE(connect(kNobody).authentication_transaction_required);
  expect_outside();
  DhChapHost nobody({.host_nqn = std::string(kNobody), .subsystem_nqn = std::string(kGuarded)},
                    {.host = secret_of(1)}, 3);
  EXPECT_TRUE(say(nobody.negotiate().send).status.ok());
  EXPECT_TRUE(say(nobody.challenged(hear()).send).status.ok());
  EXPECT_EQ(nobody.concluded(hear()).failure, AuthFailure::failed);
  expect_outside();
  std::uint64_t counted = 0;
  const auto all = server.target->observe().get().value();
  for (const nvmf::ShardFacts& facts : all) {
    const auto found = facts.counters.failed_authentications.find(to_string(AuthFailure::failed));
    if (found != facts.counters.failed_authentications.end()) counted += found->second;
  }
  EXPECT_EQ(counted, 1u);
}

// The same steps and the same answer as for one that is not known, and counted as that.
TEST_F(AuthFault, ASecretThatIsOverFailsAsAWrongOne) {
  nvmf::SubsystemConfig access{.nqn = std::string(kGuarded), .serial = "GUARDED"};
  access.secrets = {{.host_nqn = std::string(kHost),
                     .secrets = {.host = secret_of(1)},
                     .until = std::chrono::system_clock::now() - std::chrono::hours(1)}};
  server.target->set_access(access).get().value();
  EXPECT_TRUE(connect().authentication_transaction_required);
  DhChapHost late = host(1);
  EXPECT_TRUE(say(late.negotiate().send).status.ok());
  EXPECT_TRUE(say(late.challenged(hear()).send).status.ok());
  EXPECT_EQ(late.concluded(hear()).failure, AuthFailure::failed);
  expect_outside();
  std::uint64_t counted = 0;
  for (const nvmf::ShardFacts& facts : server.target->observe().get().value()) {
    for (const auto& [why, count] : facts.counters.failed_authentications) counted += count;
  }
  EXPECT_EQ(counted, 1u);
}

TEST_F(AuthFault, OneThatBeginsAndGoesAwayIsCountedOnce) {
  connect();
  EXPECT_TRUE(say(host(1).negotiate().send).status.ok());
  admin.close();
  std::map<std::string_view, std::uint64_t> counted;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (counted.empty() && std::chrono::steady_clock::now() < deadline) {
    for (const nvmf::ShardFacts& facts : server.target->observe().get().value()) {
      for (const auto& [why, count] : facts.counters.failed_authentications) counted[why] += count;
    }
  }
  EXPECT_EQ(counted, (std::map<std::string_view, std::uint64_t>{{nvmf::kUnfinishedAuthentication, 1}}));
}

// The message of an empty secret is what anybody can compute.
TEST_F(AuthFault, AnEmptySecretOpensNothing) {
  constexpr std::string_view kNobody = "nqn.2026-01.org.example:nobody";
  connect(kNobody);
  AuthSecret empty;
  empty.transform = AuthHash::sha256;
  DhChapHost nobody({.host_nqn = std::string(kNobody), .subsystem_nqn = std::string(kGuarded)},
                    {.host = empty}, 3);
  EXPECT_TRUE(say(nobody.negotiate().send).status.ok());
  EXPECT_TRUE(say(nobody.challenged(hear()).send).status.ok());
  EXPECT_EQ(nobody.concluded(hear()).failure, AuthFailure::failed);
  expect_outside();
}

// A host that sends the next message before the last was answered finds nobody to hear it.
TEST_F(AuthFault, MessagesThatDoNotWait) {
  connect();
  const auto negotiate = host(1).negotiate().send;
  const auto length = static_cast<std::uint32_t>(negotiate.size());
  for (std::uint16_t cid = 20; cid < 28; ++cid) {
    admin.send(admin.capsule(make_auth_transfer(FabricsType::authentication_send, cid, {.bytes = length},
                                                in_capsule_data(0, length)),
                             negotiate));
  }
  unsigned taken = 0;
  for (int i = 0; i < 8; ++i) {
    const auto answer = admin.receive();
    ASSERT_TRUE(answer && answer->type() == tcp::PduType::capsule_resp);
    taken += answer->completion().status.ok() ? 1 : 0;
  }
  EXPECT_GE(taken, 1u);
  expect_outside();
}

}  // namespace
}  // namespace netstor::faults
