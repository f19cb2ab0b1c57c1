// SPDX-License-Identifier: Apache-2.0
//
// A discovery log page as a discovery controller sent it, of any length. Only entries that are really there
// are read, and one that passes its check is text throughout.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/assert.h"
#include "lib/wire/fabrics/discovery.h"
#include "lib/wire/fabrics/nqn.h"

using namespace netstor::nvme;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto log = DiscoveryLog::from(std::as_bytes(std::span(data, size)));
  if (!log) return 0;
  NETSTOR_ASSERT(log->count() <= size / kDiscoveryEntryBytes);
  NETSTOR_ASSERT(log->count() <= log->header().numrec);
  for (std::size_t i = 0; i < log->count(); ++i) {
    const DiscoveryEntry entry = log->entry(i);
    std::array<std::byte, kDiscoveryEntryBytes> again{};
    encode(entry, again);
    NETSTOR_ASSERT(decode_discovery_entry(again) == entry);
    if (check(entry)) continue;
    NETSTOR_ASSERT(bearable_nqn(entry.subnqn.view()) && entry.subnqn.terminated());
    NETSTOR_ASSERT(!entry.traddr.view().empty());
    const auto graphic = [](char c) { return c > ' ' && c < '\x7F'; };
    NETSTOR_ASSERT(std::ranges::all_of(entry.traddr.view(), graphic));
    NETSTOR_ASSERT(std::ranges::all_of(entry.trsvcid.view(), graphic));
  }
  return 0;
}
