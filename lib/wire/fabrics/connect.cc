// SPDX-License-Identifier: Apache-2.0
//
// The byte offsets of Connect's data and of RDMA's private data.

#include "lib/wire/fabrics/connect.h"

#include <concepts>

#include "lib/wire/fabrics/nqn.h"

namespace netstor::nvme {

template <typename Self, typename Visit>
requires std::same_as<std::remove_const_t<Self>, ConnectData>
void fields(Self& data, const Visit& visit) {
  visit(0, data.hostid);
  visit(16, data.cntlid);
  visit(256, data.subnqn);
  visit(512, data.hostnqn);
}

void encode(const ConnectData& data, std::span<std::byte, kConnectDataBytes> out) {
  detail::encode_fields(data, out);
}

ConnectData decode_connect_data(std::span<const std::byte, kConnectDataBytes> in) {
  return detail::decode_fields<ConnectData>(in);
}

std::optional<ConnectRefused> check(const ConnectData& data) {
  if (!nqn_of(data.subnqn)) {
    return kRefusedSubnqn;
  }
  if (!nqn_of(data.hostnqn)) {
    return kRefusedHostnqn;
  }
  return std::nullopt;
}

std::string_view to_string(RdmaRejectReason reason) {
  switch (reason) {
    case RdmaRejectReason::invalid_private_data_length:
      return "invalid length of private data";
    case RdmaRejectReason::invalid_recfmt:
      return "invalid record format";
    case RdmaRejectReason::invalid_qid:
      return "invalid queue id";
    case RdmaRejectReason::invalid_hsqsize:
      return "invalid size of the send queue";
    case RdmaRejectReason::invalid_hrqsize:
      return "invalid size of the receive queue";
    case RdmaRejectReason::no_resources:
      return "no resources";
    case RdmaRejectReason::invalid_ird:
      return "invalid inbound read depth";
    case RdmaRejectReason::invalid_ord:
      return "invalid outbound read depth";
    case RdmaRejectReason::invalid_cntlid:
      return "invalid controller id";
  }
  return "unknown reason";
}

void encode(const RdmaRequest& request, std::span<std::byte, kRdmaRequestBytes> out) {
  std::memset(out.data(), 0, out.size());
  store_le<std::uint16_t>(out.data(), request.recfmt);
  store_le<std::uint16_t>(out.data() + 2, request.qid);
  store_le<std::uint16_t>(out.data() + 4, request.hrqsize);
  store_le<std::uint16_t>(out.data() + 6, request.hsqsize);
  store_le<std::uint16_t>(out.data() + 8, request.cntlid);
}

void encode(const RdmaAccept& accept, std::span<std::byte, kRdmaAcceptBytes> out) {
  std::memset(out.data(), 0, out.size());
  store_le<std::uint16_t>(out.data(), accept.recfmt);
  store_le<std::uint16_t>(out.data() + 2, accept.crqsize);
}

void encode(const RdmaReject& reject, std::span<std::byte, kRdmaRejectBytes> out) {
  store_le<std::uint16_t>(out.data(), reject.recfmt);
  store_le<std::uint16_t>(out.data() + 2, static_cast<std::uint16_t>(reject.reason));
}

RdmaRequest decode_rdma_request(std::span<const std::byte, kRdmaRequestBytes> in) {
  return {.recfmt = load_le<std::uint16_t>(in.data()),
          .qid = load_le<std::uint16_t>(in.data() + 2),
          .hrqsize = load_le<std::uint16_t>(in.data() + 4),
          .hsqsize = load_le<std::uint16_t>(in.data() + 6),
          .cntlid = load_le<std::uint16_t>(in.data() + 8)};
}

RdmaAccept decode_rdma_accept(std::span<const std::byte, kRdmaAcceptBytes> in) {
  return {.recfmt = load_le<std::uint16_t>(in.data()), .crqsize = load_le<std::uint16_t>(in.data() + 2)};
}

RdmaReject decode_rdma_reject(std::span<const std::byte, kRdmaRejectBytes> in) {
  return {.recfmt = load_le<std::uint16_t>(in.data()),
          .reason = static_cast<RdmaRejectReason>(load_le<std::uint16_t>(in.data() + 2))};
}

}  // namespace netstor::nvme
