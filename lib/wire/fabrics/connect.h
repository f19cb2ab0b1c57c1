// SPDX-License-Identifier: Apache-2.0
//
// The 1024 bytes of data that a Connect command carries: who asks, and for what (NVMe Base 2.0, "Connect
// command"). The command itself and its answer are in fabrics_command.h; here also what RDMA puts into
// its connection manager's private data, which says the same at a lower layer (NVMe RDMA Transport 1.0).

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/wire/fabrics/fabrics_command.h"
#include "lib/wire/nvme/fields.h"
#include "lib/wire/nvme/opcode.h"

namespace netstor::nvme {

inline constexpr std::size_t kConnectDataBytes = 1024;

struct ConnectData {
  static constexpr std::size_t kWireBytes = kConnectDataBytes;

  std::array<std::byte, 16> hostid{};
  std::uint16_t cntlid = kCntlidDynamic;
  NqnField subnqn;
  NqnField hostnqn;

  friend constexpr bool operator==(const ConnectData&, const ConnectData&) = default;
};

void encode(const ConnectData& data, std::span<std::byte, kConnectDataBytes> out);
[[nodiscard]] ConnectData decode_connect_data(std::span<const std::byte, kConnectDataBytes> in);

// What the format alone forbids: both names must be bearable. The place is ready for the answer.
[[nodiscard]] std::optional<ConnectRefused> check(const ConnectData& data);

// ---- RDMA connection manager private data.

inline constexpr std::size_t kRdmaRequestBytes = 32;
inline constexpr std::size_t kRdmaAcceptBytes = 32;
inline constexpr std::size_t kRdmaRejectBytes = 4;

struct RdmaRequest {
  std::uint16_t recfmt = 0;
  std::uint16_t qid = 0;
  std::uint16_t hrqsize = 0;  // host's receive queue entries
  std::uint16_t hsqsize = 0;  // host's send queue entries, zero's based
  std::uint16_t cntlid = 0;   // record format 1 only

  friend constexpr bool operator==(const RdmaRequest&, const RdmaRequest&) = default;
};

struct RdmaAccept {
  std::uint16_t recfmt = 0;
  std::uint16_t crqsize = 0;  // controller's receive queue entries

  friend constexpr bool operator==(const RdmaAccept&, const RdmaAccept&) = default;
};

enum class RdmaRejectReason : std::uint16_t {
  invalid_private_data_length = 1,
  invalid_recfmt = 2,
  invalid_qid = 3,
  invalid_hsqsize = 4,
  invalid_hrqsize = 5,
  no_resources = 6,
  invalid_ird = 7,
  invalid_ord = 8,
  invalid_cntlid = 9,
};

std::string_view to_string(RdmaRejectReason reason);

struct RdmaReject {
  std::uint16_t recfmt = 0;
  RdmaRejectReason reason{};

  friend constexpr bool operator==(const RdmaReject&, const RdmaReject&) = default;
};

void encode(const RdmaRequest& request, std::span<std::byte, kRdmaRequestBytes> out);
void encode(const RdmaAccept& accept, std::span<std::byte, kRdmaAcceptBytes> out);
void encode(const RdmaReject& reject, std::span<std::byte, kRdmaRejectBytes> out);
[[nodiscard]] RdmaRequest decode_rdma_request(std::span<const std::byte, kRdmaRequestBytes> in);
[[nodiscard]] RdmaAccept decode_rdma_accept(std::span<const std::byte, kRdmaAcceptBytes> in);
[[nodiscard]] RdmaReject decode_rdma_reject(std::span<const std::byte, kRdmaRejectBytes> in);

}  // namespace netstor::nvme
