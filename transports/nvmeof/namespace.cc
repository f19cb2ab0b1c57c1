// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/namespace.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/base/encoding.h"
#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/sgl.h"

namespace netstor::nvmeof {

namespace {

// More would gain nothing over TCP, and each queue keeps room for one transfer.
constexpr std::uint32_t kTransferBytesMax = 1u << 20;

// Of a ticket: what a device can do.
constexpr std::uint32_t kWritable = 1;
constexpr std::uint32_t kVolatileCache = 2;
constexpr std::uint32_t kWriteZeroes = 4;
constexpr std::uint32_t kDeallocate = 8;
constexpr std::uint32_t kCompare = 16;
constexpr std::uint32_t kCompareAndWrite = 32;
constexpr std::uint32_t kVerify = 64;

// 2 ^ exponent units of the controller's smallest page; 0 says that there is no limit.
std::uint64_t in_pages(const nvme::Capabilities& cap, std::uint8_t exponent) {
  if (exponent == 0) return ~std::uint64_t{0};
  const unsigned shift = 12u + cap.mpsmin + exponent;
  return shift < 63 ? std::uint64_t{1} << shift : ~std::uint64_t{0};
}

std::uint32_t atomic_bytes_of(const ControllerFacts& controller, const nvme::IdentifyNamespace& ns,
                              const DeviceLimits& limits) {
  const bool own = (ns.nsfeat & nvme::nsfeat::kAtomics) != 0;
  std::uint64_t blocks = std::uint64_t{own ? ns.nawupf : controller.identify.awupf} + 1;
  if (limits.can_compare_and_write) {
    blocks = std::min(blocks, std::uint64_t{own ? ns.nacwu : controller.identify.acwu} + 1);
  }
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(blocks * limits.block_bytes, limits.transfer_bytes_max));
}

}  // namespace

std::string identity_of(const nvme::IdentifyNamespace& ns, const std::optional<nvme::NamespaceIds>& ids) {
  const auto name = [](std::string_view kind, const auto& bytes) -> std::string {
    if (std::all_of(bytes.begin(), bytes.end(), [](std::byte each) { return each == std::byte{0}; }))
      return {};
    return std::string(kind) + to_hex(bytes);
  };
  std::string found;
  if (ids && ids->uuid) found = name("uuid ", *ids->uuid);
  if (found.empty() && ids && ids->nguid) found = name("nguid ", *ids->nguid);
  if (found.empty()) found = name("nguid ", ns.nguid);
  if (found.empty()) found = name("eui64 ", ns.eui64);
  return found;
}

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
  ticket.words[6] = pack(limits.atomic_bytes, block_shift | (flags << 8));
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
  terms.block_shift = static_cast<std::uint8_t>(high(6) & 0xFF);
  const std::uint32_t flags = high(6) >> 8;
  terms.limits = {.size_bytes = ticket.words[3],
                  .block_bytes = 1u << terms.block_shift,
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

Result<void> describe(const ControllerFacts& controller, const nvme::IdentifyNamespace& ns, Terms& terms) {
  if (ns.nsze == 0) {
    return Error(ErrorKind::not_found, "namespace " + std::to_string(terms.nsid) + " is not active");
  }
  const auto block_bytes = ns.block_bytes();
  // 4 GiB pages and the like do not exist; what is refused here would overflow below.
  if (!block_bytes || *block_bytes > kTransferBytesMax || ns.format().ms != 0) {
    return Error(ErrorKind::unsupported, "the namespace's format has metadata or an unusable block size");
  }
  const nvme::IdentifyController& about = controller.identify;
  DeviceLimits& limits = terms.limits;
  terms.block_shift = static_cast<std::uint8_t>(std::countr_zero(*block_bytes));
  limits.block_bytes = *block_bytes;
  if (ns.nsze > (~std::uint64_t{0} >> terms.block_shift)) {
    return Error(ErrorKind::unsupported, "the namespace is larger than 2^64 bytes");
  }
  limits.size_bytes = ns.nsze << terms.block_shift;
  const std::uint64_t most_blocks = std::uint64_t{nvme::kBlocksMax} << terms.block_shift;
  const std::uint64_t transfer =
      std::min({std::uint64_t{kTransferBytesMax}, in_pages(controller.cap, about.mdts), most_blocks});
  limits.transfer_bytes_max = static_cast<std::uint32_t>(transfer >> terms.block_shift << terms.block_shift);
  limits.can_write_zeroes = (about.oncs & nvme::oncs::kWriteZeroes) != 0;
  limits.can_deallocate = (about.oncs & nvme::oncs::kDatasetManagement) != 0;
  limits.can_compare = (about.oncs & nvme::oncs::kCompare) != 0;
  limits.can_compare_and_write = limits.can_compare && (about.fuses & nvme::fuses::kCompareAndWrite) != 0;
  limits.can_verify = (about.oncs & nvme::oncs::kVerify) != 0;
  limits.volatile_cache = (about.vwc & nvme::vwc::kPresent) != 0;
  limits.writable = (ns.nsattr & 1u) == 0;

  // One limit for the three that move no payload.
  std::uint64_t zero = std::min<std::uint64_t>(most_blocks, 1u << 31);
  if (limits.can_write_zeroes) zero = std::min(zero, in_pages(controller.cap, controller.nvm.wzsl));
  if (limits.can_verify) zero = std::min(zero, in_pages(controller.cap, controller.nvm.vsl));
  if (limits.can_deallocate && controller.nvm.dmrsl != 0) {
    zero = std::min(zero, std::uint64_t{controller.nvm.dmrsl} << terms.block_shift);
  }
  if (limits.can_deallocate && controller.nvm.dmsl != 0 && controller.nvm.dmsl < nvme::kBlocksMax) {
    zero = std::min(zero, controller.nvm.dmsl << terms.block_shift);
  }
  limits.zero_bytes_max = static_cast<std::uint32_t>(zero >> terms.block_shift << terms.block_shift);
  limits.atomic_bytes = atomic_bytes_of(controller, ns, limits);
  limits.memory_alignment = 1;
  return {};
}

}  // namespace netstor::nvmeof
