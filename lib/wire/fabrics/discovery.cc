// SPDX-License-Identifier: Apache-2.0
//
// The byte offsets of the discovery log page, and what makes an entry usable.

#include "lib/wire/fabrics/discovery.h"

#include <algorithm>
#include <concepts>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/wire/fabrics/nqn.h"

namespace netstor::nvme {

namespace {

template <typename Self, typename T>
concept Is = std::same_as<std::remove_const_t<Self>, T>;

constexpr std::size_t kTsas = 768;

// An entry that fills its place with text has no zero at the end, and spaces are no part of an address.
template <std::size_t N>
void trim_spaces(ZeroPadded<N>& field) {
  std::string_view text = field.view();
  const std::size_t last = text.find_last_not_of(' ');
  text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  field = ZeroPadded<N>(text);
}

bool printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7F'; });
}

}  // namespace

template <Is<DiscoveryHeader> Self, typename Visit>
void fields(Self& header, const Visit& visit) {
  visit(0, header.genctr);
  visit(8, header.numrec);
  visit(16, header.recfmt);
}

template <Is<DiscoveryEntry> Self, typename Visit>
void fields(Self& entry, const Visit& visit) {
  visit(0, entry.trtype);
  visit(1, entry.adrfam);
  visit(2, entry.subtype);
  visit(3, entry.treq);
  visit(4, entry.portid);
  visit(6, entry.cntlid);
  visit(8, entry.asqsz);
  visit(10, entry.eflags);
  visit(32, entry.trsvcid);
  visit(256, entry.subnqn);
  visit(512, entry.traddr);
  if (entry.trtype == TransportType::tcp) {
    visit(kTsas, entry.tcp.sectype);
  } else if (entry.trtype == TransportType::rdma) {
    visit(kTsas, entry.rdma.qptype);
    visit(kTsas + 1, entry.rdma.prtype);
    visit(kTsas + 2, entry.rdma.cms);
    visit(kTsas + 8, entry.rdma.pkey);
  }
}

void encode(const DiscoveryHeader& header, std::span<std::byte, kDiscoveryHeaderBytes> out) {
  detail::encode_fields(header, out);
}

DiscoveryHeader decode_discovery_header(std::span<const std::byte, kDiscoveryHeaderBytes> in) {
  return detail::decode_fields<DiscoveryHeader>(in);
}

void encode(const DiscoveryEntry& entry, std::span<std::byte, kDiscoveryEntryBytes> out) {
  detail::encode_fields(entry, out);
}

DiscoveryEntry decode_discovery_entry(std::span<const std::byte, kDiscoveryEntryBytes> in) {
  auto entry = detail::decode_fields<DiscoveryEntry>(in);
  trim_spaces(entry.trsvcid);
  trim_spaces(entry.traddr);
  return entry;
}

std::optional<DiscoveryEntryError> check(const DiscoveryEntry& entry) {
  switch (entry.trtype) {
    case TransportType::pcie:
    case TransportType::rdma:
    case TransportType::fibre_channel:
    case TransportType::tcp:
    case TransportType::intra_host:
      break;
    default:
      return DiscoveryEntryError::unknown_transport;
  }
  switch (entry.adrfam) {
    case AddressFamily::pcie:
    case AddressFamily::ipv4:
    case AddressFamily::ipv6:
    case AddressFamily::infiniband:
    case AddressFamily::fibre_channel:
    case AddressFamily::intra_host:
      break;
    default:
      return DiscoveryEntryError::unknown_address_family;
  }
  if (!nqn_of(entry.subnqn)) {
    return DiscoveryEntryError::bad_subnqn;
  }
  const std::string_view address = entry.traddr.view();
  if (address.empty() || !printable_ascii(address) || !printable_ascii(entry.trsvcid.view())) {
    return DiscoveryEntryError::bad_address;
  }
  return std::nullopt;
}

std::optional<DiscoveryLog> DiscoveryLog::from(std::span<const std::byte> page) {
  if (page.size() < kDiscoveryHeaderBytes) {
    return std::nullopt;
  }
  DiscoveryLog log;
  log.header_ = decode_discovery_header(page.first<kDiscoveryHeaderBytes>());
  if (log.header_.recfmt != 0) {
    return std::nullopt;
  }
  log.entries_ = page.subspan(kDiscoveryHeaderBytes);
  log.count_ = static_cast<std::size_t>(
      std::min<std::uint64_t>(log.header_.numrec, log.entries_.size() / kDiscoveryEntryBytes));
  return log;
}

DiscoveryEntry DiscoveryLog::entry(std::size_t index) const {
  NETSTOR_ASSERT(index < count_);
  return decode_discovery_entry(entries_.subspan(index * kDiscoveryEntryBytes).first<kDiscoveryEntryBytes>());
}

}  // namespace netstor::nvme
