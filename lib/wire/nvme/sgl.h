// SPDX-License-Identifier: Apache-2.0
//
// Scatter-gather list descriptors: the 16 bytes that say where a command's data is (NVMe Base 2.0,
// "SGL Descriptors"). Fabrics commands carry exactly one in the command itself; which kinds a
// transport allows is the transport's rule, and is checked in lib/proto.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/assert.h"
#include "lib/base/bytes.h"

namespace netstor::nvme {

// Bits 7:4 of the last byte.
enum class SglType : std::uint8_t {
  data_block = 0x0,
  bit_bucket = 0x1,
  segment = 0x2,
  last_segment = 0x3,
  keyed_data_block = 0x4,
  transport_data_block = 0x5,
};

// Bits 3:0 of the last byte.
enum class SglSubType : std::uint8_t {
  address = 0x0,
  offset = 0x1,
  transport_specific = 0xA,
  invalidate_key = 0xF,
};

inline constexpr std::size_t kSglBytes = 16;
inline constexpr std::uint32_t kKeyedLengthMax = 0xFFFFFFu;

struct SglDescriptor {
  std::uint64_t address = 0;  // an address, or an offset into the capsule's data
  std::uint32_t length = 0;   // bytes; a keyed descriptor has 24 bits for it
  std::uint32_t key = 0;      // keyed descriptors only
  SglType type = SglType::data_block;
  SglSubType sub_type = SglSubType::address;

  friend constexpr bool operator==(const SglDescriptor&, const SglDescriptor&) = default;
};

[[nodiscard]] constexpr SglDescriptor data_block(std::uint64_t address, std::uint32_t length) {
  return {.address = address, .length = length};
}

// Data inside the capsule, `offset` bytes after the capsule's data area starts (ICDOFF is apart).
[[nodiscard]] constexpr SglDescriptor in_capsule_data(std::uint64_t offset, std::uint32_t length) {
  return {.address = offset, .length = length, .sub_type = SglSubType::offset};
}

// NVMe/TCP: the data is sent by H2CData and C2HData PDUs.
[[nodiscard]] constexpr SglDescriptor transport_data_block(std::uint32_t length) {
  return {
      .length = length, .type = SglType::transport_data_block, .sub_type = SglSubType::transport_specific};
}

// RDMA: remote memory named by its key. `length` must not exceed kKeyedLengthMax.
[[nodiscard]] constexpr SglDescriptor keyed_data_block(std::uint64_t address, std::uint32_t length,
                                                       std::uint32_t key, bool invalidate = false) {
  return {.address = address,
          .length = length,
          .key = key,
          .type = SglType::keyed_data_block,
          .sub_type = invalidate ? SglSubType::invalidate_key : SglSubType::address};
}

inline void encode(const SglDescriptor& sgl, std::span<std::byte, kSglBytes> out) {
  std::byte* at = out.data();
  store_le<std::uint64_t>(at, sgl.address);
  const auto id = static_cast<std::uint64_t>((static_cast<unsigned>(sgl.type) << 4) |
                                             (static_cast<unsigned>(sgl.sub_type) & 0xFu));
  std::uint64_t upper = id << 56;
  if (sgl.type == SglType::keyed_data_block) {
    NETSTOR_ASSERT(sgl.length <= kKeyedLengthMax);
    upper |= (sgl.length & kKeyedLengthMax) | (std::uint64_t{sgl.key} << 24);
  } else {
    upper |= sgl.length;
  }
  store_le<std::uint64_t>(at + 8, upper);
}

[[nodiscard]] inline SglDescriptor decode_sgl(std::span<const std::byte, kSglBytes> in) {
  SglDescriptor sgl;
  sgl.address = load_le<std::uint64_t>(in.data());
  const auto upper = load_le<std::uint64_t>(in.data() + 8);
  sgl.type = static_cast<SglType>((upper >> 60) & 0xFu);
  sgl.sub_type = static_cast<SglSubType>((upper >> 56) & 0xFu);
  if (sgl.type == SglType::keyed_data_block) {
    sgl.length = static_cast<std::uint32_t>(upper & kKeyedLengthMax);
    sgl.key = static_cast<std::uint32_t>((upper >> 24) & 0xFFFFFFFFu);
  } else {
    sgl.length = static_cast<std::uint32_t>(upper & 0xFFFFFFFFu);
  }
  return sgl;
}

}  // namespace netstor::nvme
