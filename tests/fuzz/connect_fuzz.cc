// SPDX-License-Identifier: Apache-2.0
//
// A Connect: 64 bytes of command, then its data, either filled up with zeros; and the private data that RDMA
// sends for the same purpose.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/assert.h"
#include "lib/wire/fabrics/connect.h"
#include "lib/wire/fabrics/nqn.h"

using namespace netstor::nvme;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::array<std::byte, kCommandBytes + kConnectDataBytes> bytes{};
  const auto input = std::as_bytes(std::span(data, size));
  std::copy_n(input.begin(), std::min(input.size(), bytes.size()), bytes.begin());
  const std::span<const std::byte, kCommandBytes + kConnectDataBytes> all(bytes);

  const Command command = decode_command(all.first<kCommandBytes>());
  const Connect connect = decode_connect(command);
  NETSTOR_ASSERT(decode_connect(make_connect(command.cid(), connect, command.sgl())) == connect);
  PropertyAccess access;
  (void)decode_property_access(command, access);
  (void)decode_rdma_accept(all.first<kRdmaAcceptBytes>());
  (void)decode_rdma_reject(all.first<kRdmaRejectBytes>());
  const RdmaRequest request = decode_rdma_request(all.first<kRdmaRequestBytes>());
  std::array<std::byte, kRdmaRequestBytes> request_again{};
  encode(request, request_again);
  NETSTOR_ASSERT(decode_rdma_request(request_again) == request);

  const ConnectData connect_data = decode_connect_data(all.subspan<kCommandBytes, kConnectDataBytes>());
  std::array<std::byte, kConnectDataBytes> again{};
  encode(connect_data, again);
  NETSTOR_ASSERT(decode_connect_data(again) == connect_data);
  if (!check(connect_data)) {
    NETSTOR_ASSERT(bearable_nqn(connect_data.subnqn.view()) && connect_data.subnqn.terminated());
    NETSTOR_ASSERT(bearable_nqn(connect_data.hostnqn.view()) && connect_data.hostnqn.terminated());
  }
  return 0;
}
