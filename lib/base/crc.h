// SPDX-License-Identifier: Apache-2.0
//
// The checksums of S3 beside CRC32C: CRC32 (zlib, gzip, IEEE 802.3) and CRC64NVME (also called Rocksoft), and
// for all three the checksum of two pieces put together from those of the pieces: what a multipart upload
// needs for the checksum of the whole object. Used as Crc32c is: feed pieces in order, read value() at any
// time, feed on. S3 writes the bytes of a value most significant first.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace netstor {

class Crc32 {
 public:
  constexpr Crc32() = default;
  static constexpr Crc32 resume(std::uint32_t value) {
    Crc32 crc;
    crc.value_ = value;
    return crc;
  }

  Crc32& update(std::span<const std::byte> bytes);
  [[nodiscard]] constexpr std::uint32_t value() const { return value_; }

 private:
  std::uint32_t value_ = 0;
};

class Crc64Nvme {
 public:
  constexpr Crc64Nvme() = default;
  static constexpr Crc64Nvme resume(std::uint64_t value) {
    Crc64Nvme crc;
    crc.register_ = ~value;
    return crc;
  }

  Crc64Nvme& update(std::span<const std::byte> bytes);
  // The same by tables alone, for machines without carry-less multiplication; and for the test of the other.
  Crc64Nvme& update_by_table(std::span<const std::byte> bytes);
  [[nodiscard]] constexpr std::uint64_t value() const { return ~register_; }

 private:
  std::uint64_t register_ = ~std::uint64_t{0};
};

// The checksum of A followed by B from that of A, that of B, and the length of B. Costs a few
// microseconds: for each part of an object, not for each buffer.
[[nodiscard]] std::uint32_t combine_crc32(std::uint32_t a, std::uint32_t b, std::uint64_t b_bytes);
[[nodiscard]] std::uint32_t combine_crc32c(std::uint32_t a, std::uint32_t b, std::uint64_t b_bytes);
[[nodiscard]] std::uint64_t combine_crc64nvme(std::uint64_t a, std::uint64_t b, std::uint64_t b_bytes);

}  // namespace netstor
