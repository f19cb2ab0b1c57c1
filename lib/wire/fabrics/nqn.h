// SPDX-License-Identifier: Apache-2.0
//
// NVMe Qualified Names (NVMe Base 2.0, "NVMe Qualified Names"): the two forms that a name may have, the
// well-known discovery name, and the making of a name from a UUID. No name is ever looked up here.

#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "lib/wire/nvme/fields.h"

namespace netstor::nvme {

inline constexpr std::size_t kNqnMax = 223;
inline constexpr std::string_view kDiscoveryNqn = "nqn.2014-08.org.nvmexpress.discovery";
inline constexpr std::string_view kUuidNqnPrefix = "nqn.2014-08.org.nvmexpress:uuid:";
inline constexpr std::size_t kUuidTextBytes = 36;

// One of the forms of the specification, in UTF-8 without control characters and at most kNqnMax bytes:
//   nqn.yyyy-mm.reverse.domain:anything
//   nqn.2014-08.org.nvmexpress:uuid:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
//   nqn.2014-08.org.nvmexpress.discovery
[[nodiscard]] bool valid_nqn(std::string_view name);

// 1 to kNqnMax bytes of UTF-8 without control characters, whatever the form. Targets in the field use
// names like "testnqn"; a host that is told such a name by its user may go and ask for it.
[[nodiscard]] bool bearable_nqn(std::string_view name);

// The name in a 256-byte field; nothing when it is not terminated or not bearable.
[[nodiscard]] std::optional<std::string_view> nqn_of(const NqnField& field);

// "nqn.2014-08.org.nvmexpress:uuid:..." from the 16 bytes of a UUID in their printed order.
[[nodiscard]] NqnField uuid_nqn(std::span<const std::byte, 16> uuid);

// The 16 bytes of 8-4-4-4-12 hexadecimal digits of either case.
[[nodiscard]] std::optional<std::array<std::byte, 16>> parse_uuid(std::string_view text);

}  // namespace netstor::nvme
