// SPDX-License-Identifier: Apache-2.0
//
// The only file below the TLS room that knows OpenSSL. It uses the functions that OpenSSL 3 deprecates in
// favour of EVP_Digest: those allocate a context for each message, which is as much work as hashing what S3
// signs, and their contexts cannot be copied without. The code that hashes is the same.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "lib/base/hash.h"

#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include <algorithm>
#include <new>

#include "lib/base/assert.h"

namespace netstor {

namespace detail {

namespace {

template <class Context>
Context& as(HashState& state) {
  static_assert(sizeof(Context) <= sizeof(HashState));
  static_assert(alignof(Context) <= alignof(HashState));
  return *std::launder(reinterpret_cast<Context*>(state.bytes.data()));
}

}  // namespace

void start(HashKind kind, HashState& state) {
  int done = 0;
  switch (kind) {
    case HashKind::md5:
      done = MD5_Init(new (state.bytes.data()) MD5_CTX);
      break;
    case HashKind::sha1:
      done = SHA1_Init(new (state.bytes.data()) SHA_CTX);
      break;
    case HashKind::sha256:
      done = SHA256_Init(new (state.bytes.data()) SHA256_CTX);
      break;
  }
  NETSTOR_ASSERT(done == 1);
}

void update(HashKind kind, HashState& state, std::span<const std::byte> bytes) {
  int done = 0;
  switch (kind) {
    case HashKind::md5:
      done = MD5_Update(&as<MD5_CTX>(state), bytes.data(), bytes.size());
      break;
    case HashKind::sha1:
      done = SHA1_Update(&as<SHA_CTX>(state), bytes.data(), bytes.size());
      break;
    case HashKind::sha256:
      done = SHA256_Update(&as<SHA256_CTX>(state), bytes.data(), bytes.size());
      break;
  }
  NETSTOR_ASSERT(done == 1);
}

void finish(HashKind kind, HashState& state, std::span<std::byte> out) {
  NETSTOR_ASSERT(out.size() == digest_bytes(kind));
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  int done = 0;
  switch (kind) {
    case HashKind::md5:
      done = MD5_Final(to, &as<MD5_CTX>(state));
      break;
    case HashKind::sha1:
      done = SHA1_Final(to, &as<SHA_CTX>(state));
      break;
    case HashKind::sha256:
      done = SHA256_Final(to, &as<SHA256_CTX>(state));
      break;
  }
  NETSTOR_ASSERT(done == 1);
}

}  // namespace detail

Md5::Digest md5(std::span<const std::byte> bytes) { return Md5().update(bytes).finish(); }
Sha1::Digest sha1(std::span<const std::byte> bytes) { return Sha1().update(bytes).finish(); }
Sha256::Digest sha256(std::span<const std::byte> bytes) { return Sha256().update(bytes).finish(); }

HmacSha256::~HmacSha256() {
  for (Sha256* each : {&inner_, &outer_, &hash_}) wipe(std::as_writable_bytes(std::span(each, 1)));
}

void HmacSha256::set_key(std::span<const std::byte> key) {
  constexpr std::byte kInner{0x36};
  constexpr std::byte kOuter{0x5C};
  std::array<std::byte, 64> block{};
  if (key.size() > block.size()) {
    std::ranges::copy(sha256(key), block.begin());
  } else {
    std::ranges::copy(key, block.begin());
  }
  for (std::byte& each : block) each ^= kInner;
  inner_.restart();
  inner_.update(block);
  for (std::byte& each : block) each ^= kInner ^ kOuter;
  outer_.restart();
  outer_.update(block);
  wipe(block);
  hash_ = inner_;
}

Sha256::Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> message) {
  return HmacSha256(key).update(message).finish();
}

bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::span<std::byte> secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

}  // namespace netstor
