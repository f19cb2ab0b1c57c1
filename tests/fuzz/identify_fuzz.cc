// SPDX-License-Identifier: Apache-2.0
//
// Identify data structures and log pages. The first input byte chooses one, the rest is its data, filled up
// with zeros. What was decoded must encode to bytes that decode to the same.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/assert.h"
#include "lib/wire/nvme/dsm.h"
#include "lib/wire/nvme/identify.h"
#include "lib/wire/nvme/log.h"

namespace {

using namespace netstor::nvme;

using Page = std::array<std::byte, kIdentifyBytes>;

template <std::size_t N>
std::span<const std::byte, N> head(const Page& page) {
  return std::span<const std::byte, kIdentifyBytes>(page).first<N>();
}

template <std::size_t N, typename Decode>
void round_trip(const Page& page, Decode decode) {
  const auto value = decode(head<N>(page));
  std::array<std::byte, N> again;
  again.fill(std::byte{0xEE});
  encode(value, std::span<std::byte, N>(again));
  NETSTOR_ASSERT(decode(std::span<const std::byte, N>(again)) == value);
}

void namespaces(const Page& page) {
  round_trip<kIdentifyBytes>(page, decode_identify_namespace);
  const auto block = decode_identify_namespace(page).block_bytes();
  NETSTOR_ASSERT(!block || (*block >= 512 && (*block & (*block - 1)) == 0));
}

void namespace_lists(const Page& page) {
  const auto list = decode_namespace_list(page);
  if (!list) return;
  NETSTOR_ASSERT(list->count <= kNamespaceListMax);
  Page again{};
  NETSTOR_ASSERT(encode_namespace_list(std::span(list->nsids).first(list->count), again) == list->count);
  NETSTOR_ASSERT(decode_namespace_list(again)->count == list->count);
  NETSTOR_ASSERT(decode_changed_namespaces(page).has_value());
}

void namespace_ids(const Page& page) {
  const auto ids = decode_namespace_ids(page);
  if (!ids) return;
  Page again{};
  encode(*ids, again);
  NETSTOR_ASSERT(decode_namespace_ids(again) == ids);
}

void dsm_ranges(std::span<const std::byte> list) {
  DsmRange range;
  std::size_t index = 0;
  while (read_dsm_range(list, index, range)) ++index;
  NETSTOR_ASSERT(index == std::min(kDsmRangesMax, list.size() / kDsmRangeBytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto rest = std::as_bytes(std::span(data, size)).subspan(1);
  Page page{};
  std::copy_n(rest.begin(), std::min(rest.size(), page.size()), page.begin());
  switch (data[0] % 13) {
    case 0:
      round_trip<kIdentifyBytes>(page, decode_identify_controller);
      break;
    case 1:
      namespaces(page);
      break;
    case 2:
      namespace_lists(page);
      break;
    case 3:
      namespace_ids(page);
      break;
    case 4:
      round_trip<kIdentifyBytes>(page, decode_identify_namespace_nvm);
      break;
    case 5:
      round_trip<kIdentifyBytes>(page, decode_identify_controller_nvm);
      break;
    case 6:
      round_trip<kIdentifyBytes>(page, decode_identify_namespace_independent);
      break;
    case 7:
      round_trip<kErrorLogEntryBytes>(page, decode_error_log_entry);
      break;
    case 8:
      round_trip<kSmartLogBytes>(page, decode_smart_log);
      break;
    case 9:
      round_trip<kFirmwareSlotLogBytes>(page, decode_firmware_slot_log);
      break;
    case 10:
      round_trip<kEffectsLogBytes>(page, decode_effects_log);
      break;
    case 11:
      round_trip<kAnaGroupBytes>(page, decode_ana_group);
      break;
    case 12:
      dsm_ranges(rest);
      break;
  }
  return 0;
}
