// SPDX-License-Identifier: Apache-2.0
//
// NVMe/TCP protocol data units (NVMe TCP Transport 1.0, "PDU Definitions"): headers to bytes and back,
// digests, padding, and the checks that a header must pass before a single further byte is believed.
// What a PDU means in the life of a connection (which may come when) is in lib/proto/nvme.
//
// Sending: an encoder writes everything that lies before the data (header, header digest, padding) into
// kPduPrefixMax bytes of the caller's and answers a PduLayout; the caller then sends the data itself and,
// when layout.data_digest says so, four bytes of CRC32C of it.
// Receiving: read kCommonHeaderBytes, check_common_header(), read up to the header's prefix_bytes(), check
// the header digest, decode; then the data.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"
#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/completion.h"

namespace netstor::nvme::tcp {

inline constexpr std::uint16_t kDiscoveryPort = 8009;
inline constexpr std::uint16_t kIanaPort = 4420;

inline constexpr std::size_t kCommonHeaderBytes = 8;
inline constexpr std::size_t kIcBytes = 128;         // ICReq and ICResp, header and PDU
inline constexpr std::size_t kCapsuleCmdBytes = 72;  // header lengths of the others
inline constexpr std::size_t kCapsuleRespBytes = 24;
inline constexpr std::size_t kDataBytes = 24;  // H2CData and C2HData
inline constexpr std::size_t kR2tBytes = 24;
inline constexpr std::size_t kTermReqBytes = 24;
inline constexpr std::size_t kTermReqDataMax = 128;
inline constexpr std::size_t kDigestBytes = 4;
// Header, digest and padding, sent or received, never exceed this: a CapsuleCmd with its header digest is 76
// bytes, and the worst alignment for 76 is 72.
inline constexpr std::size_t kPduPrefixMax = 144;
inline constexpr std::uint32_t kPduDataMax = 0xFFFFFF00u;  // what PLEN has room for
inline constexpr std::uint8_t kPdaMax = 31;                // HPDA and CPDA: zero's based dwords
inline constexpr std::uint32_t kMaxh2cdataMin = 4096;

enum class PduType : std::uint8_t {
  ic_req = 0x00,
  ic_resp = 0x01,
  h2c_term_req = 0x02,
  c2h_term_req = 0x03,
  capsule_cmd = 0x04,
  capsule_resp = 0x05,
  h2c_data = 0x06,
  c2h_data = 0x07,
  r2t = 0x09,
};

inline constexpr std::uint8_t kFlagHdgst = 0x01;    // HDGSTF
inline constexpr std::uint8_t kFlagDdgst = 0x02;    // DDGSTF
inline constexpr std::uint8_t kFlagLast = 0x04;     // LAST_PDU of the data of this command (or R2T)
inline constexpr std::uint8_t kFlagSuccess = 0x08;  // C2HData: no response capsule will follow

enum class Direction : std::uint8_t { host_to_controller, controller_to_host };

struct CommonHeader {
  PduType type{};
  std::uint8_t flags = 0;
  std::uint8_t hlen = 0;
  std::uint8_t pdo = 0;
  std::uint32_t plen = 0;

  [[nodiscard]] constexpr bool header_digest() const { return (flags & kFlagHdgst) != 0; }
  [[nodiscard]] constexpr bool data_digest() const { return (flags & kFlagDdgst) != 0; }
  [[nodiscard]] constexpr bool last() const { return (flags & kFlagLast) != 0; }
  [[nodiscard]] constexpr bool success() const { return (flags & kFlagSuccess) != 0; }

  // The following three hold for a header that passed check_common_header().
  [[nodiscard]] constexpr std::uint32_t header_and_digest_bytes() const {
    return hlen + (header_digest() ? std::uint32_t{kDigestBytes} : 0u);
  }
  [[nodiscard]] constexpr bool has_data() const { return plen > header_and_digest_bytes(); }
  // Everything before the data; all of the PDU when there is none.
  [[nodiscard]] constexpr std::uint32_t prefix_bytes() const {
    const bool padded = has_data() && type != PduType::h2c_term_req && type != PduType::c2h_term_req;
    return padded ? pdo : header_and_digest_bytes();
  }
  [[nodiscard]] constexpr std::uint32_t data_bytes() const {
    return plen - prefix_bytes() - (has_data() && data_digest() ? std::uint32_t{kDigestBytes} : 0u);
  }

  friend constexpr bool operator==(const CommonHeader&, const CommonHeader&) = default;
};

// Fatal Error Status of a TermReq. 5 has two names, one for each direction.
enum class Fes : std::uint16_t {
  invalid_pdu_header_field = 1,
  pdu_sequence_error = 2,
  header_digest_error = 3,
  data_transfer_out_of_range = 4,
  limit_exceeded = 5,  // to the controller: R2T limit exceeded; to the host: data transfer limit exceeded
  unsupported_parameter = 6,
};

// Why a PDU ends its connection: what the TermReq will say. For an invalid header field `fei` is the
// field's byte offset in the PDU header, for a header digest error it is the digest that was received.
struct PduError {
  Fes fes{};
  std::uint32_t fei = 0;

  friend constexpr bool operator==(const PduError&, const PduError&) = default;
};

// What the two ends agreed on, and what this end accepts.
struct PduRules {
  bool header_digest = false;
  bool data_digest = false;
  std::uint8_t pda = 0;  // of the data we receive: the host's HPDA, the controller's CPDA
  std::uint32_t in_capsule_data_max = 8192;
  std::uint32_t data_max = 0xFFFFFFFFu;  // of one H2CData (MAXH2CDATA) or C2HData
};

// What an encoder was told about digests and alignment of the PDUs that this end sends.
struct PduFormat {
  bool header_digest = false;
  bool data_digest = false;
  std::uint8_t pda = 0;  // of the data we send: the controller's CPDA, the host's HPDA
};

struct PduLayout {
  std::uint32_t prefix_bytes = 0;  // written by the encoder
  std::uint32_t data_bytes = 0;    // to be sent next by the caller
  bool data_digest = false;        // then followed by kDigestBytes of encode_digest(crc32c(data))
  std::uint32_t plen = 0;

  friend constexpr bool operator==(const PduLayout&, const PduLayout&) = default;
};

struct IcReq {
  std::uint16_t pfv = 0;
  std::uint8_t hpda = 0;
  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t maxr2t = 0;  // zero's based

  friend constexpr bool operator==(const IcReq&, const IcReq&) = default;
};

struct IcResp {
  std::uint16_t pfv = 0;
  std::uint8_t cpda = 0;
  bool header_digest = false;
  bool data_digest = false;
  std::uint32_t maxh2cdata = kMaxh2cdataMin;  // bytes

  friend constexpr bool operator==(const IcResp&, const IcResp&) = default;
};

struct TermReq {
  PduError error{};

  friend constexpr bool operator==(const TermReq&, const TermReq&) = default;
};

// H2CData (with the tag of the R2T that it answers) and C2HData (no tag).
struct DataPdu {
  std::uint16_t cccid = 0;
  std::uint16_t ttag = 0;
  std::uint32_t datao = 0;
  std::uint32_t datal = 0;

  friend constexpr bool operator==(const DataPdu&, const DataPdu&) = default;
};

struct R2t {
  std::uint16_t cccid = 0;
  std::uint16_t ttag = 0;
  std::uint32_t r2to = 0;
  std::uint32_t r2tl = 0;

  friend constexpr bool operator==(const R2t&, const R2t&) = default;
};

[[nodiscard]] inline CommonHeader decode_common_header(std::span<const std::byte, kCommonHeaderBytes> in) {
  const auto raw = load_le<std::uint64_t>(in.data());
  return {.type = static_cast<PduType>(raw & 0xFFu),
          .flags = static_cast<std::uint8_t>((raw >> 8) & 0xFFu),
          .hlen = static_cast<std::uint8_t>((raw >> 16) & 0xFFu),
          .pdo = static_cast<std::uint8_t>((raw >> 24) & 0xFFu),
          .plen = static_cast<std::uint32_t>(raw >> 32)};
}

inline void encode(const CommonHeader& header, std::span<std::byte, kCommonHeaderBytes> out) {
  store_le<std::uint64_t>(out.data(),
                          static_cast<std::uint64_t>(header.type) | (std::uint64_t{header.flags} << 8) |
                              (std::uint64_t{header.hlen} << 16) | (std::uint64_t{header.pdo} << 24) |
                              (std::uint64_t{header.plen} << 32));
}

// Everything that can be known from the first eight bytes: the type and its direction, flags against the
// digests agreed on, HLEN, PDO and its alignment, PLEN and its bounds. Nothing when all is well.
[[nodiscard]] std::optional<PduError> check_common_header(const CommonHeader& header, Direction direction,
                                                          const PduRules& rules);

// Values of a body that the format itself rules out. The header was checked before.
[[nodiscard]] std::optional<PduError> check(const IcReq& request);
[[nodiscard]] std::optional<PduError> check(const IcResp& response);
// DATAL is what PLEN leaves for the data, and the range does not wrap.
[[nodiscard]] std::optional<PduError> check(const CommonHeader& header, const DataPdu& data);
[[nodiscard]] std::optional<PduError> check(const R2t& r2t);

[[nodiscard]] IcReq decode_ic_req(std::span<const std::byte, kIcBytes> in);
[[nodiscard]] IcResp decode_ic_resp(std::span<const std::byte, kIcBytes> in);
[[nodiscard]] TermReq decode_term_req(std::span<const std::byte, kTermReqBytes> in);

[[nodiscard]] inline Command decode_capsule_cmd(std::span<const std::byte, kCapsuleCmdBytes> in) {
  return decode_command(in.subspan<kCommonHeaderBytes, kCommandBytes>());
}
[[nodiscard]] inline Completion decode_capsule_resp(std::span<const std::byte, kCapsuleRespBytes> in) {
  return decode_completion(in.subspan<kCommonHeaderBytes, kCompletionBytes>());
}
[[nodiscard]] inline DataPdu decode_data(std::span<const std::byte, kDataBytes> in) {
  const std::byte* at = in.data();
  return {.cccid = load_le<std::uint16_t>(at + 8),
          .ttag = load_le<std::uint16_t>(at + 10),
          .datao = load_le<std::uint32_t>(at + 12),
          .datal = load_le<std::uint32_t>(at + 16)};
}
[[nodiscard]] inline R2t decode_r2t(std::span<const std::byte, kR2tBytes> in) {
  const std::byte* at = in.data();
  return {.cccid = load_le<std::uint16_t>(at + 8),
          .ttag = load_le<std::uint16_t>(at + 10),
          .r2to = load_le<std::uint32_t>(at + 12),
          .r2tl = load_le<std::uint32_t>(at + 16)};
}

void encode(const IcReq& request, std::span<std::byte, kIcBytes> out);
void encode(const IcResp& response, std::span<std::byte, kIcBytes> out);

// A TermReq carries the header of the PDU that was wrong, as far as it was read: at most kTermReqDataMax
// bytes, the rest of `offending` is left out. Answers the bytes written.
std::size_t encode_term_req(Direction direction, const TermReq& request, std::span<const std::byte> offending,
                            std::span<std::byte, kTermReqBytes + kTermReqDataMax> out);

// A digest on the wire: four bytes, least significant first.
inline void encode_digest(std::uint32_t crc, std::byte* at) { store_le<std::uint32_t>(at, crc); }
[[nodiscard]] inline std::uint32_t decode_digest(const std::byte* at) { return load_le<std::uint32_t>(at); }

// `bytes` starts at the PDU header and holds at least header_and_digest_bytes().
[[nodiscard]] std::optional<PduError> check_header_digest(const CommonHeader& header,
                                                          std::span<const std::byte> bytes);

namespace detail {

// Header, header digest and padding of a PDU of `hlen` with `data` bytes. Header bytes 8 and on are
// written by the caller before finish_prefix() sums them up.
[[nodiscard]] constexpr PduLayout layout(std::uint32_t hlen, std::uint32_t data, const PduFormat& format) {
  NETSTOR_ASSERT(format.pda <= kPdaMax && data <= kPduDataMax);
  PduLayout layout{.prefix_bytes = hlen + (format.header_digest ? std::uint32_t{kDigestBytes} : 0u),
                   .data_bytes = data};
  if (data != 0) {
    const std::uint32_t unit = (std::uint32_t{format.pda} + 1) * 4;
    layout.prefix_bytes = (layout.prefix_bytes + unit - 1) / unit * unit;
    layout.data_digest = format.data_digest;
  }
  layout.plen = layout.prefix_bytes + data + (layout.data_digest ? std::uint32_t{kDigestBytes} : 0u);
  return layout;
}

inline PduLayout begin(PduType type, std::uint8_t flags, std::uint8_t hlen, std::uint32_t data,
                       const PduFormat& format, std::span<std::byte, kPduPrefixMax> out) {
  const PduLayout result = layout(hlen, data, format);
  const CommonHeader header{
      .type = type,
      .flags = static_cast<std::uint8_t>(flags | (format.header_digest ? kFlagHdgst : 0u) |
                                         (result.data_digest ? kFlagDdgst : 0u)),
      .hlen = hlen,
      .pdo = static_cast<std::uint8_t>(data != 0 ? result.prefix_bytes : 0u),
      .plen = result.plen};
  encode(header, out.first<kCommonHeaderBytes>());
  return result;
}

inline void finish(std::size_t hlen, const PduFormat& format, const PduLayout& layout,
                   std::span<std::byte, kPduPrefixMax> out) {
  std::size_t end = hlen;
  if (format.header_digest) {
    encode_digest(crc32c(out.first(hlen)), out.data() + hlen);
    end += kDigestBytes;
  }
  if (layout.prefix_bytes > end) {
    std::memset(out.data() + end, 0, layout.prefix_bytes - end);
  }
}

}  // namespace detail

inline PduLayout encode_capsule_cmd(const Command& command, std::uint32_t in_capsule_bytes,
                                    const PduFormat& format, std::span<std::byte, kPduPrefixMax> out) {
  const PduLayout layout =
      detail::begin(PduType::capsule_cmd, 0, kCapsuleCmdBytes, in_capsule_bytes, format, out);
  std::memcpy(out.data() + kCommonHeaderBytes, command.bytes.data(), kCommandBytes);
  detail::finish(kCapsuleCmdBytes, format, layout, out);
  return layout;
}

inline PduLayout encode_capsule_resp(const Completion& completion, const PduFormat& format,
                                     std::span<std::byte, kPduPrefixMax> out) {
  const PduLayout layout = detail::begin(PduType::capsule_resp, 0, kCapsuleRespBytes, 0, format, out);
  encode(completion, out.subspan<kCommonHeaderBytes, kCompletionBytes>());
  detail::finish(kCapsuleRespBytes, format, layout, out);
  return layout;
}

namespace detail {

inline PduLayout encode_data(PduType type, const DataPdu& data, std::uint8_t flags, const PduFormat& format,
                             std::span<std::byte, kPduPrefixMax> out) {
  const PduLayout layout = begin(type, flags, kDataBytes, data.datal, format, out);
  std::byte* at = out.data();
  store_le<std::uint32_t>(at + 8, data.cccid | (std::uint32_t{data.ttag} << 16));
  store_le<std::uint32_t>(at + 12, data.datao);
  store_le<std::uint32_t>(at + 16, data.datal);
  store_le<std::uint32_t>(at + 20, 0);
  finish(kDataBytes, format, layout, out);
  return layout;
}

}  // namespace detail

inline PduLayout encode_h2c_data(const DataPdu& data, bool last, const PduFormat& format,
                                 std::span<std::byte, kPduPrefixMax> out) {
  return detail::encode_data(PduType::h2c_data, data, last ? kFlagLast : std::uint8_t{0}, format, out);
}

// `success` needs `last`: it stands for the completion of the command.
inline PduLayout encode_c2h_data(const DataPdu& data, bool last, bool success, const PduFormat& format,
                                 std::span<std::byte, kPduPrefixMax> out) {
  const auto flags =
      static_cast<std::uint8_t>((last ? kFlagLast : 0u) | (last && success ? kFlagSuccess : 0u));
  return detail::encode_data(PduType::c2h_data, data, flags, format, out);
}

inline PduLayout encode_r2t(const R2t& r2t, const PduFormat& format,
                            std::span<std::byte, kPduPrefixMax> out) {
  const PduLayout layout = detail::begin(PduType::r2t, 0, kR2tBytes, 0, format, out);
  std::byte* at = out.data();
  store_le<std::uint32_t>(at + 8, r2t.cccid | (std::uint32_t{r2t.ttag} << 16));
  store_le<std::uint32_t>(at + 12, r2t.r2to);
  store_le<std::uint32_t>(at + 16, r2t.r2tl);
  store_le<std::uint32_t>(at + 20, 0);
  detail::finish(kR2tBytes, format, layout, out);
  return layout;
}

[[nodiscard]] std::string_view to_string(PduType type);
[[nodiscard]] std::string_view to_string(Fes fes);

}  // namespace netstor::nvme::tcp
