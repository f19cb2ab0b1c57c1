// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/namespace.h"

#include <bit>
#include <cstring>

namespace netstor::nvmeof {

namespace {

// Of a ticket: what a device can do.
constexpr std::uint32_t kWritable = 1;
constexpr std::uint32_t kVolatileCache = 2;
constexpr std::uint32_t kWriteZeroes = 4;
constexpr std::uint32_t kDeallocate = 8;
constexpr std::uint32_t kCompare = 16;
constexpr std::uint32_t kCompareAndWrite = 32;
constexpr std::uint32_t kVerify = 64;

}  // namespace

Ticket Terms::ticket() const noexcept {
  Ticket ticket;
  const auto pack = [](std::uint64_t low, std::uint64_t high) { return low | (high << 32); };
  ticket.words[0] = std::uint64_t{cntlid} | (std::uint64_t{home} << 16) | (std::uint64_t{queues} << 32) |
                    (std::uint64_t{depth_max} << 48);
  std::memcpy(&ticket.words[1], host_id.data(), host_id.size());
  ticket.words[3] = limits.size_bytes;
  ticket.words[4] = pack(nsid, in_capsule_max);
  ticket.words[5] = pack(limits.transfer_bytes_max, limits.zero_bytes_max);
  const std::uint64_t flags =
      (limits.writable ? kWritable : 0) | (limits.volatile_cache ? kVolatileCache : 0) |
      (limits.can_write_zeroes ? kWriteZeroes : 0) | (limits.can_deallocate ? kDeallocate : 0) |
      (limits.can_compare ? kCompare : 0) | (limits.can_compare_and_write ? kCompareAndWrite : 0) |
      (limits.can_verify ? kVerify : 0);
  ticket.words[6] = pack(limits.atomic_bytes,
                         static_cast<std::uint64_t>(std::countr_zero(limits.block_bytes)) | (flags << 8));
  return ticket;
}

Terms Terms::from(const Ticket& ticket) noexcept {
  const auto low = [&](unsigned i) { return static_cast<std::uint32_t>(ticket.words[i]); };
  const auto high = [&](unsigned i) { return static_cast<std::uint32_t>(ticket.words[i] >> 32); };
  Terms terms;
  terms.cntlid = static_cast<std::uint16_t>(low(0) & 0xFFFF);
  terms.home = static_cast<std::uint16_t>(low(0) >> 16);
  terms.queues = static_cast<std::uint16_t>(high(0) & 0xFFFF);
  terms.depth_max = static_cast<std::uint16_t>(high(0) >> 16);
  std::memcpy(terms.host_id.data(), &ticket.words[1], terms.host_id.size());
  terms.nsid = low(4);
  terms.in_capsule_max = high(4);
  const std::uint32_t flags = high(6) >> 8;
  terms.limits = {.size_bytes = ticket.words[3],
                  .block_bytes = 1u << (high(6) & 0xFF),
                  .transfer_bytes_max = low(5),
                  .zero_bytes_max = high(5),
                  .atomic_bytes = low(6),
                  .writable = (flags & kWritable) != 0,
                  .volatile_cache = (flags & kVolatileCache) != 0,
                  .can_write_zeroes = (flags & kWriteZeroes) != 0,
                  .can_deallocate = (flags & kDeallocate) != 0,
                  .can_compare = (flags & kCompare) != 0,
                  .can_compare_and_write = (flags & kCompareAndWrite) != 0,
                  .can_verify = (flags & kVerify) != 0};
  return terms;
}

}  // namespace netstor::nvmeof
