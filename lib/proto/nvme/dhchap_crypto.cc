// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/nvme/dhchap_crypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>

#include "lib/base/assert.h"
#include "lib/proto/nvme/dhchap.h"

namespace netstor::nvme {

namespace {

template <auto kFree>
struct Freeing {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
template <class T, auto kFree>
using Owned = std::unique_ptr<T, Freeing<kFree>>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using Number = Owned<BIGNUM, BN_free>;
using Parameters = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using Builder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;

const EVP_MD* algorithm(AuthHash hash) {
  switch (hash) {
    case AuthHash::sha384:
      return EVP_sha384();
    case AuthHash::sha512:
      return EVP_sha512();
    default:
      return EVP_sha256();
  }
}

const char* name_of(AuthGroup group) {
  constexpr const char* kNames[] = {"", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"};
  return kNames[static_cast<std::size_t>(group)];
}

const unsigned char* chars(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* room(std::span<std::byte> bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

// The other side's number as a key of the group; null when it cannot be one.
Key public_key(AuthGroup group, std::span<const std::byte> value) {
  const Number number(BN_bin2bn(chars(value), static_cast<int>(value.size()), nullptr));
  const Builder builder(OSSL_PARAM_BLD_new());
  NETSTOR_ASSERT(number != nullptr && builder != nullptr);
  const int named =
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, name_of(group), 0);
  const int numbered = OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, number.get());
  NETSTOR_ASSERT(named == 1 && numbered == 1);
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
  NETSTOR_ASSERT(parameters != nullptr && context != nullptr);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return Key(key);
}

}  // namespace

namespace crypto {

AuthDigest digest(AuthHash hash, std::span<const std::byte> bytes) {
  AuthDigest out(auth_hash_bytes(hash));
  unsigned size = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), room(out), &size, algorithm(hash), nullptr);
  NETSTOR_ASSERT(done == 1 && size == out.size());
  return out;
}

AuthDigest hmac(AuthHash hash, std::span<const std::byte> key, std::span<const std::byte> bytes) {
  AuthDigest out(auth_hash_bytes(hash));
  unsigned size = 0;
  const unsigned char* const done = HMAC(algorithm(hash), key.data(), static_cast<int>(key.size()),
                                         chars(bytes), bytes.size(), room(out), &size);
  NETSTOR_ASSERT(done != nullptr && size == out.size());
  return out;
}

void random(std::span<std::byte> out) {
  const int done = RAND_bytes(room(out), static_cast<int>(out.size()));
  NETSTOR_ASSERT(done == 1);
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace crypto

struct DhKey::Impl {
  AuthGroup group{};
  Key key;
};

DhKey::DhKey(AuthGroup group) : impl_(std::make_unique<Impl>()) {
  impl_->group = group;
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(name_of(group)), 0),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  const bool made = context != nullptr && EVP_PKEY_keygen_init(context.get()) == 1 &&
                    EVP_PKEY_CTX_set_params(context.get(), parameters) == 1 &&
                    EVP_PKEY_generate(context.get(), &key) == 1;
  NETSTOR_ASSERT(made);
  impl_->key.reset(key);
}
DhKey::~DhKey() = default;

std::vector<std::byte> DhKey::public_value() const {
  BIGNUM* raw = nullptr;
  const int found = EVP_PKEY_get_bn_param(impl_->key.get(), OSSL_PKEY_PARAM_PUB_KEY, &raw);
  const Number number(raw);
  std::vector<std::byte> value(auth_group_bytes(impl_->group));
  NETSTOR_ASSERT(found == 1);
  const int written = BN_bn2binpad(raw, room(value), static_cast<int>(value.size()));
  NETSTOR_ASSERT(written > 0);
  return value;
}

std::optional<std::vector<std::byte>> DhKey::agree(std::span<const std::byte> peer) const {
  std::vector<std::byte> shared(auth_group_bytes(impl_->group));
  if (peer.size() != shared.size()) return std::nullopt;
  const Key other = public_key(impl_->group, peer);
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, impl_->key.get(), nullptr));
  std::size_t size = shared.size();
  // set_peer() judges the number: 0, 1, p-1 and what is no power of the generator are refused.
  const bool agreed = other != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
                      EVP_PKEY_CTX_set_dh_pad(context.get(), 1) == 1 &&
                      EVP_PKEY_derive_set_peer(context.get(), other.get()) == 1 &&
                      EVP_PKEY_derive(context.get(), room(shared), &size) == 1 && size == shared.size();
  if (!agreed) {
    ERR_clear_error();
    return std::nullopt;
  }
  return shared;
}

}  // namespace netstor::nvme
