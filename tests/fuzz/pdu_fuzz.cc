// SPDX-License-Identifier: Apache-2.0
//
// NVMe/TCP PDUs. The first input byte chooses the rules, the rest is a PDU as it would arrive. A header that
// passes its check must add up: nothing after it is read on trust, and the parts fill PLEN exactly.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/assert.h"
#include "lib/wire/fabrics/tcp_pdu.h"

namespace {

using namespace netstor;
using namespace netstor::nvme;
using namespace netstor::nvme::tcp;

template <std::size_t N>
std::span<const std::byte, N> fixed(std::span<const std::byte> bytes) {
  return bytes.first<N>();
}

void decode_body(const CommonHeader& header, std::span<const std::byte> pdu) {
  switch (header.type) {
    case PduType::ic_req: {
      const IcReq request = decode_ic_req(fixed<kIcBytes>(pdu));
      std::array<std::byte, kIcBytes> again{};
      encode(request, again);
      NETSTOR_ASSERT(decode_ic_req(again) == request);
      NETSTOR_ASSERT(check(request) || request.hpda <= kPdaMax);
      break;
    }
    case PduType::ic_resp: {
      const IcResp response = decode_ic_resp(fixed<kIcBytes>(pdu));
      std::array<std::byte, kIcBytes> again{};
      encode(response, again);
      NETSTOR_ASSERT(decode_ic_resp(again) == response);
      NETSTOR_ASSERT(check(response) || response.maxh2cdata >= kMaxh2cdataMin);
      break;
    }
    case PduType::h2c_term_req:
    case PduType::c2h_term_req: {
      const TermReq request = decode_term_req(fixed<kTermReqBytes>(pdu));
      std::array<std::byte, kTermReqBytes + kTermReqDataMax> again{};
      NETSTOR_ASSERT(encode_term_req(Direction::host_to_controller, request, pdu, again) <= again.size());
      NETSTOR_ASSERT(decode_term_req(std::span<const std::byte, 152>(again).first<kTermReqBytes>()) ==
                     request);
      break;
    }
    case PduType::capsule_cmd: {
      const Command command = decode_capsule_cmd(fixed<kCapsuleCmdBytes>(pdu));
      NETSTOR_ASSERT(decode_block_io(command).blocks <= kBlocksMax);
      NETSTOR_ASSERT(decode_get_log_page(command).bytes % 4 == 0);
      (void)command.sgl();
      break;
    }
    case PduType::capsule_resp: {
      const Completion completion = decode_capsule_resp(fixed<kCapsuleRespBytes>(pdu));
      std::array<std::byte, kCompletionBytes> again{};
      encode(completion, again);
      NETSTOR_ASSERT(decode_completion(again) == completion);
      NETSTOR_ASSERT(!to_string(completion.status).empty());
      break;
    }
    case PduType::h2c_data:
    case PduType::c2h_data: {
      const DataPdu data = decode_data(fixed<kDataBytes>(pdu));
      NETSTOR_ASSERT(check(header, data) || std::uint64_t{data.datao} + data.datal <= 0xFFFFFFFFu);
      break;
    }
    case PduType::r2t: {
      const R2t r2t = decode_r2t(fixed<kR2tBytes>(pdu));
      NETSTOR_ASSERT(check(r2t) || std::uint64_t{r2t.r2to} + r2t.r2tl <= 0xFFFFFFFFu);
      break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 + kCommonHeaderBytes) return 0;
  const PduRules rules{.header_digest = (data[0] & 1u) != 0,
                       .data_digest = (data[0] & 2u) != 0,
                       .pda = static_cast<std::uint8_t>(data[0] >> 3),
                       .data_max = 1u << 20};
  const auto direction = (data[0] & 4u) != 0 ? Direction::controller_to_host : Direction::host_to_controller;
  const auto pdu = std::as_bytes(std::span(data, size)).subspan(1);
  const CommonHeader header = decode_common_header(pdu.first<kCommonHeaderBytes>());
  std::array<std::byte, kCommonHeaderBytes> again{};
  encode(header, again);
  NETSTOR_ASSERT(std::equal(again.begin(), again.end(), pdu.begin()));
  if (const auto error = check_common_header(header, direction, rules)) {
    NETSTOR_ASSERT(error->fes == Fes::invalid_pdu_header_field && error->fei <= 4);
    return 0;
  }
  const bool digest = header.has_data() && header.data_digest();
  NETSTOR_ASSERT(header.prefix_bytes() >= header.header_and_digest_bytes());
  NETSTOR_ASSERT(header.prefix_bytes() <= kPduPrefixMax);
  NETSTOR_ASSERT(std::uint64_t{header.prefix_bytes()} + header.data_bytes() + (digest ? kDigestBytes : 0) ==
                 header.plen);
  NETSTOR_ASSERT(header.data_bytes() <= rules.data_max);
  if (pdu.size() < header.header_and_digest_bytes()) return 0;
  (void)check_header_digest(header, pdu);
  decode_body(header, pdu);
  return 0;
}
