// SPDX-License-Identifier: Apache-2.0
#pragma once
// TLS by a key that both ends hold already (RFC 8446, section 2.2): no certificates, TLS 1.3 alone, always
// with ephemeral keys on top, and nothing to resume. The client names the key by an identity, which is sent
// in the clear; the server looks it up.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace netstor::tls {

enum class Hash : std::uint8_t { sha256, sha384 };  // with AES-128-GCM, and with AES-256-GCM

struct PreSharedKey {
  std::string identity;
  Hash hash = Hash::sha256;
  std::vector<std::byte> key;

  PreSharedKey() = default;
  PreSharedKey(PreSharedKey&&) = default;
  PreSharedKey& operator=(PreSharedKey&&) = default;
  ~PreSharedKey();  // wipes
};

/// A server's keys.
class KeyFinder {
 public:
  /// True with the key's hash and bytes in `key`. False: `identity` is unknown; `key.hash` is what a key of
  /// that name would have. The session goes on with a key that nobody holds, so that the client learns no
  /// more than from a wrong key; whoever looks up takes care that this takes no other time.
  virtual bool find(std::string_view identity, PreSharedKey& key) = 0;

 protected:
  ~KeyFinder() = default;
};

}  // namespace netstor::tls
