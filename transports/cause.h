// SPDX-License-Identifier: Apache-2.0
#pragma once
// What OpResult::native says beside Origin::library, where the kind alone says too little: small values are
// the ErrorKind that ended a path, larger ones are these. OpResult::error() makes words of them.

#include <netstor/ext/driver.h>

#include "lib/wire/fabrics/tcp_pdu.h"

#include <algorithm>

namespace netstor::cause {

inline constexpr std::int32_t kFirst = 0x100;
inline constexpr std::int32_t kClosedByPeer = kFirst;
inline constexpr std::int32_t kDataDigest = kFirst + 1;

// How NVMe/TCP was broken: who says so, the fatal error status, and the offset where there is one.
inline constexpr std::int32_t kNvmeTcp = 0x1000'0000;
inline constexpr std::int32_t kSaidByPeer = 0x0800'0000;

inline std::int32_t nvme_tcp(const nvme::tcp::PduError& error, bool said_by_peer) noexcept {
  const auto fes = std::min<std::int32_t>(static_cast<std::int32_t>(error.fes), 0xFF);
  // A longer one is no offset in a header.
  const bool at = error.fes == nvme::tcp::Fes::invalid_pdu_header_field && error.fei < 0xFFFF;
  return kNvmeTcp | (said_by_peer ? kSaidByPeer : 0) | fes << 16 |
         (at ? static_cast<std::int32_t>(error.fei) : 0xFFFF);
}

// How a work request failed: the verbs' status (enum ibv_wc_status).
inline constexpr std::int32_t kRdma = 0x2000'0000;
// What a controller answered to a request for an RDMA connection (RdmaRejectReason).
inline constexpr std::int32_t kRdmaReject = 0x4000'0000;
// How NVMe/RDMA was broken (nvme::rdma::HostFault).
inline constexpr std::int32_t kNvmeRdma = 0x0400'0000;

constexpr std::int32_t rdma(std::int32_t status) noexcept { return kRdma | (status & 0xFF); }

constexpr std::int32_t nvme_rdma(std::int32_t fault) noexcept { return kNvmeRdma | (fault & 0xFF); }
constexpr std::int32_t rdma_reject(std::int32_t reason) noexcept { return kRdmaReject | (reason & 0xFFFF); }

/// Nothing where `native` is no cause of these.
std::string text(std::int32_t native);

}  // namespace netstor::cause
