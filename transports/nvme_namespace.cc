// SPDX-License-Identifier: Apache-2.0
#include "transports/nvme_namespace.h"

#include <algorithm>
#include <bit>

#include "lib/base/encoding.h"
#include "lib/wire/nvme/command.h"

namespace netstor::nvme {

namespace {

// More would gain nothing, and over TCP each queue keeps room for one transfer.
constexpr std::uint32_t kTransferBytesMax = 1u << 20;

// 2 ^ exponent units of the controller's smallest page; 0 says that there is no limit.
std::uint64_t in_pages(const Capabilities& cap, std::uint8_t exponent) {
  if (exponent == 0) return ~std::uint64_t{0};
  const unsigned shift = 12u + cap.mpsmin + exponent;
  return shift < 63 ? std::uint64_t{1} << shift : ~std::uint64_t{0};
}

std::uint32_t atomic_bytes_of(const ControllerFacts& controller, const IdentifyNamespace& ns,
                              const DeviceLimits& limits) {
  const bool own = (ns.nsfeat & nsfeat::kAtomics) != 0;
  std::uint64_t blocks = std::uint64_t{own ? ns.nawupf : controller.identify.awupf} + 1;
  if (limits.can_compare_and_write) {
    blocks = std::min(blocks, std::uint64_t{own ? ns.nacwu : controller.identify.acwu} + 1);
  }
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(blocks * limits.block_bytes, limits.transfer_bytes_max));
}

}  // namespace

std::string identity_of(const IdentifyNamespace& ns, const std::optional<NamespaceIds>& ids) {
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

Result<void> describe(const ControllerFacts& controller, const IdentifyNamespace& ns, std::uint32_t nsid,
                      DeviceLimits& limits) {
  if (ns.nsze == 0) {
    return Error(ErrorKind::not_found, "namespace " + std::to_string(nsid) + " is not active");
  }
  const auto block_bytes = ns.block_bytes();
  // 4 GiB pages and the like do not exist; what is refused here would overflow below.
  if (!block_bytes || *block_bytes > kTransferBytesMax || ns.format().ms != 0) {
    return Error(ErrorKind::unsupported, "the namespace's format has metadata or an unusable block size");
  }
  const IdentifyController& about = controller.identify;
  const int shift = std::countr_zero(*block_bytes);
  limits.block_bytes = *block_bytes;
  if (ns.nsze > (~std::uint64_t{0} >> shift)) {
    return Error(ErrorKind::unsupported, "the namespace is larger than 2^64 bytes");
  }
  limits.size_bytes = ns.nsze << shift;
  const std::uint64_t most_blocks = std::uint64_t{kBlocksMax} << shift;
  const std::uint64_t transfer =
      std::min({std::uint64_t{kTransferBytesMax}, in_pages(controller.cap, about.mdts), most_blocks});
  limits.transfer_bytes_max = static_cast<std::uint32_t>(transfer >> shift << shift);
  limits.can_write_zeroes = (about.oncs & oncs::kWriteZeroes) != 0;
  limits.can_deallocate = (about.oncs & oncs::kDatasetManagement) != 0;
  limits.can_compare = (about.oncs & oncs::kCompare) != 0;
  limits.can_compare_and_write = limits.can_compare && (about.fuses & fuses::kCompareAndWrite) != 0;
  limits.can_verify = (about.oncs & oncs::kVerify) != 0;
  limits.volatile_cache = (about.vwc & vwc::kPresent) != 0;
  limits.writable = (ns.nsattr & 1u) == 0;

  // One limit for the three that move no payload.
  std::uint64_t zero = std::min<std::uint64_t>(most_blocks, 1u << 31);
  if (limits.can_write_zeroes) zero = std::min(zero, in_pages(controller.cap, controller.nvm.wzsl));
  if (limits.can_verify) zero = std::min(zero, in_pages(controller.cap, controller.nvm.vsl));
  if (limits.can_deallocate && controller.nvm.dmrsl != 0) {
    zero = std::min(zero, std::uint64_t{controller.nvm.dmrsl} << shift);
  }
  if (limits.can_deallocate && controller.nvm.dmsl != 0 && controller.nvm.dmsl < kBlocksMax) {
    zero = std::min(zero, controller.nvm.dmsl << shift);
  }
  limits.zero_bytes_max = static_cast<std::uint32_t>(zero >> shift << shift);
  limits.atomic_bytes = atomic_bytes_of(controller, ns, limits);
  limits.memory_alignment = 1;
  return {};
}

std::string describe(const IdentifyController& controller) {
  return "model: " + std::string(controller.mn.view()) + "\nserial: " + std::string(controller.sn.view()) +
         "\nfirmware: " + std::string(controller.fr.view()) + "\n";
}

}  // namespace netstor::nvme
