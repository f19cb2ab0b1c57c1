// SPDX-License-Identifier: Apache-2.0
//
// The parts of NVMe/TCP PDUs that are not on the way of every command: header checks, connection
// set-up and termination, names. Each check names the field by its byte offset, because that is what
// the TermReq will carry.

#include "lib/wire/fabrics/tcp_pdu.h"

#include <algorithm>

namespace netstor::nvme::tcp {

namespace {

constexpr std::uint32_t kOffsetType = 0;
constexpr std::uint32_t kOffsetFlags = 1;
constexpr std::uint32_t kOffsetHlen = 2;
constexpr std::uint32_t kOffsetPdo = 3;
constexpr std::uint32_t kOffsetPlen = 4;
constexpr std::uint32_t kOffsetPfv = 8;
constexpr std::uint32_t kOffsetPda = 10;
constexpr std::uint32_t kOffsetMaxh2cdata = 12;
constexpr std::uint32_t kOffsetRangeStart = 12;
constexpr std::uint32_t kOffsetRangeLength = 16;

constexpr PduError wrong_field(std::uint32_t offset) {
  return {.fes = Fes::invalid_pdu_header_field, .fei = offset};
}

// What a type's header must look like.
struct Shape {
  Direction direction{};
  std::uint8_t hlen = 0;
  bool digests = false;  // header digest applies, once agreed on
  bool may_have_data = false;
  bool must_have_data = false;
};

std::optional<Shape> shape_of(PduType type) {
  constexpr Direction kH2c = Direction::host_to_controller;
  constexpr Direction kC2h = Direction::controller_to_host;
  switch (type) {
    case PduType::ic_req:
      return Shape{kH2c, kIcBytes, false, false, false};
    case PduType::ic_resp:
      return Shape{kC2h, kIcBytes, false, false, false};
    case PduType::h2c_term_req:
      return Shape{kH2c, kTermReqBytes, false, true, false};
    case PduType::c2h_term_req:
      return Shape{kC2h, kTermReqBytes, false, true, false};
    case PduType::capsule_cmd:
      return Shape{kH2c, kCapsuleCmdBytes, true, true, false};
    case PduType::capsule_resp:
      return Shape{kC2h, kCapsuleRespBytes, true, false, false};
    case PduType::h2c_data:
      return Shape{kH2c, kDataBytes, true, true, true};
    case PduType::c2h_data:
      return Shape{kC2h, kDataBytes, true, true, true};
    case PduType::r2t:
      return Shape{kC2h, kR2tBytes, true, false, false};
  }
  return std::nullopt;
}

// Flags that a type does not define are reserved, and a receiver ignores them.
bool flags_agree(const CommonHeader& header, const Shape& shape, const PduRules& rules) {
  if (!shape.digests) {
    return (header.flags & (kFlagHdgst | kFlagDdgst)) == 0;
  }
  if (header.header_digest() != rules.header_digest) {
    return false;
  }
  const bool with_data = header.plen > header.header_and_digest_bytes();
  if (shape.may_have_data && with_data && header.data_digest() != rules.data_digest) {
    return false;
  }
  return header.type != PduType::c2h_data || !header.success() || header.last();
}

std::uint64_t data_max_of(const CommonHeader& header, const PduRules& rules) {
  return header.type == PduType::capsule_cmd ? rules.in_capsule_data_max : rules.data_max;
}

std::optional<PduError> check_data_extent(const CommonHeader& header, const PduRules& rules) {
  const std::uint32_t unit = (std::uint32_t{rules.pda} + 1) * 4;
  if (header.pdo < header.header_and_digest_bytes() || header.pdo % unit != 0 || header.pdo > kPduPrefixMax ||
      header.pdo >= header.plen) {
    return wrong_field(kOffsetPdo);
  }
  const std::uint64_t after_prefix = header.plen - std::uint64_t{header.pdo};
  const std::uint64_t digest = header.data_digest() ? kDigestBytes : 0;
  if (after_prefix <= digest || after_prefix - digest > data_max_of(header, rules)) {
    return wrong_field(kOffsetPlen);
  }
  return std::nullopt;
}

}  // namespace

std::optional<PduError> check_common_header(const CommonHeader& header, Direction direction,
                                            const PduRules& rules) {
  const std::optional<Shape> shape = shape_of(header.type);
  if (!shape || shape->direction != direction) {
    return wrong_field(kOffsetType);
  }
  if (header.hlen != shape->hlen) {
    return wrong_field(kOffsetHlen);
  }
  if (!flags_agree(header, *shape, rules)) {
    return wrong_field(kOffsetFlags);
  }
  const std::uint32_t bare = header.header_and_digest_bytes();
  if (header.plen < bare || (header.plen == bare && shape->must_have_data) ||
      (header.plen > bare && !shape->may_have_data)) {
    return wrong_field(kOffsetPlen);
  }
  if (!shape->digests) {
    // IC PDUs have no data by the check above; a TermReq has at most a copy of a header.
    return header.plen - bare > kTermReqDataMax ? std::optional(wrong_field(kOffsetPlen)) : std::nullopt;
  }
  // Without data PDO is reserved.
  return header.plen > bare ? check_data_extent(header, rules) : std::nullopt;
}

std::optional<PduError> check(const IcReq& request) {
  if (request.pfv != 0) {
    return wrong_field(kOffsetPfv);
  }
  if (request.hpda > kPdaMax) {
    return wrong_field(kOffsetPda);
  }
  return std::nullopt;
}

std::optional<PduError> check(const IcResp& response) {
  if (response.pfv != 0) {
    return wrong_field(kOffsetPfv);
  }
  if (response.cpda > kPdaMax) {
    return wrong_field(kOffsetPda);
  }
  if (response.maxh2cdata < kMaxh2cdataMin || response.maxh2cdata % 4 != 0) {
    return wrong_field(kOffsetMaxh2cdata);
  }
  return std::nullopt;
}

std::optional<PduError> check(const CommonHeader& header, const DataPdu& data) {
  if (data.datal != header.data_bytes()) {
    return wrong_field(kOffsetRangeLength);
  }
  if (data.datal > 0xFFFFFFFFu - data.datao) {
    return wrong_field(kOffsetRangeStart);
  }
  return std::nullopt;
}

std::optional<PduError> check(const R2t& r2t) {
  if (r2t.r2tl == 0) {
    return wrong_field(kOffsetRangeLength);
  }
  if (r2t.r2tl > 0xFFFFFFFFu - r2t.r2to) {
    return wrong_field(kOffsetRangeStart);
  }
  return std::nullopt;
}

IcReq decode_ic_req(std::span<const std::byte, kIcBytes> in) {
  const std::byte* at = in.data();
  const auto digests = load_le<std::uint8_t>(at + 11);
  return {.pfv = load_le<std::uint16_t>(at + 8),
          .hpda = load_le<std::uint8_t>(at + 10),
          .header_digest = (digests & 1u) != 0,
          .data_digest = (digests & 2u) != 0,
          .maxr2t = load_le<std::uint32_t>(at + 12)};
}

IcResp decode_ic_resp(std::span<const std::byte, kIcBytes> in) {
  const std::byte* at = in.data();
  const auto digests = load_le<std::uint8_t>(at + 11);
  return {.pfv = load_le<std::uint16_t>(at + 8),
          .cpda = load_le<std::uint8_t>(at + 10),
          .header_digest = (digests & 1u) != 0,
          .data_digest = (digests & 2u) != 0,
          .maxh2cdata = load_le<std::uint32_t>(at + 12)};
}

TermReq decode_term_req(std::span<const std::byte, kTermReqBytes> in) {
  return {.error = {.fes = static_cast<Fes>(load_le<std::uint16_t>(in.data() + 8)),
                    .fei = load_le<std::uint32_t>(in.data() + 10)}};
}

namespace {

void encode_ic(PduType type, std::uint16_t pfv, std::uint8_t pda, bool header_digest, bool data_digest,
               std::uint32_t limit, std::span<std::byte, kIcBytes> out) {
  std::memset(out.data(), 0, out.size());
  encode(CommonHeader{.type = type, .hlen = kIcBytes, .plen = kIcBytes}, out.first<kCommonHeaderBytes>());
  std::byte* at = out.data();
  store_le<std::uint16_t>(at + 8, pfv);
  store_le<std::uint8_t>(at + 10, pda);
  store_le<std::uint8_t>(at + 11,
                         static_cast<std::uint8_t>((header_digest ? 1u : 0u) | (data_digest ? 2u : 0u)));
  store_le<std::uint32_t>(at + 12, limit);
}

}  // namespace

void encode(const IcReq& request, std::span<std::byte, kIcBytes> out) {
  encode_ic(PduType::ic_req, request.pfv, request.hpda, request.header_digest, request.data_digest,
            request.maxr2t, out);
}

void encode(const IcResp& response, std::span<std::byte, kIcBytes> out) {
  encode_ic(PduType::ic_resp, response.pfv, response.cpda, response.header_digest, response.data_digest,
            response.maxh2cdata, out);
}

std::size_t encode_term_req(Direction direction, const TermReq& request, std::span<const std::byte> offending,
                            std::span<std::byte, kTermReqBytes + kTermReqDataMax> out) {
  const std::size_t copied = std::min(offending.size(), kTermReqDataMax);
  const std::size_t total = kTermReqBytes + copied;
  std::memset(out.data(), 0, kTermReqBytes);
  encode(CommonHeader{.type = direction == Direction::host_to_controller ? PduType::h2c_term_req
                                                                         : PduType::c2h_term_req,
                      .hlen = kTermReqBytes,
                      .plen = static_cast<std::uint32_t>(total)},
         out.first<kCommonHeaderBytes>());
  store_le<std::uint16_t>(out.data() + 8, static_cast<std::uint16_t>(request.error.fes));
  store_le<std::uint32_t>(out.data() + 10, request.error.fei);
  if (copied != 0) {
    std::memcpy(out.data() + kTermReqBytes, offending.data(), copied);
  }
  return total;
}

std::optional<PduError> check_header_digest(const CommonHeader& header, std::span<const std::byte> bytes) {
  if (!header.header_digest()) {
    return std::nullopt;
  }
  if (bytes.size() < header.header_and_digest_bytes()) {
    return wrong_field(kOffsetHlen);
  }
  const std::uint32_t received = decode_digest(bytes.data() + header.hlen);
  if (received != crc32c(bytes.first(header.hlen))) {
    return PduError{.fes = Fes::header_digest_error, .fei = received};
  }
  return std::nullopt;
}

std::string_view to_string(PduType type) {
  switch (type) {
    case PduType::ic_req:
      return "ICReq";
    case PduType::ic_resp:
      return "ICResp";
    case PduType::h2c_term_req:
      return "H2CTermReq";
    case PduType::c2h_term_req:
      return "C2HTermReq";
    case PduType::capsule_cmd:
      return "CapsuleCmd";
    case PduType::capsule_resp:
      return "CapsuleResp";
    case PduType::h2c_data:
      return "H2CData";
    case PduType::c2h_data:
      return "C2HData";
    case PduType::r2t:
      return "R2T";
  }
  return "unknown PDU";
}

std::string_view to_string(Fes fes) {
  switch (fes) {
    case Fes::invalid_pdu_header_field:
      return "invalid PDU header field";
    case Fes::pdu_sequence_error:
      return "PDU sequence error";
    case Fes::header_digest_error:
      return "header digest error";
    case Fes::data_transfer_out_of_range:
      return "data transfer out of range";
    case Fes::limit_exceeded:
      return "R2T limit or data transfer limit exceeded";
    case Fes::unsupported_parameter:
      return "unsupported parameter";
  }
  return "unknown fatal error status";
}

}  // namespace netstor::nvme::tcp
