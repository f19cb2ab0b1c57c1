// SPDX-License-Identifier: Apache-2.0
//
// The 16-byte completion queue entry (NVMe Base 2.0, "Completion Queue Entry"). Fabrics have no
// phase bit: it is kept as it came, and sent as zero unless set.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/bytes.h"
#include "lib/wire/nvme/status.h"

namespace netstor::nvme {

inline constexpr std::size_t kCompletionBytes = 16;

struct Completion {
  std::uint64_t result = 0;  // dwords 0 and 1; most commands use the lower alone
  std::uint16_t sqhd = 0;    // submission queue head
  std::uint16_t sqid = 0;    // reserved in fabrics
  std::uint16_t cid = 0;
  Status status{};
  bool phase = false;

  [[nodiscard]] constexpr std::uint32_t dw0() const { return static_cast<std::uint32_t>(result); }
  [[nodiscard]] constexpr std::uint32_t dw1() const { return static_cast<std::uint32_t>(result >> 32); }

  friend constexpr bool operator==(const Completion&, const Completion&) = default;
};

inline void encode(const Completion& completion, std::span<std::byte, kCompletionBytes> out) {
  std::byte* at = out.data();
  store_le<std::uint64_t>(at, completion.result);
  store_le<std::uint16_t>(at + 8, completion.sqhd);
  store_le<std::uint16_t>(at + 10, completion.sqid);
  store_le<std::uint16_t>(at + 12, completion.cid);
  store_le<std::uint16_t>(
      at + 14, static_cast<std::uint16_t>((completion.status.raw() << 1) | (completion.phase ? 1u : 0u)));
}

[[nodiscard]] inline Completion decode_completion(std::span<const std::byte, kCompletionBytes> in) {
  const std::byte* at = in.data();
  const auto status = load_le<std::uint16_t>(at + 14);
  return {.result = load_le<std::uint64_t>(at),
          .sqhd = load_le<std::uint16_t>(at + 8),
          .sqid = load_le<std::uint16_t>(at + 10),
          .cid = load_le<std::uint16_t>(at + 12),
          .status = Status::from_raw(static_cast<std::uint16_t>(status >> 1)),
          .phase = (status & 1u) != 0};
}

}  // namespace netstor::nvme
