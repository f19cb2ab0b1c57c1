// SPDX-License-Identifier: Apache-2.0
//
// The only file below the TLS room that knows OpenSSL. HMAC is two hashes over prepared blocks instead of
// EVP_MAC, whose contexts are allocated and copied for each message.

#include "lib/base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "lib/base/assert.h"

namespace netstor {

namespace {

const EVP_MD* fetched(HashKind kind) {
  // Fetched once: an implicit fetch at each start costs more than hashing a small message. Never freed.
  static const EVP_MD* const kMd5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  static const EVP_MD* const kSha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return kind == HashKind::md5 ? kMd5 : kind == HashKind::sha1 ? kSha1 : kSha256;
}

template <class Hash>
typename Hash::Digest digest_of(std::span<const std::byte> bytes) {
  return Hash().update(bytes).finish();
}

}  // namespace

bool hash_available(HashKind kind) { return fetched(kind) != nullptr; }

namespace detail {

HashContext::HashContext(HashKind kind) : context_(EVP_MD_CTX_new()), kind_(kind) {
  NETSTOR_ASSERT(hash_available(kind));
  NETSTOR_ASSERT(context_ != nullptr);
  // Allocates the algorithm's own state now and not on the way of a request.
  NETSTOR_ASSERT(EVP_DigestInit_ex(context_, fetched(kind), nullptr) == 1);
  started_ = true;
}

HashContext::~HashContext() { EVP_MD_CTX_free(context_); }

void HashContext::start() {
  NETSTOR_ASSERT(EVP_DigestInit_ex(context_, fetched(kind_), nullptr) == 1);
  started_ = true;
}

void HashContext::update(std::span<const std::byte> bytes) {
  if (!started_) start();
  NETSTOR_ASSERT(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
}

void HashContext::finish(std::span<std::byte> out) {
  if (!started_) start();
  unsigned written = 0;
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  NETSTOR_ASSERT(EVP_DigestFinal_ex(context_, to, &written) == 1 && written == out.size());
  started_ = false;
}

}  // namespace detail

Md5::Digest md5(std::span<const std::byte> bytes) { return digest_of<Md5>(bytes); }
Sha1::Digest sha1(std::span<const std::byte> bytes) { return digest_of<Sha1>(bytes); }
Sha256::Digest sha256(std::span<const std::byte> bytes) { return digest_of<Sha256>(bytes); }

HmacSha256::~HmacSha256() {
  wipe(inner_);
  wipe(outer_);
}

void HmacSha256::set_key(std::span<const std::byte> key) {
  constexpr std::byte kInner{0x36};
  constexpr std::byte kOuter{0x5C};
  hash_.restart();
  started_ = false;
  std::array<std::byte, kBlockBytes> block{};
  if (key.size() > block.size()) {
    std::ranges::copy(hash_.update(key).finish(), block.begin());
  } else {
    std::ranges::copy(key, block.begin());
  }
  std::ranges::transform(block, inner_.begin(), [](std::byte byte) { return byte ^ kInner; });
  std::ranges::transform(block, outer_.begin(), [](std::byte byte) { return byte ^ kOuter; });
  wipe(block);
}

void HmacSha256::start() {
  if (started_) return;
  hash_.update(inner_);
  started_ = true;
}

Sha256::Digest HmacSha256::finish() {
  start();
  const Sha256::Digest inside = hash_.finish();
  started_ = false;
  return hash_.update(outer_).update(inside).finish();
}

Sha256::Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> message) {
  return HmacSha256(key).update(message).finish();
}

bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::span<std::byte> secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

}  // namespace netstor
