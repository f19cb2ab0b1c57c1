// SPDX-License-Identifier: Apache-2.0
// The part of a session that knows of pre-shared keys: OpenSSL's callbacks.

#include "lib/proto/tls/session.h"

#include "lib/base/assert.h"
#include "lib/base/hash.h"

#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>

namespace netstor::tls {
namespace {

// Each one offered costs a derivation, and hosts offer one or two.
constexpr unsigned kIdentitiesMost = 4;

const char* suite_of(Hash hash) {
  return hash == Hash::sha384 ? "TLS_AES_256_GCM_SHA384" : "TLS_AES_128_GCM_SHA256";
}

// What OpenSSL calls a session with a key in it, for the one cipher that goes with the key's hash.
SSL_SESSION* openssl_session(SSL* ssl, const PreSharedKey& key) {
  const unsigned char number[] = {0x13, static_cast<unsigned char>(key.hash == Hash::sha384 ? 0x02 : 0x01)};
  const SSL_CIPHER* const cipher = SSL_CIPHER_find(ssl, number);
  SSL_SESSION* const session = SSL_SESSION_new();
  NETSTOR_ASSERT(cipher != nullptr && session != nullptr);
  const bool set =
      SSL_SESSION_set1_master_key(session, reinterpret_cast<const unsigned char*>(key.key.data()),
                                  key.key.size()) == 1 &&
      SSL_SESSION_set_cipher(session, cipher) == 1 &&
      SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1;
  NETSTOR_ASSERT(set);
  return session;
}

// The next `size` bytes behind a length of two, of what is left.
bool take_vector(std::string_view& from, std::string_view& vector) {
  if (from.size() < 2) return false;
  const std::size_t size =
      static_cast<unsigned char>(from[0]) * std::size_t{256} + static_cast<unsigned char>(from[1]);
  if (from.size() < 2 + size) return false;
  vector = from.substr(2, size);
  from.remove_prefix(2 + size);
  return true;
}

}  // namespace

PreSharedKey::~PreSharedKey() { wipe(key); }

Session::Session(std::shared_ptr<const Context> context, PreSharedKey key)
    : Session(std::move(context), Unnamed()) {
  NETSTOR_ASSERT(context_->pre_shared_keys() && context_->role() == Role::client);
  key_ = std::move(key);
  const int set = SSL_set_ciphersuites(ssl_, suite_of(key_.hash));
  NETSTOR_ASSERT(set == 1);
}

Session::Session(std::shared_ptr<const Context> context, KeyFinder& keys)
    : Session(std::move(context), Unnamed()) {
  NETSTOR_ASSERT(context_->pre_shared_keys() && context_->role() == Role::server);
  finder_ = &keys;
}

bool Session::proved_by(std::span<const std::byte> key) const noexcept {
  return established_ && context_->pre_shared_keys() && equal_in_constant_time(sha256(key), key_digest_);
}

int Session::use_key(SSL* ssl, const EVP_MD*, const unsigned char** identity, std::size_t* identity_size,
                     SSL_SESSION** session) {
  const PreSharedKey& key = static_cast<Session*>(SSL_get_app_data(ssl))->key_;
  *identity = reinterpret_cast<const unsigned char*>(key.identity.data());
  *identity_size = key.identity.size();
  *session = openssl_session(ssl, key);
  return 1;
}

// RFC 8446 section 4.2.11: a list of identities, each with the age of a ticket; the binders come after it.
void Session::look_up(std::string_view extension) {
  std::string_view identities, identity;
  if (!take_vector(extension, identities)) return;
  PreSharedKey first;
  for (unsigned i = 0; i < kIdentitiesMost && take_vector(identities, identity); ++i) {
    if (identities.size() < sizeof(std::uint32_t)) return;
    identities.remove_prefix(sizeof(std::uint32_t));
    PreSharedKey key;
    key.identity = identity;
    const bool found = finder_->find(identity, key);
    if (found || i == 0) first = std::move(key);
    if (found) break;
    first.key.clear();
  }
  if (first.identity.empty()) return;
  key_offered_ = true;
  if (first.key.empty()) {
    first.key.resize(first.hash == Hash::sha384 ? 48 : 32);
    const int made =
        RAND_bytes(reinterpret_cast<unsigned char*>(first.key.data()), static_cast<int>(first.key.size()));
    NETSTOR_ASSERT(made == 1);
  }
  key_ = std::move(first);
}

// The cipher is chosen before the key is looked at, so that the key has to be known before that.
int Session::saw_hello(SSL* ssl, int*, void*) {
  Session& self = *static_cast<Session*>(SSL_get_app_data(ssl));
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &bytes, &size) != 1) return SSL_CLIENT_HELLO_SUCCESS;
  self.look_up({reinterpret_cast<const char*>(bytes), size});
  if (self.key_offered_ && SSL_set_ciphersuites(ssl, suite_of(self.key_.hash)) != 1)
    return SSL_CLIENT_HELLO_ERROR;
  return SSL_CLIENT_HELLO_SUCCESS;
}

int Session::find_key(SSL* ssl, const unsigned char* identity, std::size_t size, SSL_SESSION** session) {
  const Session& self = *static_cast<Session*>(SSL_get_app_data(ssl));
  const std::string_view asked(reinterpret_cast<const char*>(identity), size);
  const bool ours = self.key_offered_ && asked == self.key_.identity;
  *session = ours ? openssl_session(ssl, self.key_) : nullptr;
  return 1;
}

}  // namespace netstor::tls
