// SPDX-License-Identifier: Apache-2.0
//
// The commands that only fabrics have: Connect, Property Get and Set, Disconnect (NVMe Base 2.0,
// "Fabrics Command Set"). They share opcode 7Fh and carry their type where others have the namespace.

#pragma once

#include <cstdint>

#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/completion.h"
#include "lib/wire/nvme/property.h"

namespace netstor::nvme {

[[nodiscard]] inline Command make_fabrics_command(FabricsType type, std::uint16_t cid,
                                                  const SglDescriptor& sgl = {}) {
  return make_command(kFabricsOpcode, cid, static_cast<std::uint32_t>(type), sgl);
}

// Bits of CATTR.
inline constexpr std::uint8_t kConnectPriorityMask = 0x03;
inline constexpr std::uint8_t kConnectDisableSqFlowControl = 0x04;
inline constexpr std::uint8_t kConnectIndividualQueueDeletion = 0x08;

struct Connect {
  std::uint16_t recfmt = 0;
  std::uint16_t qid = 0;     // 0 is the admin queue
  std::uint16_t sqsize = 0;  // zero's based
  std::uint8_t cattr = 0;
  std::uint32_t kato_ms = 0;  // admin queue only; 0 turns keep alive off

  friend constexpr bool operator==(const Connect&, const Connect&) = default;
};

[[nodiscard]] inline Command make_connect(std::uint16_t cid, const Connect& connect,
                                          const SglDescriptor& sgl) {
  Command command = make_fabrics_command(FabricsType::connect, cid, sgl);
  command.set<std::uint16_t>(40, connect.recfmt);
  command.set<std::uint16_t>(42, connect.qid);
  command.set<std::uint16_t>(44, connect.sqsize);
  command.set<std::uint8_t>(46, connect.cattr);
  command.set<std::uint32_t>(48, connect.kato_ms);
  return command;
}

[[nodiscard]] inline Connect decode_connect(const Command& command) {
  return {.recfmt = command.get<std::uint16_t>(40),
          .qid = command.get<std::uint16_t>(42),
          .sqsize = command.get<std::uint16_t>(44),
          .cattr = command.get<std::uint8_t>(46),
          .kato_ms = command.get<std::uint32_t>(48)};
}

struct PropertyAccess {
  Property property{};
  bool wide = false;        // 8 bytes instead of 4
  std::uint64_t value = 0;  // Property Set only

  friend constexpr bool operator==(const PropertyAccess&, const PropertyAccess&) = default;
};

[[nodiscard]] inline Command make_property_get(std::uint16_t cid, Property property) {
  Command command = make_fabrics_command(FabricsType::property_get, cid);
  command.set<std::uint8_t>(40, is_wide(property) ? 1 : 0);
  command.set<std::uint32_t>(44, static_cast<std::uint32_t>(property));
  return command;
}

[[nodiscard]] inline Command make_property_set(std::uint16_t cid, Property property, std::uint64_t value) {
  Command command = make_fabrics_command(FabricsType::property_set, cid);
  command.set<std::uint8_t>(40, is_wide(property) ? 1 : 0);
  command.set<std::uint32_t>(44, static_cast<std::uint32_t>(property));
  command.set<std::uint64_t>(48, value);
  return command;
}

// False for a size field other than 4 or 8 bytes.
[[nodiscard]] inline bool decode_property_access(const Command& command, PropertyAccess& out) {
  const auto size = static_cast<std::uint8_t>(command.get<std::uint8_t>(40) & 7u);
  out = {.property = static_cast<Property>(command.get<std::uint32_t>(44)),
         .wide = size == 1,
         .value = command.get<std::uint64_t>(48)};
  return size <= 1;
}

[[nodiscard]] inline Command make_disconnect(std::uint16_t cid) {
  return make_fabrics_command(FabricsType::disconnect, cid);  // record format 0
}

// ---- What a Connect's completion says in dword 0.

struct ConnectAccepted {
  std::uint16_t cntlid = 0;
  bool authentication_transaction_required = false;     // ATR
  bool authentication_secure_channel_required = false;  // ASCR

  friend constexpr bool operator==(const ConnectAccepted&, const ConnectAccepted&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const ConnectAccepted& accepted) {
  return accepted.cntlid | (std::uint32_t{accepted.authentication_transaction_required} << 17) |
         (std::uint32_t{accepted.authentication_secure_channel_required} << 18);
}

[[nodiscard]] constexpr ConnectAccepted decode_connect_accepted(std::uint32_t dw0) {
  return {.cntlid = static_cast<std::uint16_t>(dw0 & 0xFFFFu),
          .authentication_transaction_required = ((dw0 >> 17) & 1u) != 0,
          .authentication_secure_channel_required = ((dw0 >> 18) & 1u) != 0};
}

// With the status "connect invalid parameters": the place of the parameter that was refused.
struct ConnectRefused {
  std::uint16_t ipo = 0;  // Invalid Parameter Offset, in bytes
  bool in_data = false;   // IATTR: the offset counts in the Connect data, not in the command

  friend constexpr bool operator==(const ConnectRefused&, const ConnectRefused&) = default;
};

inline constexpr ConnectRefused kRefusedRecfmt{.ipo = 40, .in_data = false};
inline constexpr ConnectRefused kRefusedQid{.ipo = 42, .in_data = false};
inline constexpr ConnectRefused kRefusedSqsize{.ipo = 44, .in_data = false};
inline constexpr ConnectRefused kRefusedCattr{.ipo = 46, .in_data = false};
inline constexpr ConnectRefused kRefusedKato{.ipo = 48, .in_data = false};
inline constexpr ConnectRefused kRefusedHostid{.ipo = 0, .in_data = true};
inline constexpr ConnectRefused kRefusedCntlid{.ipo = 16, .in_data = true};
inline constexpr ConnectRefused kRefusedSubnqn{.ipo = 256, .in_data = true};
inline constexpr ConnectRefused kRefusedHostnqn{.ipo = 512, .in_data = true};

[[nodiscard]] constexpr std::uint32_t encode(const ConnectRefused& refused) {
  return refused.ipo | (std::uint32_t{refused.in_data} << 16);
}

[[nodiscard]] constexpr ConnectRefused decode_connect_refused(std::uint32_t dw0) {
  return {.ipo = static_cast<std::uint16_t>(dw0 & 0xFFFFu), .in_data = ((dw0 >> 16) & 1u) != 0};
}

[[nodiscard]] inline Completion connect_accepted(std::uint16_t cid, const ConnectAccepted& accepted) {
  return {.result = encode(accepted), .cid = cid};
}

[[nodiscard]] inline Completion connect_refused(std::uint16_t cid, const ConnectRefused& refused) {
  return {.result = encode(refused),
          .cid = cid,
          .status = Status(FabricsStatus::connect_invalid_parameters).with_dnr()};
}

}  // namespace netstor::nvme
