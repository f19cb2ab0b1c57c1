// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/nvme/dhchap.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/base/hash.h"
#include "lib/proto/nvme/dhchap_crypto.h"

namespace netstor::nvme {

namespace {

bool knows(AuthHash hash) { return auth_hash_bytes(hash) != 0; }
bool knows(AuthGroup group) { return group == AuthGroup::null || auth_group_bytes(group) != 0; }

// The first of `wanted` that is also among `offered`.
template <class T>
std::optional<T> choose(const std::vector<T>& wanted, const std::vector<T>& offered) {
  const auto found = std::find_first_of(wanted.begin(), wanted.end(), offered.begin(), offered.end());
  return found == wanted.end() ? std::nullopt : std::optional(*found);
}

void append(std::vector<std::byte>& out, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// The secret is bound to a name, unless it says that it shall be used as it is.
AuthDigest bound_to(const AuthSecret& secret, std::string_view nqn) {
  if (secret.transform == AuthHash::none) return {secret.view().begin(), secret.view().end()};
  std::vector<std::byte> text;
  append(text, nqn);
  append(text, "NVMe-over-Fabrics");
  return crypto::hmac(secret.transform, secret.view(), text);
}

AuthDigest respond(const AuthResponse& of, const AuthSecret& secret, std::string_view role,
                   std::string_view own_nqn, std::string_view other_nqn) {
  AuthDigest challenge(of.challenge.begin(), of.challenge.end());
  if (!of.shared.empty()) challenge = crypto::hmac(of.hash, crypto::digest(of.hash, of.shared), of.challenge);
  std::vector<std::byte> text = std::move(challenge);
  const std::size_t at = text.size();
  text.resize(at + 7);  // the sequence number, the transaction, and SC_C, which is 0
  store_le<std::uint32_t>(text.data() + at, of.sequence);
  store_le<std::uint16_t>(text.data() + at + 4, of.transaction);
  append(text, role);
  append(text, own_nqn);
  text.push_back(std::byte{0});
  append(text, other_nqn);
  AuthDigest key = bound_to(secret, own_nqn);
  AuthDigest response = crypto::hmac(of.hash, key, text);
  wipe(key);
  return response;
}

std::uint32_t new_sequence() {
  std::array<std::byte, 4> bytes{};
  do {
    crypto::random(bytes);
  } while (load_le<std::uint32_t>(bytes.data()) == 0);  // 0 means that there is none
  return load_le<std::uint32_t>(bytes.data());
}

AuthDigest new_challenge(AuthHash hash) {
  AuthDigest challenge(auth_hash_bytes(hash));
  crypto::random(challenge);
  return challenge;
}

}  // namespace

AuthDigest host_response(const AuthResponse& of, const AuthSecret& secret, const AuthIdentity& identity) {
  return respond(of, secret, "HostHost", identity.host_nqn, identity.subsystem_nqn);
}
AuthDigest controller_response(const AuthResponse& of, const AuthSecret& secret,
                               const AuthIdentity& identity) {
  return respond(of, secret, "Controller", identity.subsystem_nqn, identity.host_nqn);
}

// --- the host -----------------------------------------------------------------------------------------

DhChapHost::DhChapHost(AuthIdentity identity, AuthSecrets secrets, std::uint16_t transaction)
    : identity_(std::move(identity)), secrets_(std::move(secrets)), transaction_(transaction) {}
DhChapHost::~DhChapHost() { wipe(expected_); }

DhChapHost::Step DhChapHost::negotiate() const {
  return {.send = encode(
              AuthNegotiate{.transaction = transaction_,
                            .dhchap = true,
                            .hashes = {AuthHash::sha256, AuthHash::sha384, AuthHash::sha512},
                            .groups = {AuthGroup::null, AuthGroup::ffdhe2048, AuthGroup::ffdhe3072,
                                       AuthGroup::ffdhe4096, AuthGroup::ffdhe6144, AuthGroup::ffdhe8192}})};
}

DhChapHost::Step DhChapHost::fail(AuthFailure why) const {
  return {.send = encode_auth_failure(AuthMessage::failure2, transaction_, why), .failure = why};
}

std::optional<DhChapHost::Step> DhChapHost::refused(std::span<const std::byte> message) const {
  if (auth_message(message) != AuthMessage::failure1) return std::nullopt;
  return Step{.failure = decode_auth_failure(message), .said_by_controller = true};
}

DhChapHost::Step DhChapHost::challenged(std::span<const std::byte> message) {
  if (auto step = refused(message)) return *std::move(step);
  if (auth_message(message) != AuthMessage::challenge) return fail(AuthFailure::incorrect_message);
  auto challenge = decode_auth_challenge(message);
  if (!challenge || challenge->transaction != transaction_) return fail(AuthFailure::incorrect_payload);
  if (!knows(challenge->hash)) return fail(AuthFailure::hash_not_usable);
  if (!knows(challenge->group)) return fail(AuthFailure::group_not_usable);

  AuthReply reply{.transaction = transaction_};
  std::vector<std::byte> shared;
  if (challenge->group != AuthGroup::null) {
    const DhKey key(challenge->group);
    auto agreed = key.agree(challenge->public_value);
    if (!agreed) return fail(AuthFailure::incorrect_payload);
    shared = *std::move(agreed);
    reply.public_value = key.public_value();
  }
  reply.response = host_response({.hash = challenge->hash,
                                  .challenge = challenge->challenge,
                                  .shared = shared,
                                  .sequence = challenge->sequence,
                                  .transaction = transaction_},
                                 secrets_.host, identity_);
  if (!secrets_.controller.empty()) {
    reply.sequence = new_sequence();
    reply.challenge = new_challenge(challenge->hash);
    expected_ = controller_response({.hash = challenge->hash,
                                     .challenge = reply.challenge,
                                     .shared = shared,
                                     .sequence = reply.sequence,
                                     .transaction = transaction_},
                                    secrets_.controller, identity_);
  }
  wipe(shared);
  return {.send = encode(reply)};
}

DhChapHost::Step DhChapHost::concluded(std::span<const std::byte> message) {
  if (auto step = refused(message)) return *std::move(step);
  if (auth_message(message) != AuthMessage::success1) return fail(AuthFailure::incorrect_message);
  const auto success = decode_auth_success1(message);
  if (!success || success->transaction != transaction_) return fail(AuthFailure::incorrect_payload);
  if (expected_.empty()) return {};
  // A controller that does not answer the challenge has not proved anything.
  if (!crypto::same(success->response, expected_)) return fail(AuthFailure::failed);
  return {.send = encode_auth_success2(transaction_)};
}

// --- the controller -----------------------------------------------------------------------------------

DhChapController::DhChapController(AuthIdentity identity, AuthSecrets secrets, AuthTerms terms)
    : identity_(std::move(identity)), secrets_(std::move(secrets)), terms_(std::move(terms)) {}
DhChapController::~DhChapController() { wipe(response_); }

bool DhChapController::fail(AuthFailure why) {
  if (!failure_) failure_ = why;
  state_ = State::failure1;
  return true;
}

bool DhChapController::received(std::span<const std::byte> message) {
  const auto kind = auth_message(message);
  if (!kind) return fail(AuthFailure::incorrect_payload);
  if (failure_) return false;
  // Whoever is let in may ask to be examined anew; whoever is not has one try on a queue.
  if (*kind == AuthMessage::negotiate && (state_ == State::negotiate || state_ == State::authenticated))
    return negotiated(message);
  if (*kind == AuthMessage::reply && state_ == State::reply) return replied(message);
  if (state_ == State::success2 && auth_transaction(message) == transaction_) {
    if (*kind == AuthMessage::success2) {
      state_ = State::authenticated;
      return true;
    }
    if (*kind == AuthMessage::failure2) {
      failure_ = AuthFailure::failed;
      state_ = State::failed;
      return true;
    }
  }
  return fail(AuthFailure::incorrect_message);
}

bool DhChapController::negotiated(std::span<const std::byte> message) {
  const auto asked = decode_auth_negotiate(message);
  if (!asked) return fail(AuthFailure::incorrect_payload);
  transaction_ = asked->transaction;
  if (asked->secure_channel != 0) return fail(AuthFailure::secure_channel_mismatch);
  if (!asked->dhchap) return fail(AuthFailure::protocol_not_usable);
  const auto hash = choose(terms_.hashes, asked->hashes);
  if (!hash) return fail(AuthFailure::hash_not_usable);
  const auto group = choose(terms_.groups, asked->groups);
  if (!group) return fail(AuthFailure::group_not_usable);
  hash_ = *hash;
  group_ = *group;
  state_ = State::challenge;
  return true;
}

bool DhChapController::replied(std::span<const std::byte> message) {
  const auto reply = decode_auth_reply(message);
  if (!reply || reply->transaction != transaction_ || reply->response.size() != auth_hash_bytes(hash_) ||
      reply->public_value.size() != auth_group_bytes(group_)) {
    return fail(AuthFailure::incorrect_payload);
  }
  std::vector<std::byte> shared;
  if (key_ != nullptr) {
    auto agreed = key_->agree(reply->public_value);
    key_.reset();
    if (!agreed) return fail(AuthFailure::incorrect_payload);
    shared = *std::move(agreed);
  }
  AuthResponse of{.hash = hash_,
                  .challenge = challenge_,
                  .shared = shared,
                  .sequence = sequence_,
                  .transaction = transaction_};
  AuthDigest expected = host_response(of, secrets_.host, identity_);
  const bool right = !secrets_.host.empty() && crypto::same(expected, reply->response);
  response_.clear();
  if (right && !reply->challenge.empty()) {
    of.challenge = reply->challenge;
    of.sequence = reply->sequence;
    if (!secrets_.controller.empty()) response_ = controller_response(of, secrets_.controller, identity_);
  }
  wipe(expected);
  wipe(shared);
  // Without a secret of its own a controller cannot answer, and the host must not believe it.
  if (!right || (!reply->challenge.empty() && response_.empty())) return fail(AuthFailure::failed);
  state_ = State::success1;
  return true;
}

std::size_t DhChapController::send(std::span<std::byte> out) {
  std::vector<std::byte> message;
  State next = state_;
  switch (state_) {
    case State::challenge: {
      AuthChallenge challenge{.transaction = transaction_, .hash = hash_, .group = group_};
      sequence_ = challenge.sequence = new_sequence();
      challenge_ = challenge.challenge = new_challenge(hash_);
      if (group_ != AuthGroup::null) {
        key_ = std::make_unique<DhKey>(group_);
        challenge.public_value = key_->public_value();
      }
      message = encode(challenge);
      next = State::reply;
      break;
    }
    case State::success1:
      message = encode(AuthSuccess1{.transaction = transaction_, .hash = hash_, .response = response_});
      next = response_.empty() ? State::authenticated : State::success2;
      break;
    case State::failure1:
      message = encode_auth_failure(AuthMessage::failure1, transaction_, *failure_);
      next = State::failed;
      break;
    default:
      return 0;
  }
  if (message.size() > out.size()) return 0;
  std::copy(message.begin(), message.end(), out.begin());
  state_ = next;
  return message.size();
}

}  // namespace netstor::nvme
