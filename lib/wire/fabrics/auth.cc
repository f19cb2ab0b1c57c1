// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/fabrics/auth.h"

#include <algorithm>
#include <cstring>

namespace netstor::nvme {

namespace {

constexpr std::size_t kHeadBytes = 16;  // of all but Negotiate and the failures
constexpr std::size_t kNegotiateHeadBytes = 8;
constexpr std::size_t kDescriptorBytes = 64;  // of one authentication protocol
constexpr std::size_t kListMax = 30;          // hashes, or groups, of one
constexpr std::uint8_t kCommonMessages = 0;
constexpr std::uint8_t kDhChapMessages = 1;
constexpr std::uint8_t kDhChapProtocol = 1;
constexpr std::uint8_t kReasonFailure = 1;

std::uint8_t byte_at(std::span<const std::byte> in, std::size_t at) {
  return static_cast<std::uint8_t>(in[at]);
}
void put(std::vector<std::byte>& out, std::size_t at, std::uint8_t value) { out[at] = std::byte{value}; }

std::vector<std::byte> begin(std::uint8_t type, AuthMessage id, std::uint16_t transaction,
                             std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  put(out, 0, type);
  put(out, 1, static_cast<std::uint8_t>(id));
  store_le<std::uint16_t>(out.data() + 4, transaction);
  return out;
}

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> take(std::span<const std::byte>& in, std::size_t bytes) {
  std::vector<std::byte> taken(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(bytes));
  in = in.subspan(bytes);
  return taken;
}

AuthHash hash_of_length(std::size_t bytes) {
  for (const AuthHash hash : {AuthHash::sha256, AuthHash::sha384, AuthHash::sha512}) {
    if (auth_hash_bytes(hash) == bytes) return hash;
  }
  return AuthHash::none;
}

template <class T>
std::vector<T> take_list(std::span<const std::byte> in) {
  std::vector<T> list;
  for (const std::byte each : in) list.push_back(static_cast<T>(each));
  return list;
}

}  // namespace

std::string_view to_string(AuthFailure failure) {
  switch (failure) {
    case AuthFailure::failed:
      return "the secret is not the one that is expected";
    case AuthFailure::protocol_not_usable:
      return "authentication protocol not usable";
    case AuthFailure::secure_channel_mismatch:
      return "secure channel concatenation mismatch";
    case AuthFailure::hash_not_usable:
      return "hash function not usable";
    case AuthFailure::group_not_usable:
      return "Diffie-Hellman group not usable";
    case AuthFailure::incorrect_payload:
      return "incorrect payload";
    case AuthFailure::incorrect_message:
      return "incorrect protocol message";
  }
  return "an unknown reason";
}

std::optional<AuthMessage> auth_message(std::span<const std::byte> in) {
  if (in.size() < 8) return std::nullopt;
  const std::uint8_t type = byte_at(in, 0);
  const auto id = static_cast<AuthMessage>(in[1]);
  switch (id) {
    case AuthMessage::negotiate:
      return type == kCommonMessages ? std::optional(id) : std::nullopt;
    case AuthMessage::failure1:
    case AuthMessage::failure2:
      // Common messages in the specification; other implementations send either.
      return type <= kDhChapMessages ? std::optional(id) : std::nullopt;
    case AuthMessage::challenge:
    case AuthMessage::reply:
    case AuthMessage::success1:
    case AuthMessage::success2:
      return type == kDhChapMessages && in.size() >= kHeadBytes ? std::optional(id) : std::nullopt;
  }
  return std::nullopt;
}

std::uint16_t auth_transaction(std::span<const std::byte> in) {
  return load_le<std::uint16_t>(in.data() + 4);
}

std::vector<std::byte> encode(const AuthNegotiate& message) {
  std::vector<std::byte> out = begin(kCommonMessages, AuthMessage::negotiate, message.transaction,
                                     kNegotiateHeadBytes + kDescriptorBytes);
  put(out, 6, message.secure_channel);
  put(out, 7, 1);  // one protocol
  put(out, 8, kDhChapProtocol);
  const std::size_t hashes = std::min(message.hashes.size(), kListMax);
  const std::size_t groups = std::min(message.groups.size(), kListMax);
  put(out, 10, static_cast<std::uint8_t>(hashes));
  put(out, 11, static_cast<std::uint8_t>(groups));
  for (std::size_t i = 0; i < hashes; ++i) put(out, 12 + i, static_cast<std::uint8_t>(message.hashes[i]));
  for (std::size_t i = 0; i < groups; ++i) {
    put(out, 12 + kListMax + i, static_cast<std::uint8_t>(message.groups[i]));
  }
  return out;
}

std::optional<AuthNegotiate> decode_auth_negotiate(std::span<const std::byte> in) {
  if (auth_message(in) != AuthMessage::negotiate) return std::nullopt;
  const std::size_t protocols = byte_at(in, 7);
  if (in.size() < kNegotiateHeadBytes + protocols * kDescriptorBytes) return std::nullopt;
  AuthNegotiate message{.transaction = auth_transaction(in), .secure_channel = byte_at(in, 6)};
  for (std::size_t i = 0; i < protocols && !message.dhchap; ++i) {
    const auto descriptor = in.subspan(kNegotiateHeadBytes + i * kDescriptorBytes, kDescriptorBytes);
    if (byte_at(descriptor, 0) != kDhChapProtocol) continue;
    const std::size_t hashes = byte_at(descriptor, 2), groups = byte_at(descriptor, 3);
    if (hashes > kListMax || groups > kListMax) return std::nullopt;
    message.dhchap = true;
    message.hashes = take_list<AuthHash>(descriptor.subspan(4, hashes));
    message.groups = take_list<AuthGroup>(descriptor.subspan(4 + kListMax, groups));
  }
  return message;
}

std::vector<std::byte> encode(const AuthChallenge& message) {
  std::vector<std::byte> out =
      begin(kDhChapMessages, AuthMessage::challenge, message.transaction, kHeadBytes);
  put(out, 6, static_cast<std::uint8_t>(message.challenge.size()));
  put(out, 8, static_cast<std::uint8_t>(message.hash));
  put(out, 9, static_cast<std::uint8_t>(message.group));
  store_le<std::uint16_t>(out.data() + 10, static_cast<std::uint16_t>(message.public_value.size()));
  store_le<std::uint32_t>(out.data() + 12, message.sequence);
  append(out, message.challenge);
  append(out, message.public_value);
  return out;
}

std::optional<AuthChallenge> decode_auth_challenge(std::span<const std::byte> in) {
  if (auth_message(in) != AuthMessage::challenge) return std::nullopt;
  AuthChallenge message{.transaction = auth_transaction(in),
                        .hash = static_cast<AuthHash>(in[8]),
                        .group = static_cast<AuthGroup>(in[9]),
                        .sequence = load_le<std::uint32_t>(in.data() + 12)};
  const std::size_t hash_bytes = byte_at(in, 6);
  const std::size_t group_bytes = load_le<std::uint16_t>(in.data() + 10);
  in = in.subspan(kHeadBytes);
  if (hash_bytes == 0 || hash_bytes != auth_hash_bytes(message.hash) ||
      group_bytes != auth_group_bytes(message.group) || in.size() < hash_bytes + group_bytes) {
    return std::nullopt;
  }
  if (message.group != AuthGroup::null && group_bytes == 0) return std::nullopt;
  message.challenge = take(in, hash_bytes);
  message.public_value = take(in, group_bytes);
  return message;
}

std::vector<std::byte> encode(const AuthReply& message) {
  std::vector<std::byte> out = begin(kDhChapMessages, AuthMessage::reply, message.transaction, kHeadBytes);
  put(out, 6, static_cast<std::uint8_t>(message.response.size()));
  put(out, 8, message.challenge.empty() ? 0 : 1);
  store_le<std::uint16_t>(out.data() + 10, static_cast<std::uint16_t>(message.public_value.size()));
  store_le<std::uint32_t>(out.data() + 12, message.sequence);
  append(out, message.response);
  // The place is there, used or not.
  append(out, message.challenge.empty() ? AuthDigest(message.response.size()) : message.challenge);
  append(out, message.public_value);
  return out;
}

std::optional<AuthReply> decode_auth_reply(std::span<const std::byte> in) {
  if (auth_message(in) != AuthMessage::reply) return std::nullopt;
  AuthReply message{.transaction = auth_transaction(in), .sequence = load_le<std::uint32_t>(in.data() + 12)};
  const std::size_t hash_bytes = byte_at(in, 6);
  const bool has_challenge = (byte_at(in, 8) & 1) != 0;
  const std::size_t group_bytes = load_le<std::uint16_t>(in.data() + 10);
  in = in.subspan(kHeadBytes);
  if (hash_of_length(hash_bytes) == AuthHash::none || group_bytes > kAuthGroupBytesMax ||
      in.size() < 2 * hash_bytes + group_bytes) {
    return std::nullopt;
  }
  message.response = take(in, hash_bytes);
  message.challenge = take(in, hash_bytes);
  if (!has_challenge) message.challenge.clear();
  message.public_value = take(in, group_bytes);
  return message;
}

std::vector<std::byte> encode(const AuthSuccess1& message) {
  std::vector<std::byte> out = begin(kDhChapMessages, AuthMessage::success1, message.transaction, kHeadBytes);
  const std::size_t hash_bytes = auth_hash_bytes(message.hash);
  put(out, 6, static_cast<std::uint8_t>(hash_bytes));
  put(out, 8, message.response.empty() ? 0 : 1);
  append(out, message.response.empty() ? AuthDigest(hash_bytes) : message.response);
  return out;
}

std::optional<AuthSuccess1> decode_auth_success1(std::span<const std::byte> in) {
  if (auth_message(in) != AuthMessage::success1) return std::nullopt;
  AuthSuccess1 message{.transaction = auth_transaction(in), .hash = hash_of_length(byte_at(in, 6))};
  if ((byte_at(in, 8) & 1) == 0) return message;
  const std::size_t hash_bytes = auth_hash_bytes(message.hash);
  in = in.subspan(kHeadBytes);
  if (hash_bytes == 0 || in.size() < hash_bytes) return std::nullopt;
  message.response = take(in, hash_bytes);
  return message;
}

std::vector<std::byte> encode_auth_success2(std::uint16_t transaction) {
  return begin(kDhChapMessages, AuthMessage::success2, transaction, kHeadBytes);
}

std::vector<std::byte> encode_auth_failure(AuthMessage which, std::uint16_t transaction, AuthFailure why) {
  std::vector<std::byte> out = begin(kCommonMessages, which, transaction, 8);
  put(out, 6, kReasonFailure);
  put(out, 7, static_cast<std::uint8_t>(why));
  return out;
}

std::optional<AuthFailure> decode_auth_failure(std::span<const std::byte> in) {
  const auto kind = auth_message(in);
  if (kind != AuthMessage::failure1 && kind != AuthMessage::failure2) return std::nullopt;
  return static_cast<AuthFailure>(in[7]);
}

}  // namespace netstor::nvme
