// SPDX-License-Identifier: Apache-2.0
//
// What Authentication Send and Receive carry: the messages of DH-HMAC-CHAP (NVMe Base 2.0, "NVMe In-band
// Authentication"), and the two commands. What the messages mean is lib/proto/nvme/dhchap.h's.
//
//   host                         controller
//   Negotiate            →
//                        ←       Challenge
//   Reply                →
//                        ←       Success1, or Failure1
//   Success2, or Failure2 →      (when the controller had to prove itself, too)

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lib/wire/fabrics/fabrics_command.h"

namespace netstor::nvme {

enum class AuthHash : std::uint8_t { none = 0, sha256 = 1, sha384 = 2, sha512 = 3 };
enum class AuthGroup : std::uint8_t {
  null = 0,  // no Diffie-Hellman: the secret alone
  ffdhe2048 = 1,
  ffdhe3072 = 2,
  ffdhe4096 = 3,
  ffdhe6144 = 4,
  ffdhe8192 = 5,
};
enum class AuthMessage : std::uint8_t {
  negotiate = 0x00,
  challenge = 0x01,
  reply = 0x02,
  success1 = 0x03,
  success2 = 0x04,
  failure2 = 0xF0,
  failure1 = 0xF1,
};
// Why an authentication failed. All of them come with reason code 01h, "authentication failure".
enum class AuthFailure : std::uint8_t {
  failed = 0x01,
  protocol_not_usable = 0x02,
  secure_channel_mismatch = 0x03,
  hash_not_usable = 0x04,
  group_not_usable = 0x05,
  incorrect_payload = 0x06,
  incorrect_message = 0x07,
};
[[nodiscard]] std::string_view to_string(AuthFailure failure);

inline constexpr std::size_t kAuthHashBytesMax = 64;
inline constexpr std::size_t kAuthGroupBytesMax = 1024;
// The longest message is a Reply with two digests and the largest group's number.
inline constexpr std::uint32_t kAuthMessageBytesMax = 16 + 2 * kAuthHashBytesMax + kAuthGroupBytesMax;

// 0 for what is none.
[[nodiscard]] constexpr std::size_t auth_hash_bytes(AuthHash hash) {
  return hash == AuthHash::sha256 ? 32 : hash == AuthHash::sha384 ? 48 : hash == AuthHash::sha512 ? 64 : 0;
}
[[nodiscard]] constexpr std::size_t auth_group_bytes(AuthGroup group) {
  constexpr std::size_t kBytes[] = {0, 256, 384, 512, 768, 1024};
  return static_cast<std::size_t>(group) < std::size(kBytes) ? kBytes[static_cast<std::size_t>(group)] : 0;
}

using AuthDigest = std::vector<std::byte>;

struct AuthNegotiate {
  std::uint16_t transaction = 0;
  std::uint8_t secure_channel = 0;    // SC_C: 0, none is asked for
  bool dhchap = false;                // the protocol is among those that the host knows
  std::vector<AuthHash> hashes = {};  // most wanted first; at most 30
  std::vector<AuthGroup> groups = {};
};
struct AuthChallenge {
  std::uint16_t transaction = 0;
  AuthHash hash{};
  AuthGroup group{};
  std::uint32_t sequence = 0;  // 0: the host's answer is to be the last word
  AuthDigest challenge = {};
  std::vector<std::byte> public_value = {};
};
struct AuthReply {
  std::uint16_t transaction = 0;
  std::uint32_t sequence = 0;
  AuthDigest response = {};
  AuthDigest challenge = {};  // empty: the controller need not prove itself
  std::vector<std::byte> public_value = {};
};
struct AuthSuccess1 {
  std::uint16_t transaction = 0;
  AuthHash hash{};           // what HL stands for
  AuthDigest response = {};  // empty: none was asked for
};

// The message's kind, by its type and id; nothing for bytes that are too few or of no kind.
[[nodiscard]] std::optional<AuthMessage> auth_message(std::span<const std::byte> in);
// T_ID of any message; `in` holds at least 6 bytes.
[[nodiscard]] std::uint16_t auth_transaction(std::span<const std::byte> in);

// The decoders answer nothing for lengths that do not fit: each other, the hash, the group, or `in`.
[[nodiscard]] std::vector<std::byte> encode(const AuthNegotiate& message);
[[nodiscard]] std::vector<std::byte> encode(const AuthChallenge& message);
[[nodiscard]] std::vector<std::byte> encode(const AuthReply& message);
[[nodiscard]] std::vector<std::byte> encode(const AuthSuccess1& message);
[[nodiscard]] std::vector<std::byte> encode_auth_success2(std::uint16_t transaction);
[[nodiscard]] std::vector<std::byte> encode_auth_failure(AuthMessage which, std::uint16_t transaction,
                                                         AuthFailure why);
[[nodiscard]] std::optional<AuthNegotiate> decode_auth_negotiate(std::span<const std::byte> in);
[[nodiscard]] std::optional<AuthChallenge> decode_auth_challenge(std::span<const std::byte> in);
[[nodiscard]] std::optional<AuthReply> decode_auth_reply(std::span<const std::byte> in);
[[nodiscard]] std::optional<AuthSuccess1> decode_auth_success1(std::span<const std::byte> in);
[[nodiscard]] std::optional<AuthFailure> decode_auth_failure(std::span<const std::byte> in);

// ---- The commands.

inline constexpr std::uint8_t kAuthProtocol = 0xE9;  // SECP: NVM Express

struct AuthTransfer {
  std::uint8_t protocol = kAuthProtocol;  // SECP
  std::uint16_t specific = 0x0101;        // SPSP0 and SPSP1
  std::uint32_t bytes = 0;                // TL of a send, AL of a receive
};
[[nodiscard]] inline Command make_auth_transfer(FabricsType type, std::uint16_t cid,
                                                const AuthTransfer& transfer, const SglDescriptor& sgl) {
  Command command = make_fabrics_command(type, cid, sgl);
  command.set<std::uint16_t>(41, transfer.specific);
  command.set<std::uint8_t>(43, transfer.protocol);
  command.set<std::uint32_t>(44, transfer.bytes);
  return command;
}
[[nodiscard]] inline bool is_authentication(const Command& command) {
  return command.is_fabrics() && (command.fabrics_type() == FabricsType::authentication_send ||
                                  command.fabrics_type() == FabricsType::authentication_receive);
}
[[nodiscard]] inline AuthTransfer decode_auth_transfer(const Command& command) {
  return {.protocol = command.get<std::uint8_t>(43),
          .specific = command.get<std::uint16_t>(41),
          .bytes = command.get<std::uint32_t>(44)};
}

}  // namespace netstor::nvme
