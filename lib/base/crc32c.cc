// SPDX-License-Identifier: Apache-2.0
//
// CRC32C over ISA-L, which picks the fastest instructions of this machine once and for all at load
// time. Its function takes and returns the raw shift register: the inversions at both ends are ours.

#include "lib/base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace netstor {

namespace {

// ISA-L counts bytes in an int.
constexpr std::size_t kPieceMax = std::size_t{1} << 30;

}  // namespace

Crc32c& Crc32c::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kPieceMax);
    // The declaration lacks a const; the function only reads.
    auto* data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));
    register_ = crc32_iscsi(data, static_cast<int>(count), register_);
    bytes = bytes.subspan(count);
  }
  return *this;
}

}  // namespace netstor
