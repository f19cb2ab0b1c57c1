// SPDX-License-Identifier: Apache-2.0
#pragma once
// A controller made of bytes, for tests of the initiator: takes what a HostQueue sends apart into PDUs, and
// makes the PDUs of answers. It follows no protocol of its own; each test says what comes next.

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "lib/proto/nvme/host_queue.h"

namespace netstor::nvme::tcp::test {

using ByteVector = std::vector<std::byte>;

inline ByteVector pattern(std::size_t size, unsigned seed = 1) {
  ByteVector bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((i * 7 + seed * 13 + (i >> 8)) & 0xFF);
  return bytes;
}

inline void append(ByteVector& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// A PDU as the peer got it.
struct SentPdu {
  CommonHeader header;
  ByteVector bytes;  // all of it

  std::span<const std::byte> data() const {
    return std::span(bytes).subspan(header.prefix_bytes(), header.data_bytes());
  }
  Command command() const { return decode_capsule_cmd(std::span(bytes).first<kCapsuleCmdBytes>()); }
  DataPdu data_pdu() const { return decode_data(std::span(bytes).first<kDataBytes>()); }
};

// Bytes of answers, one PDU after another.
class Answers {
 public:
  explicit Answers(PduFormat format = {}) : format_(format) {}

  Answers& ic_resp(const IcResp& response = {.maxh2cdata = 65536}) {
    std::array<std::byte, kIcBytes> raw;
    encode(response, raw);
    append(bytes, raw);
    return *this;
  }
  Answers& response(std::uint16_t cid, Status status = {}, std::uint64_t result = 0, std::uint16_t sqhd = 0) {
    prefix([&](auto out) {
      return encode_capsule_resp({.result = result, .sqhd = sqhd, .cid = cid, .status = status}, format_,
                                 out);
    });
    return *this;
  }
  Answers& data(std::uint16_t cid, std::uint32_t offset, std::span<const std::byte> payload, bool last,
                bool success) {
    const DataPdu pdu{.cccid = cid, .datao = offset, .datal = static_cast<std::uint32_t>(payload.size())};
    prefix([&](auto out) { return encode_c2h_data(pdu, last, success, format_, out); });
    append(bytes, payload);
    if (format_.data_digest) {
      std::array<std::byte, kDigestBytes> digest;
      encode_digest(crc32c(payload), digest.data());
      append(bytes, digest);
    }
    return *this;
  }
  Answers& r2t(std::uint16_t cid, std::uint16_t ttag, std::uint32_t offset, std::uint32_t length) {
    prefix([&](auto out) {
      return encode_r2t({.cccid = cid, .ttag = ttag, .r2to = offset, .r2tl = length}, format_, out);
    });
    return *this;
  }
  Answers& term_req(const PduError& error) {
    std::array<std::byte, kTermReqBytes + kTermReqDataMax> raw;
    const std::size_t size = encode_term_req(Direction::controller_to_host, {.error = error}, {}, raw);
    append(bytes, std::span(raw).first(size));
    return *this;
  }

  ByteVector bytes;

 private:
  template <class Encode>
  void prefix(Encode encode_into) {
    std::array<std::byte, kPduPrefixMax> raw;
    const PduLayout layout = encode_into(std::span<std::byte, kPduPrefixMax>(raw));
    append(bytes, std::span(raw).first(layout.prefix_bytes));
  }
  PduFormat format_;
};

// Receives `bytes` into the queue, at most `step` at a time. False once received() says that it is over.
inline bool feed(HostQueue& queue, std::span<const std::byte> bytes, std::size_t step = ~std::size_t{0}) {
  while (!bytes.empty()) {
    std::array<iovec, 64> pieces;
    const unsigned count = queue.want(pieces.data(), static_cast<unsigned>(pieces.size()));
    std::size_t left = std::min(step, bytes.size());
    std::size_t moved = 0;
    for (unsigned i = 0; i < count && left != 0; ++i) {
      const std::size_t take = std::min(pieces[i].iov_len, left);
      std::memcpy(pieces[i].iov_base, bytes.data() + moved, take);
      moved += take;
      left -= take;
    }
    bytes = bytes.subspan(moved);
    if (!queue.received(moved)) return false;
  }
  return true;
}

// The bytes of a batch, flattened.
inline ByteVector flatten(const SendBatch& batch) {
  ByteVector bytes;
  for (unsigned i = 0; i < batch.piece_count(); ++i) {
    const iovec& piece = batch.pieces()[i];
    append(bytes, {static_cast<const std::byte*>(piece.iov_base), piece.iov_len});
  }
  return bytes;
}

// Splits what the host sent into PDUs; the rest of an unfinished one stays in `bytes`.
inline std::vector<SentPdu> take_pdus(ByteVector& bytes) {
  std::vector<SentPdu> pdus;
  std::size_t at = 0;
  while (bytes.size() - at >= kCommonHeaderBytes) {
    const CommonHeader header =
        decode_common_header(std::span(bytes).subspan(at).first<kCommonHeaderBytes>());
    if (header.plen < kCommonHeaderBytes || bytes.size() - at < header.plen) break;
    const auto whole = std::span(bytes).subspan(at, header.plen);
    pdus.push_back({.header = header, .bytes = ByteVector(whole.begin(), whole.end())});
    at += header.plen;
  }
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  return pdus;
}

}  // namespace netstor::nvme::tcp::test
