// SPDX-License-Identifier: Apache-2.0
//
// CRC32C (Castagnoli), the digest of NVMe/TCP, iSCSI and S3's crc32c checksum. Incremental: feed
// pieces in order, read value() at any time, feed on. The bytes of the value are sent least
// significant first by NVMe/TCP and most significant first by S3; that is the caller's to choose.

#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>

namespace netstor {

class Crc32c {
 public:
  constexpr Crc32c() = default;

  // Goes on where an earlier value() stopped: a sum over pieces seen at different times.
  static constexpr Crc32c resume(std::uint32_t value) {
    Crc32c crc;
    crc.register_ = ~value;
    return crc;
  }

  Crc32c& update(std::span<const std::byte> bytes);

  // Any range of pieces that turn into spans of bytes: a scatter list in its order.
  template <std::ranges::input_range Pieces>
  requires(!std::convertible_to<Pieces, std::span<const std::byte>> &&
           std::convertible_to<std::ranges::range_reference_t<Pieces>, std::span<const std::byte>>)
      Crc32c& update(Pieces&& pieces) {
    for (std::span<const std::byte> piece : pieces) {
      update(piece);
    }
    return *this;
  }

  [[nodiscard]] constexpr std::uint32_t value() const { return ~register_; }

 private:
  std::uint32_t register_ = 0xFFFFFFFFu;
};

[[nodiscard]] inline std::uint32_t crc32c(std::span<const std::byte> bytes) {
  return Crc32c().update(bytes).value();
}

}  // namespace netstor
