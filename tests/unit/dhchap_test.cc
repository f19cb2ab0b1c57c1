// SPDX-License-Identifier: Apache-2.0
// Both ends of DH-HMAC-CHAP against each other, and each against what it must not believe. That the kernel's
// ends agree with them is tests/interop's to show.

#include "lib/proto/nvme/dhchap.h"

#include <gtest/gtest.h>

namespace netstor::nvme {
namespace {

constexpr const char* kSecret = "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:";
const AuthIdentity kNames{.host_nqn = "nqn.2014-08.org.nvmexpress:uuid:host",
                          .subsystem_nqn = "nqn.2026-01.io.netstor:volume"};

AuthSecret secret_of(std::uint8_t fill, std::size_t size = 32, AuthHash transform = AuthHash::sha256) {
  AuthSecret secret;
  secret.transform = transform;
  secret.size = size;
  for (std::size_t i = 0; i < size; ++i) secret.bytes[i] = std::byte{fill};
  return secret;
}

std::vector<std::byte> receive(DhChapController& controller) {
  std::vector<std::byte> out(kAuthMessageBytesMax);
  out.resize(controller.send(out));
  return out;
}

/// How far two ends come with each other.
struct Outcome {
  bool host_content = false;
  std::optional<AuthFailure> host_failure;
  bool controller_content = false;
};
Outcome meet(DhChapHost& host, DhChapController& controller) {
  Outcome outcome;
  const auto step = [&](DhChapHost::Step taken) {
    outcome.host_failure = taken.failure;
    if (!taken.send.empty()) controller.received(taken.send);
    return !taken.failure;
  };
  if (step(host.negotiate()) && step(host.challenged(receive(controller))))
    outcome.host_content = step(host.concluded(receive(controller)));
  outcome.controller_content = controller.authenticated();
  return outcome;
}

class DhChapPair : public ::testing::TestWithParam<std::tuple<AuthHash, AuthGroup, bool>> {};

TEST_P(DhChapPair, AgreesOnTheRightSecrets) {
  const auto [hash, group, mutual] = GetParam();
  const AuthSecrets secrets{.host = secret_of(1, auth_hash_bytes(hash), hash),
                            .controller = mutual ? secret_of(2, 48, AuthHash::none) : AuthSecret()};
  DhChapHost host(kNames, secrets, 7);
  DhChapController controller(kNames, secrets, {.hashes = {hash}, .groups = {group}});
  const Outcome outcome = meet(host, controller);
  EXPECT_TRUE(outcome.host_content);
  EXPECT_TRUE(outcome.controller_content);
}

TEST_P(DhChapPair, RefusesAnotherHostsSecret) {
  const auto [hash, group, mutual] = GetParam();
  const AuthSecret own = mutual ? secret_of(2) : AuthSecret();
  DhChapHost host(kNames, {.host = secret_of(3), .controller = own}, 7);
  DhChapController controller(kNames, {.host = secret_of(1), .controller = own},
                              {.hashes = {hash}, .groups = {group}});
  const Outcome outcome = meet(host, controller);
  EXPECT_FALSE(outcome.host_content);
  EXPECT_FALSE(outcome.controller_content);
  EXPECT_EQ(outcome.host_failure, AuthFailure::failed);
}

INSTANTIATE_TEST_SUITE_P(
    All, DhChapPair,
    ::testing::Combine(::testing::Values(AuthHash::sha256, AuthHash::sha384, AuthHash::sha512),
                       ::testing::Values(AuthGroup::null, AuthGroup::ffdhe2048, AuthGroup::ffdhe3072),
                       ::testing::Bool()));

TEST(DhChap, ControllerThatHoldsAnotherSecretIsNotBelieved) {
  DhChapHost host(kNames, {.host = secret_of(1), .controller = secret_of(2)}, 1);
  DhChapController controller(kNames, {.host = secret_of(1), .controller = secret_of(3)});
  const Outcome outcome = meet(host, controller);
  EXPECT_FALSE(outcome.host_content);
  EXPECT_FALSE(outcome.controller_content);
  EXPECT_EQ(outcome.host_failure, AuthFailure::failed);
}

TEST(DhChap, ControllerWithoutASecretCannotProveItself) {
  DhChapHost host(kNames, {.host = secret_of(1), .controller = secret_of(2)}, 1);
  DhChapController controller(kNames, {.host = secret_of(1)});
  EXPECT_FALSE(meet(host, controller).host_content);
  EXPECT_FALSE(controller.authenticated());
}

TEST(DhChap, ControllerThatKeepsSilentIsNotBelieved) {
  DhChapHost host(kNames, {.host = secret_of(1), .controller = secret_of(2)}, 1);
  DhChapController controller(kNames, {.host = secret_of(1), .controller = secret_of(2)});
  ASSERT_TRUE(controller.received(host.negotiate().send));
  ASSERT_FALSE(host.challenged(receive(controller)).failure);
  const auto silent = encode(AuthSuccess1{.transaction = 1, .hash = AuthHash::sha256});
  EXPECT_EQ(host.concluded(silent).failure, AuthFailure::failed);
}

TEST(DhChap, SecretsAreBoundToNames) {
  AuthIdentity other = kNames;
  other.host_nqn += "2";
  DhChapHost host(other, {.host = secret_of(1)}, 1);
  DhChapController controller(kNames, {.host = secret_of(1)});
  EXPECT_FALSE(meet(host, controller).controller_content);
}

TEST(DhChap, AnEmptySecretOpensNothing) {
  DhChapHost host(kNames, {}, 1);
  DhChapController controller(kNames, {});
  EXPECT_FALSE(meet(host, controller).controller_content);
}

TEST(DhChap, AReplyIsGoodOnce) {
  const AuthSecrets secrets{.host = secret_of(1)};
  DhChapHost host(kNames, secrets, 1);
  DhChapController first(kNames, secrets, {.groups = {AuthGroup::null}});
  ASSERT_TRUE(first.received(host.negotiate().send));
  const auto reply = host.challenged(receive(first)).send;
  ASSERT_TRUE(first.received(reply));
  EXPECT_FALSE(first.failed());
  DhChapController second(kNames, secrets, {.groups = {AuthGroup::null}});
  ASSERT_TRUE(second.received(host.negotiate().send));
  receive(second);
  second.received(reply);
  EXPECT_TRUE(second.failed());
}

TEST(DhChap, ControllerRefusesWhatIsOutOfOrder) {
  const AuthSecrets secrets{.host = secret_of(1)};
  for (const auto& message : {encode_auth_success2(0), encode(AuthReply{.response = AuthDigest(32)}),
                              encode(AuthSuccess1{.hash = AuthHash::sha256})}) {
    DhChapController controller(kNames, secrets);
    EXPECT_TRUE(controller.received(message));
    EXPECT_TRUE(controller.failed());
    EXPECT_EQ(decode_auth_failure(receive(controller)), AuthFailure::incorrect_message);
    // One try a queue.
    EXPECT_FALSE(controller.received(DhChapHost(kNames, secrets, 1).negotiate().send));
    EXPECT_TRUE(receive(controller).empty());
  }
}

TEST(DhChap, ControllerSaysWhatItCannotUse) {
  const auto refusal = [](const AuthNegotiate& asked) {
    DhChapController controller(kNames, {.host = secret_of(1)}, {.groups = {AuthGroup::ffdhe2048}});
    controller.received(encode(asked));
    return decode_auth_failure(receive(controller));
  };
  AuthNegotiate asked{
      .dhchap = true, .hashes = {AuthHash::sha256}, .groups = {AuthGroup::ffdhe2048, AuthGroup::null}};
  EXPECT_EQ(refusal(asked), std::nullopt);
  asked.secure_channel = 1;
  EXPECT_EQ(refusal(asked), AuthFailure::secure_channel_mismatch);
  asked.secure_channel = 0;
  asked.hashes = {static_cast<AuthHash>(9)};
  EXPECT_EQ(refusal(asked), AuthFailure::hash_not_usable);
  asked.hashes = {AuthHash::sha512};
  asked.groups = {AuthGroup::null};
  EXPECT_EQ(refusal(asked), AuthFailure::group_not_usable);
}

TEST(DhChap, NumbersThatGiveTheSecretAwayAreRefused) {
  const DhKey key(AuthGroup::ffdhe2048);
  std::vector<std::byte> number(256);
  EXPECT_FALSE(key.agree(number)) << "0";
  number.back() = std::byte{1};
  EXPECT_FALSE(key.agree(number)) << "1";
  EXPECT_FALSE(key.agree(std::vector<std::byte>(256, std::byte{0xFF}))) << "p-1 and above";
  EXPECT_FALSE(key.agree(std::span(number).first(255))) << "too short";
  const DhKey other(AuthGroup::ffdhe2048);
  EXPECT_EQ(key.agree(other.public_value()), other.agree(key.public_value()));
}

TEST(DhChap, HostRefusesWhatIsNoChallenge) {
  DhChapHost host(kNames, {.host = secret_of(1)}, 5);
  EXPECT_EQ(host.challenged({}).failure, AuthFailure::incorrect_message);
  AuthChallenge challenge{
      .transaction = 4, .hash = AuthHash::sha256, .group = AuthGroup::null, .challenge = AuthDigest(32)};
  EXPECT_EQ(host.challenged(encode(challenge)).failure, AuthFailure::incorrect_payload) << "transaction";
  challenge.transaction = 5;
  EXPECT_FALSE(host.challenged(encode(challenge)).failure);
  challenge.group = AuthGroup::ffdhe2048;
  EXPECT_EQ(host.challenged(encode(challenge)).failure, AuthFailure::incorrect_payload) << "no number";
  challenge.public_value.resize(256);
  EXPECT_EQ(host.challenged(encode(challenge)).failure, AuthFailure::incorrect_payload) << "number 0";
  challenge.group = static_cast<AuthGroup>(77);
  EXPECT_TRUE(host.challenged(encode(challenge)).failure);
}

TEST(DhChap, MessagesCutShortAreNone) {
  const std::vector<std::vector<std::byte>> whole = {
      encode(AuthNegotiate{.dhchap = true, .hashes = {AuthHash::sha256}, .groups = {AuthGroup::null}}),
      encode(AuthChallenge{
          .hash = AuthHash::sha256, .group = AuthGroup::null, .challenge = AuthDigest(32, std::byte{1})}),
      encode(AuthReply{.response = AuthDigest(32), .public_value = std::vector<std::byte>(256)}),
      encode(AuthSuccess1{.hash = AuthHash::sha256, .response = AuthDigest(32)})};
  for (std::size_t kind = 0; kind < whole.size(); ++kind) {
    for (std::size_t size = 0; size <= whole[kind].size(); ++size) {
      const auto part = std::span(whole[kind]).first(size);
      const bool decoded[] = {decode_auth_negotiate(part).has_value(),
                              decode_auth_challenge(part).has_value(), decode_auth_reply(part).has_value(),
                              decode_auth_success1(part).has_value()};
      for (std::size_t as = 0; as < 4; ++as) {
        EXPECT_EQ(decoded[as], as == kind && size == whole[kind].size())
            << kind << " as " << as << ", " << size;
      }
    }
  }
}

TEST(AuthSecret, IsWhatTheKernelsToolsMake) {
  const auto secret = parse_auth_secret(kSecret);
  ASSERT_TRUE(secret) << secret.error();
  EXPECT_EQ(secret->size, 32U);
  EXPECT_EQ(secret->transform, AuthHash::none);
  EXPECT_EQ(format_auth_secret(*secret), kSecret);
  for (const std::size_t size : {32, 48, 64}) {
    const auto again = parse_auth_secret(format_auth_secret(secret_of(9, size, AuthHash::sha384)));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->size, size);
    EXPECT_EQ(again->transform, AuthHash::sha384);
  }
}

TEST(AuthSecret, RefusesTheRestWithoutRepeatingIt) {
  std::string changed = kSecret;
  changed[20] = 'A';
  for (const std::string& text :
       {std::string(), std::string("DHHC-1:"), std::string("DHHC-1:00:"), std::string("DHHC-1:00::"),
        std::string("DHHC-1:04:") + (kSecret + 10), changed, std::string(kSecret) + ":",
        std::string("DHHC-1:00:QUJD:"), std::string(kSecret).substr(0, 40)}) {
    const auto secret = parse_auth_secret(text);
    ASSERT_FALSE(secret) << text;
    EXPECT_EQ(secret.error().kind(), ErrorKind::invalid_argument);
    EXPECT_EQ(secret.error().text().find("ia6z"), std::string::npos);
  }
}

}  // namespace
}  // namespace netstor::nvme
