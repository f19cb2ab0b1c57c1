// SPDX-License-Identifier: Apache-2.0
#pragma once
// DH-HMAC-CHAP, both ends, as machines that see messages and nothing else (NVMe Base 2.0, "DH-HMAC-CHAP
// Protocol"): the host proves that it holds the secret of its NQN, and, when it asks for it, the controller
// that of the subsystem. A Diffie-Hellman exchange, where one is agreed upon, keeps who listens from guessing
// secrets afterwards. Each queue does this by itself, directly after its Connect.
//
//   DhChapHost host(identity, secrets, transaction);
//   … send host.negotiate(); receive → host.challenged(message) → send the reply;
//     receive → host.concluded(message) → send what it answers, if anything …
//
//   DhChapController controller(identity, secrets, terms);
//   … controller.received(message) for each Authentication Send, controller.send(out) for each Receive …
//   if (controller.authenticated()) …
//
// Comparisons take the same time whatever they find, and no error tells more than the protocol does. Random
// numbers are OpenSSL's. One exponentiation in ffdhe2048 takes about a millisecond, in ffdhe8192 tens of
// them; the controller chooses the group, so a host cannot ask for more than the controller's terms allow.

#include <memory>
#include <string>

#include "lib/wire/fabrics/auth.h"
#include "lib/wire/fabrics/auth_secret.h"

namespace netstor::nvme {

/// Between whom. The responses are bound to both names.
struct AuthIdentity {
  std::string host_nqn;
  std::string subsystem_nqn;
};

struct AuthSecrets {
  AuthSecret host = {};
  AuthSecret controller = {};  ///< empty: the controller need not, or cannot, prove itself
};

/// What a controller chooses from, the first that the host knows, too.
struct AuthTerms {
  std::vector<AuthHash> hashes = {AuthHash::sha256, AuthHash::sha384, AuthHash::sha512};
  std::vector<AuthGroup> groups = {AuthGroup::ffdhe2048, AuthGroup::null};
};

/// One side's number of a Diffie-Hellman exchange in a group of RFC 7919.
class DhKey {
 public:
  explicit DhKey(AuthGroup group);
  ~DhKey();
  DhKey(const DhKey&) = delete;
  DhKey& operator=(const DhKey&) = delete;

  /// As long as the group's prime.
  std::vector<std::byte> public_value() const;
  /// The shared secret, as long; nothing when `peer` is no number of the group (0, 1, p-1, …).
  std::optional<std::vector<std::byte>> agree(std::span<const std::byte> peer) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What makes up one response. With `shared` (the Diffie-Hellman secret), the challenge is augmented by it.
struct AuthResponse {
  AuthHash hash{};
  std::span<const std::byte> challenge = {};
  std::span<const std::byte> shared = {};
  std::uint32_t sequence = 0;
  std::uint16_t transaction = 0;
};
[[nodiscard]] AuthDigest host_response(const AuthResponse& of, const AuthSecret& secret,
                                       const AuthIdentity& identity);
[[nodiscard]] AuthDigest controller_response(const AuthResponse& of, const AuthSecret& secret,
                                             const AuthIdentity& identity);

class DhChapHost {
 public:
  DhChapHost(AuthIdentity identity, AuthSecrets secrets, std::uint16_t transaction);
  ~DhChapHost();

  struct Step {
    std::vector<std::byte> send = {};         ///< the message to send; empty: none
    std::optional<AuthFailure> failure = {};  ///< it is over, once `send` has gone out
    bool said_by_controller = false;          ///< who found the failure
  };
  Step negotiate() const;
  /// The answer to Negotiate: a Challenge is replied to.
  Step challenged(std::span<const std::byte> message);
  /// The answer to the reply. Without a failure both ends know what they asked to know.
  Step concluded(std::span<const std::byte> message);

 private:
  Step fail(AuthFailure why) const;
  std::optional<Step> refused(std::span<const std::byte> message) const;

  AuthIdentity identity_;
  AuthSecrets secrets_;
  std::uint16_t transaction_;
  AuthDigest expected_;  ///< the controller's response; empty: none was asked for
};

class DhChapController {
 public:
  DhChapController(AuthIdentity identity, AuthSecrets secrets, AuthTerms terms = {});
  ~DhChapController();

  /// What came by Authentication Send. False: the message does not belong here, and the queue has to end.
  bool received(std::span<const std::byte> message);
  /// What Authentication Receive takes: at most out.size() bytes, the rest stays as it is. 0: nothing is to
  /// be said now (or it does not fit), which ends the queue, too.
  std::size_t send(std::span<std::byte> out);

  bool authenticated() const { return state_ == State::authenticated; }
  bool failed() const { return failure_.has_value(); }
  /// For people; after failed().
  AuthFailure failure() const { return *failure_; }

 private:
  enum class State : std::uint8_t {
    negotiate,  // a Negotiate is awaited
    challenge,  // and is answered by a Challenge
    reply,      // whose Reply is awaited
    success1,   // and was right
    success2,   // the host judges the controller's response
    failure1,   // the host has to be told
    failed,
    authenticated,
  };
  bool fail(AuthFailure why);
  bool negotiated(std::span<const std::byte> message);
  bool replied(std::span<const std::byte> message);

  AuthIdentity identity_;
  AuthSecrets secrets_;
  AuthTerms terms_;
  State state_ = State::negotiate;
  std::optional<AuthFailure> failure_;
  std::uint16_t transaction_ = 0;
  AuthHash hash_{};
  AuthGroup group_{};
  std::unique_ptr<DhKey> key_;
  std::uint32_t sequence_ = 0;
  AuthDigest challenge_;
  AuthDigest response_;  ///< the controller's own, when it was asked for
};

}  // namespace netstor::nvme
