// SPDX-License-Identifier: Apache-2.0
//
// The data structures of the Identify command (NVMe Base 2.0 "Identify command", NVM Command Set 1.0):
// controller, namespace, lists of namespaces and of their identifiers. Field names are the
// specification's mnemonics. All are 4096 bytes; fields that netstor has no name for are sent as zero
// and not kept when received. Fields that count in zero's based units stay as they are on the wire.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/wire/nvme/fields.h"
#include "lib/wire/nvme/opcode.h"

namespace netstor::nvme {

inline constexpr std::size_t kIdentifyBytes = 4096;
using IdentifyData = std::span<std::byte, kIdentifyBytes>;
using ConstIdentifyData = std::span<const std::byte, kIdentifyBytes>;

using Bytes16 = std::array<std::byte, 16>;  // a 128-bit number or identifier, as on the wire
using Bytes8 = std::array<std::byte, 8>;

struct PowerState {
  static constexpr std::size_t kWireBytes = 32;

  std::uint16_t mp = 0;     // centiwatts, unless scaled by bit 0 of flags
  std::uint8_t flags = 0;   // bit 0 max power scale, bit 1 non-operational
  std::uint32_t enlat = 0;  // microseconds
  std::uint32_t exlat = 0;
  std::uint8_t rrt = 0;
  std::uint8_t rrl = 0;
  std::uint8_t rwt = 0;
  std::uint8_t rwl = 0;
  std::uint16_t idlp = 0;
  std::uint8_t ips = 0;
  std::uint16_t actp = 0;
  std::uint8_t apw_aps = 0;

  friend constexpr bool operator==(const PowerState&, const PowerState&) = default;
};

enum class ControllerType : std::uint8_t { not_reported = 0, io = 1, discovery = 2, administrative = 3 };

// Bits of the fields that netstor reads or sets.
namespace oncs {
inline constexpr std::uint16_t kCompare = 1u << 0;
inline constexpr std::uint16_t kWriteUncorrectable = 1u << 1;
inline constexpr std::uint16_t kDatasetManagement = 1u << 2;
inline constexpr std::uint16_t kWriteZeroes = 1u << 3;
inline constexpr std::uint16_t kSaveSelect = 1u << 4;
inline constexpr std::uint16_t kReservations = 1u << 5;
inline constexpr std::uint16_t kTimestamp = 1u << 6;
inline constexpr std::uint16_t kVerify = 1u << 7;
inline constexpr std::uint16_t kCopy = 1u << 8;
}  // namespace oncs

namespace fuses {
inline constexpr std::uint16_t kCompareAndWrite = 1u << 0;
}  // namespace fuses

namespace cmic {
inline constexpr std::uint8_t kMultiPort = 1u << 0;
inline constexpr std::uint8_t kMultiController = 1u << 1;
inline constexpr std::uint8_t kAna = 1u << 3;
}  // namespace cmic

namespace vwc {
inline constexpr std::uint8_t kPresent = 1u << 0;
inline constexpr std::uint8_t kFlushAllNotSupported = 2u << 1;  // bits 2:1, flush with nsid FFFFFFFFh
inline constexpr std::uint8_t kFlushAllSupported = 3u << 1;
}  // namespace vwc

namespace lpa {
inline constexpr std::uint8_t kSmartPerNamespace = 1u << 0;
inline constexpr std::uint8_t kCommandEffects = 1u << 1;
inline constexpr std::uint8_t kExtendedData = 1u << 2;  // 32-bit lengths and offsets
}  // namespace lpa

namespace sgls {
inline constexpr std::uint32_t kSupported = 1u << 0;       // bits 1:0, no alignment asked for
inline constexpr std::uint32_t kSupportedDword = 2u << 0;  // dword alignment
inline constexpr std::uint32_t kKeyed = 1u << 2;
inline constexpr std::uint32_t kInCapsuleOffset = 1u << 20;  // an SGL may hold an offset
inline constexpr std::uint32_t kTransportDataBlock = 1u << 21;
}  // namespace sgls

namespace ctratt {
inline constexpr std::uint32_t kHostId128 = 1u << 0;
inline constexpr std::uint32_t kTrafficBasedKeepAlive = 1u << 6;
}  // namespace ctratt

namespace oaes {
inline constexpr std::uint32_t kNamespaceAttribute = 1u << 8;
inline constexpr std::uint32_t kFirmwareActivation = 1u << 9;
inline constexpr std::uint32_t kAnaChange = 1u << 11;
inline constexpr std::uint32_t kDiscoveryChange = 1u << 31;
}  // namespace oaes

struct IdentifyController {
  static constexpr std::size_t kWireBytes = kIdentifyBytes;

  std::uint16_t vid = 0;
  std::uint16_t ssvid = 0;
  SpacePadded<20> sn;
  SpacePadded<40> mn;
  SpacePadded<8> fr;
  std::uint8_t rab = 0;
  std::array<std::byte, 3> ieee{};
  std::uint8_t cmic = 0;
  std::uint8_t mdts = 0;  // 2 ^ n units of the minimum page; 0 = no limit
  std::uint16_t cntlid = 0;
  std::uint32_t ver = 0;
  std::uint32_t rtd3r = 0;
  std::uint32_t rtd3e = 0;
  std::uint32_t oaes = 0;
  std::uint32_t ctratt = 0;
  std::uint16_t rrls = 0;
  ControllerType cntrltype = ControllerType::not_reported;
  Bytes16 fguid{};
  std::uint16_t crdt1 = 0;  // command retry delays, units of 100 ms
  std::uint16_t crdt2 = 0;
  std::uint16_t crdt3 = 0;

  std::uint16_t oacs = 0;
  std::uint8_t acl = 0;   // zero's based
  std::uint8_t aerl = 0;  // zero's based
  std::uint8_t frmw = 0;
  std::uint8_t lpa = 0;
  std::uint8_t elpe = 0;  // zero's based
  std::uint8_t npss = 0;  // zero's based
  std::uint8_t avscc = 0;
  std::uint8_t apsta = 0;
  std::uint16_t wctemp = 0;  // kelvins
  std::uint16_t cctemp = 0;
  std::uint16_t mtfa = 0;
  std::uint32_t hmpre = 0;
  std::uint32_t hmmin = 0;
  Bytes16 tnvmcap{};
  Bytes16 unvmcap{};
  std::uint32_t rpmbs = 0;
  std::uint16_t edstt = 0;
  std::uint8_t dsto = 0;
  std::uint8_t fwug = 0;
  std::uint16_t kas = 0;  // keep alive granularity, units of 100 ms
  std::uint16_t hctma = 0;
  std::uint16_t mntmt = 0;
  std::uint16_t mxtmt = 0;
  std::uint32_t sanicap = 0;
  std::uint32_t hmminds = 0;
  std::uint16_t hmmaxd = 0;
  std::uint16_t nsetidmax = 0;
  std::uint16_t endgidmax = 0;
  std::uint8_t anatt = 0;
  std::uint8_t anacap = 0;
  std::uint32_t anagrpmax = 0;
  std::uint32_t nanagrpid = 0;
  std::uint32_t pels = 0;

  std::uint8_t sqes = 0;  // required in bits 3:0, maximum in bits 7:4; 66h for NVM
  std::uint8_t cqes = 0;  // 44h for NVM
  std::uint16_t maxcmd = 0;
  std::uint32_t nn = 0;
  std::uint16_t oncs = 0;
  std::uint16_t fuses = 0;
  std::uint8_t fna = 0;
  std::uint8_t vwc = 0;
  std::uint16_t awun = 0;  // zero's based blocks
  std::uint16_t awupf = 0;
  std::uint8_t icsvscc = 0;
  std::uint8_t nwpc = 0;
  std::uint16_t acwu = 0;
  std::uint16_t ocfs = 0;
  std::uint32_t sgls = 0;
  std::uint32_t mnan = 0;
  NqnField subnqn;

  std::uint32_t ioccsz = 0;  // units of 16 bytes, command included
  std::uint32_t iorcsz = 0;
  std::uint16_t icdoff = 0;  // units of 16 bytes
  std::uint8_t fcatt = 0;    // bit 0 clear: dynamic controller model
  std::uint8_t msdbd = 0;
  std::uint16_t ofcs = 0;  // bit 0: Disconnect is supported
  std::uint8_t dctype = 0;

  std::array<PowerState, 32> psd{};

  friend constexpr bool operator==(const IdentifyController&, const IdentifyController&) = default;
};

void encode(const IdentifyController& controller, IdentifyData out);
[[nodiscard]] IdentifyController decode_identify_controller(ConstIdentifyData in);

struct LbaFormat {
  static constexpr std::size_t kWireBytes = 4;

  std::uint16_t ms = 0;    // bytes of metadata
  std::uint8_t lbads = 0;  // a block has 2 ^ lbads bytes; 0 marks an unused format, below 9 is reserved
  std::uint8_t rp = 0;     // bits 1:0, relative performance

  friend constexpr bool operator==(const LbaFormat&, const LbaFormat&) = default;
};

namespace nsfeat {
inline constexpr std::uint8_t kThinProvisioning = 1u << 0;
inline constexpr std::uint8_t kAtomics = 1u << 1;  // nawun, nawupf and nacwu hold
inline constexpr std::uint8_t kUnwrittenError = 1u << 2;
inline constexpr std::uint8_t kIdsNotReused = 1u << 3;
inline constexpr std::uint8_t kOptimalIo = 1u << 4;  // npwg, npwa, npdg, npda and nows hold
}  // namespace nsfeat

namespace dlfeat {
inline constexpr std::uint8_t kReadsZeroes = 1;  // bits 2:0
inline constexpr std::uint8_t kReadsOnes = 2;
inline constexpr std::uint8_t kWriteZeroesDeallocates = 1u << 3;
}  // namespace dlfeat

namespace nmic {
inline constexpr std::uint8_t kShared = 1u << 0;
}  // namespace nmic

struct IdentifyNamespace {
  static constexpr std::size_t kWireBytes = kIdentifyBytes;

  std::uint64_t nsze = 0;  // blocks
  std::uint64_t ncap = 0;
  std::uint64_t nuse = 0;
  std::uint8_t nsfeat = 0;
  std::uint8_t nlbaf = 0;  // zero's based
  std::uint8_t flbas = 0;
  std::uint8_t mc = 0;
  std::uint8_t dpc = 0;
  std::uint8_t dps = 0;
  std::uint8_t nmic = 0;
  std::uint8_t rescap = 0;
  std::uint8_t fpi = 0;
  std::uint8_t dlfeat = 0;
  std::uint16_t nawun = 0;
  std::uint16_t nawupf = 0;
  std::uint16_t nacwu = 0;
  std::uint16_t nabsn = 0;
  std::uint16_t nabo = 0;
  std::uint16_t nabspf = 0;
  std::uint16_t noiob = 0;
  Bytes16 nvmcap{};
  std::uint16_t npwg = 0;  // this and the next four are zero's based blocks
  std::uint16_t npwa = 0;
  std::uint16_t npdg = 0;
  std::uint16_t npda = 0;
  std::uint16_t nows = 0;
  std::uint16_t mssrl = 0;
  std::uint32_t mcl = 0;
  std::uint8_t msrc = 0;
  std::uint32_t anagrpid = 0;
  std::uint8_t nsattr = 0;  // bit 0: write protected now
  std::uint16_t nvmsetid = 0;
  std::uint16_t endgid = 0;
  Bytes16 nguid{};
  Bytes8 eui64{};  // most significant byte first
  std::array<LbaFormat, 64> lbaf{};

  // FLBAS spreads the format's index: bits 3:0, and 6:5 above them.
  [[nodiscard]] constexpr std::size_t format_index() const {
    return (flbas & 0xFu) | (static_cast<std::size_t>((flbas >> 5) & 3u) << 4);
  }
  [[nodiscard]] constexpr const LbaFormat& format() const { return lbaf[format_index()]; }
  // Nothing when the namespace names a format that it does not list, or a size no block can have.
  [[nodiscard]] constexpr std::optional<std::uint32_t> block_bytes() const {
    const std::uint8_t shift = format().lbads;
    if (format_index() > nlbaf || shift < 9 || shift > 30) {
      return std::nullopt;
    }
    return std::uint32_t{1} << shift;
  }

  friend constexpr bool operator==(const IdentifyNamespace&, const IdentifyNamespace&) = default;
};

void encode(const IdentifyNamespace& ns, IdentifyData out);
[[nodiscard]] IdentifyNamespace decode_identify_namespace(ConstIdentifyData in);

// I/O Command Set Independent Identify Namespace (CNS 08h).
struct IdentifyNamespaceIndependent {
  static constexpr std::size_t kWireBytes = kIdentifyBytes;

  std::uint8_t nsfeat = 0;
  std::uint8_t nmic = 0;
  std::uint8_t rescap = 0;
  std::uint8_t fpi = 0;
  std::uint32_t anagrpid = 0;
  std::uint8_t nsattr = 0;
  std::uint16_t nvmsetid = 0;
  std::uint16_t endgid = 0;
  std::uint8_t nstat = 0;  // bit 0: ready

  friend constexpr bool operator==(const IdentifyNamespaceIndependent&,
                                   const IdentifyNamespaceIndependent&) = default;
};

void encode(const IdentifyNamespaceIndependent& ns, IdentifyData out);
[[nodiscard]] IdentifyNamespaceIndependent decode_identify_namespace_independent(ConstIdentifyData in);

// NVM command set specific Identify Namespace (CNS 05h, CSI 00h).
struct IdentifyNamespaceNvm {
  static constexpr std::size_t kWireBytes = kIdentifyBytes;

  std::uint64_t lbstm = 0;
  std::uint8_t pic = 0;
  std::array<std::uint32_t, 64> elbaf{};

  friend constexpr bool operator==(const IdentifyNamespaceNvm&, const IdentifyNamespaceNvm&) = default;
};

void encode(const IdentifyNamespaceNvm& ns, IdentifyData out);
[[nodiscard]] IdentifyNamespaceNvm decode_identify_namespace_nvm(ConstIdentifyData in);

// NVM command set specific Identify Controller (CNS 06h, CSI 00h): limits of the commands that move no
// data. Sizes are 2 ^ n units of the minimum page, 0 = no limit given.
struct IdentifyControllerNvm {
  static constexpr std::size_t kWireBytes = kIdentifyBytes;

  std::uint8_t vsl = 0;     // verify
  std::uint8_t wzsl = 0;    // write zeroes
  std::uint8_t wusl = 0;    // write uncorrectable
  std::uint8_t dmrl = 0;    // ranges in one dataset management
  std::uint32_t dmrsl = 0;  // blocks in one range
  std::uint64_t dmsl = 0;   // blocks in one command

  friend constexpr bool operator==(const IdentifyControllerNvm&, const IdentifyControllerNvm&) = default;
};

void encode(const IdentifyControllerNvm& controller, IdentifyData out);
[[nodiscard]] IdentifyControllerNvm decode_identify_controller_nvm(ConstIdentifyData in);

// Active Namespace ID List (CNS 02h) and its kin: ascending identifiers, ended by a zero.
inline constexpr std::size_t kNamespaceListMax = kIdentifyBytes / 4;

// Writes at most kNamespaceListMax of `nsids`; answers how many.
std::size_t encode_namespace_list(std::span<const std::uint32_t> nsids, IdentifyData out);

struct NamespaceList {
  std::array<std::uint32_t, kNamespaceListMax> nsids{};
  std::size_t count = 0;
};

// Nothing when the list does not ascend.
[[nodiscard]] std::optional<NamespaceList> decode_namespace_list(ConstIdentifyData in);

// Namespace Identification Descriptor list (CNS 03h).
struct NamespaceIds {
  std::optional<Bytes8> eui64;
  std::optional<Bytes16> nguid;
  std::optional<Bytes16> uuid;
  std::optional<Csi> csi;

  friend constexpr bool operator==(const NamespaceIds&, const NamespaceIds&) = default;
};

void encode(const NamespaceIds& ids, IdentifyData out);
// Descriptors of unknown types are passed over. Nothing when a descriptor runs past the end or a known
// one has another length than its type has.
[[nodiscard]] std::optional<NamespaceIds> decode_namespace_ids(ConstIdentifyData in);

// Identify I/O Command Set data structure (CNS 1Ch): up to 512 combinations of command sets, each a
// vector of bits by CSI. Netstor offers one combination.
struct IoCommandSets {
  static constexpr std::size_t kWireBytes = kIdentifyBytes;

  std::array<std::uint64_t, 512> vectors{};

  friend constexpr bool operator==(const IoCommandSets&, const IoCommandSets&) = default;
};

void encode(const IoCommandSets& sets, IdentifyData out);
[[nodiscard]] IoCommandSets decode_io_command_sets(ConstIdentifyData in);

}  // namespace netstor::nvme
