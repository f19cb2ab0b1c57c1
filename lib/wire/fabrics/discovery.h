// SPDX-License-Identifier: Apache-2.0
//
// The discovery log page (NVMe Base 2.0, "Discovery Log Page"): a header of 1024 bytes and an entry of
// 1024 bytes for each subsystem port that a host may connect to. Reading it in pieces, and starting over
// when the generation counter moves, is the host's business in lib/proto.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/wire/nvme/fields.h"

namespace netstor::nvme {

inline constexpr std::size_t kDiscoveryHeaderBytes = 1024;
inline constexpr std::size_t kDiscoveryEntryBytes = 1024;

enum class TransportType : std::uint8_t {
  pcie = 0,
  rdma = 1,
  fibre_channel = 2,
  tcp = 3,
  intra_host = 254,
};

enum class AddressFamily : std::uint8_t {
  pcie = 0,
  ipv4 = 1,
  ipv6 = 2,
  infiniband = 3,
  fibre_channel = 4,
  intra_host = 254,
};

enum class SubsystemType : std::uint8_t {
  referral = 1,  // another discovery subsystem
  nvme = 2,
  current_discovery = 3,  // the one that is being asked
};

// TREQ bits 1:0; bit 2 says that submission queue flow control may be switched off.
enum class SecureChannel : std::uint8_t { not_specified = 0, required = 1, not_required = 2 };
inline constexpr std::uint8_t kTreqDisableSqFlowControl = 1u << 2;

namespace eflags {
inline constexpr std::uint16_t kDuplicateReturnedInformation = 1u << 0;
inline constexpr std::uint16_t kExplicitPersistentConnection = 1u << 1;
}  // namespace eflags

enum class TcpSecurity : std::uint8_t { none = 0, tls_1_2 = 1, tls_1_3 = 2 };

enum class RdmaQpType : std::uint8_t { reliable_connected = 1, reliable_datagram = 2 };
enum class RdmaProvider : std::uint8_t {
  not_specified = 1,
  infiniband = 2,
  roce_v1 = 3,
  roce_v2 = 4,
  iwarp = 5
};
enum class RdmaConnectionManager : std::uint8_t { rdma_cm = 1 };

// Transport Specific Address Subtype, as one of the two transports reads it.
struct TcpSubtype {
  TcpSecurity sectype = TcpSecurity::none;

  friend constexpr bool operator==(const TcpSubtype&, const TcpSubtype&) = default;
};

struct RdmaSubtype {
  RdmaQpType qptype = RdmaQpType::reliable_connected;
  RdmaProvider prtype = RdmaProvider::not_specified;
  RdmaConnectionManager cms = RdmaConnectionManager::rdma_cm;
  std::uint16_t pkey = 0;

  friend constexpr bool operator==(const RdmaSubtype&, const RdmaSubtype&) = default;
};

struct DiscoveryHeader {
  static constexpr std::size_t kWireBytes = kDiscoveryHeaderBytes;

  std::uint64_t genctr = 0;
  std::uint64_t numrec = 0;  // of the other end: bound it before it is believed
  std::uint16_t recfmt = 0;

  friend constexpr bool operator==(const DiscoveryHeader&, const DiscoveryHeader&) = default;
};

struct DiscoveryEntry {
  static constexpr std::size_t kWireBytes = kDiscoveryEntryBytes;

  TransportType trtype = TransportType::tcp;
  AddressFamily adrfam = AddressFamily::ipv4;
  SubsystemType subtype = SubsystemType::nvme;
  std::uint8_t treq = 0;
  std::uint16_t portid = 0;
  std::uint16_t cntlid = 0xFFFF;  // FFFFh: the dynamic controller model
  std::uint16_t asqsz = 32;
  std::uint16_t eflags = 0;
  ZeroPadded<32> trsvcid;
  NqnField subnqn;
  ZeroPadded<256> traddr;
  TcpSubtype tcp;    // used when trtype is tcp
  RdmaSubtype rdma;  // used when trtype is rdma

  [[nodiscard]] constexpr SecureChannel secure_channel() const {
    return static_cast<SecureChannel>(treq & 3u);
  }

  friend constexpr bool operator==(const DiscoveryEntry&, const DiscoveryEntry&) = default;
};

void encode(const DiscoveryHeader& header, std::span<std::byte, kDiscoveryHeaderBytes> out);
[[nodiscard]] DiscoveryHeader decode_discovery_header(std::span<const std::byte, kDiscoveryHeaderBytes> in);

// Text fields are sent as they are; spaces at the end of address and service, which some targets pad
// with, are taken off on the way in.
void encode(const DiscoveryEntry& entry, std::span<std::byte, kDiscoveryEntryBytes> out);
[[nodiscard]] DiscoveryEntry decode_discovery_entry(std::span<const std::byte, kDiscoveryEntryBytes> in);

// Why an entry is not fit for connecting to.
enum class DiscoveryEntryError : std::uint8_t {
  unknown_transport,
  unknown_address_family,
  bad_subnqn,
  bad_address
};

// Nothing when the entry can be used: a transport and family that are known, a name that is bearable,
// address and service of printable ASCII, the address not empty.
[[nodiscard]] std::optional<DiscoveryEntryError> check(const DiscoveryEntry& entry);

// A whole log page in memory. Entries that the header promises but the bytes do not hold do not exist.
class DiscoveryLog {
 public:
  // Nothing when the bytes are shorter than a header or the record format is not 0.
  [[nodiscard]] static std::optional<DiscoveryLog> from(std::span<const std::byte> page);

  [[nodiscard]] const DiscoveryHeader& header() const { return header_; }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] bool complete() const { return count_ == header_.numrec; }
  // `index` is below count().
  [[nodiscard]] DiscoveryEntry entry(std::size_t index) const;

 private:
  DiscoveryHeader header_;
  std::span<const std::byte> entries_;
  std::size_t count_ = 0;
};

}  // namespace netstor::nvme
