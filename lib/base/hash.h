// SPDX-License-Identifier: Apache-2.0
//
// SHA-256, SHA-1, MD5 and HMAC-SHA256 by OpenSSL. Hashers are plain values: nothing is ever allocated, a copy
// goes on from where the original was. Feed pieces in order; finish() answers the digest and leaves the
// hasher ready for the next message. MD5 and SHA-1 are here because S3 has them as checksums (ETag,
// Content-MD5), not to protect anything.

#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>

namespace netstor {

enum class HashKind : std::uint8_t { md5, sha1, sha256 };

[[nodiscard]] constexpr std::size_t digest_bytes(HashKind kind) {
  return kind == HashKind::md5 ? 16 : kind == HashKind::sha1 ? 20 : 32;
}

namespace detail {

// OpenSSL's state of any of the three; hash.cc checks the size.
struct HashState {
  alignas(8) std::array<std::byte, 112> bytes;
};
void start(HashKind kind, HashState& state);
void update(HashKind kind, HashState& state, std::span<const std::byte> bytes);
void finish(HashKind kind, HashState& state, std::span<std::byte> out);

}  // namespace detail

template <HashKind kKind>
class Hasher {
 public:
  using Digest = std::array<std::byte, digest_bytes(kKind)>;

  Hasher() { restart(); }

  Hasher& update(std::span<const std::byte> bytes) {
    detail::update(kKind, state_, bytes);
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
    detail::finish(kKind, state_, digest);
    restart();
    return digest;
  }

  // Forgets what it was fed.
  void restart() { detail::start(kKind, state_); }

 private:
  detail::HashState state_;
};

using Md5 = Hasher<HashKind::md5>;
using Sha1 = Hasher<HashKind::sha1>;
using Sha256 = Hasher<HashKind::sha256>;

[[nodiscard]] Md5::Digest md5(std::span<const std::byte> bytes);
[[nodiscard]] Sha1::Digest sha1(std::span<const std::byte> bytes);
[[nodiscard]] Sha256::Digest sha256(std::span<const std::byte> bytes);

// HMAC-SHA256 (RFC 2104). Keeps what the key leads to, not the key, and wipes that when it goes or gets
// another.
class HmacSha256 {
 public:
  HmacSha256() : HmacSha256(std::span<const std::byte>()) {}
  explicit HmacSha256(std::span<const std::byte> key) { set_key(key); }
  ~HmacSha256();
  HmacSha256(const HmacSha256&) = default;
  HmacSha256& operator=(const HmacSha256&) = default;

  void set_key(std::span<const std::byte> key);

  HmacSha256& update(std::span<const std::byte> bytes) {
    hash_.update(bytes);
    return *this;
  }
  // Of all bytes since the last finish() or set_key(); a new message with the same key begins.
  Sha256::Digest finish() {
    const Sha256::Digest inside = hash_.finish();
    hash_ = inner_;
    Sha256 outer = outer_;
    return outer.update(inside).finish();
  }

 private:
  // After the key's first block; a message begins with a copy.
  Sha256 inner_, outer_;
  Sha256 hash_;
};

[[nodiscard]] Sha256::Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> message);

// In a time that does not tell where they differ. Spans of different lengths are different, at once.
[[nodiscard]] bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b);

// Overwrites a secret, in a way that the compiler does not remove.
void wipe(std::span<std::byte> secret);

}  // namespace netstor
