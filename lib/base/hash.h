// SPDX-License-Identifier: Apache-2.0
//
// SHA-256, SHA-1, MD5 and HMAC-SHA256 by OpenSSL. A hasher allocates when it is made and never again: feed
// pieces in order, finish() answers the digest and leaves it ready for the next message. Keep one per shard
// or per connection. The functions without a hasher make one for the call: fine for what happens rarely. MD5
// and SHA-1 are here because S3 has them as checksums (ETag, Content-MD5), not to protect anything.

#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <utility>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace netstor {

enum class HashKind : std::uint8_t { md5, sha1, sha256 };

[[nodiscard]] constexpr std::size_t digest_bytes(HashKind kind) {
  return kind == HashKind::md5 ? 16 : kind == HashKind::sha1 ? 20 : 32;
}

// False when this machine's OpenSSL refuses the algorithm (MD5 under a FIPS policy, say). Making a hasher of
// that kind is then a defect.
[[nodiscard]] bool hash_available(HashKind kind);

namespace detail {

class HashContext {
 public:
  explicit HashContext(HashKind kind);
  ~HashContext();
  HashContext(HashContext&& other) noexcept
      : context_(std::exchange(other.context_, nullptr)), kind_(other.kind_), started_(other.started_) {}
  HashContext& operator=(HashContext&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(started_, other.started_);
    return *this;
  }

  void restart() { started_ = false; }
  void update(std::span<const std::byte> bytes);
  void finish(std::span<std::byte> out);

 private:
  void start();

  evp_md_ctx_st* context_;
  HashKind kind_;
  bool started_ = false;
};

}  // namespace detail

template <HashKind kKind>
class Hasher {
 public:
  using Digest = std::array<std::byte, digest_bytes(kKind)>;

  Hasher() : context_(kKind) {}

  Hasher& update(std::span<const std::byte> bytes) {
    context_.update(bytes);
    return *this;
  }

  // Any range of pieces that turn into spans of bytes: a scatter list in its order.
  template <std::ranges::input_range Pieces>
  requires(!std::convertible_to<Pieces, std::span<const std::byte>> &&
           std::convertible_to<std::ranges::range_reference_t<Pieces>, std::span<const std::byte>>)
      Hasher& update(Pieces&& pieces) {
    for (std::span<const std::byte> piece : pieces) {
      update(piece);
    }
    return *this;
  }

  // The digest of all bytes since the last finish() or restart(); a new message begins.
  Digest finish() {
    Digest digest;
    context_.finish(digest);
    return digest;
  }

  // Forgets what it was fed.
  void restart() { context_.restart(); }

 private:
  detail::HashContext context_;
};

using Md5 = Hasher<HashKind::md5>;
using Sha1 = Hasher<HashKind::sha1>;
using Sha256 = Hasher<HashKind::sha256>;

[[nodiscard]] Md5::Digest md5(std::span<const std::byte> bytes);
[[nodiscard]] Sha1::Digest sha1(std::span<const std::byte> bytes);
[[nodiscard]] Sha256::Digest sha256(std::span<const std::byte> bytes);

// HMAC-SHA256 (RFC 2104). The key is copied and wiped when the object goes or gets another key.
class HmacSha256 {
 public:
  HmacSha256() : HmacSha256(std::span<const std::byte>()) {}
  explicit HmacSha256(std::span<const std::byte> key) { set_key(key); }
  ~HmacSha256();
  HmacSha256(HmacSha256&&) noexcept = default;
  HmacSha256& operator=(HmacSha256&&) noexcept = default;

  void set_key(std::span<const std::byte> key);

  HmacSha256& update(std::span<const std::byte> bytes) {
    start();
    hash_.update(bytes);
    return *this;
  }
  Sha256::Digest finish();

 private:
  static constexpr std::size_t kBlockBytes = 64;
  void start();

  Sha256 hash_;
  std::array<std::byte, kBlockBytes> inner_;
  std::array<std::byte, kBlockBytes> outer_;
  bool started_ = false;
};

[[nodiscard]] Sha256::Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> message);

// In a time that does not tell where they differ. Spans of different lengths are different, at once.
[[nodiscard]] bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b);

// Overwrites a secret, in a way that the compiler does not remove.
void wipe(std::span<std::byte> secret);

}  // namespace netstor
