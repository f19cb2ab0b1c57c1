// SPDX-License-Identifier: Apache-2.0
//
// Cuts one direction of an NVMe/TCP connection into PDUs: header, payload, digest (NVMe TCP Transport 1.0,
// "PDU Definitions"). Both ends use it. What a PDU means is the sink's question; this file believes no
// length before lib/wire has checked it, and moves each payload byte as seldom as it can:
//
//   iovec pieces[n];
//   count = receiver.want(pieces, n, OverRead::greedy);    // where the next bytes go
//   …receive into them…
//   if (auto error = receiver.received(bytes, sink)) …     // the connection is over: send TermReq, close
//
// The pieces name the rest of the payload that is under way, in its owner's memory, and then a staging
// buffer. How far a receive may run into staging is the owner's choice, anew for each: `greedy` takes many
// small PDUs with one system call and copies their payload out; `exact` stops behind the next PDU header,
// so that the payload after it goes straight to where it belongs.
//
// A sink has
//   std::optional<PduError> on_header(const Pdu&, Placement&);   // header complete, its digest right
//   std::optional<PduError> on_pdu(const Pdu&, std::span<const std::byte> in_place, bool digest_ok);
// on_header says where the payload goes (asked only to judge the header where there is none), on_pdu comes
// when the PDU is complete. A wrong data digest fails a command, not the connection ("Data Digest"), so
// it is only told. From inside on_pdu the owner may call stop().

#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "lib/base/crc32c.h"
#include "lib/wire/fabrics/tcp_pdu.h"

namespace netstor::nvme::tcp {

enum class OverRead : std::uint8_t { exact, greedy };

// A checked header; `bytes` is the PDU header as it came (header.hlen bytes), valid during the call.
struct Pdu {
  CommonHeader header{};
  const std::byte* bytes = nullptr;

  template <std::size_t N>
  [[nodiscard]] std::span<const std::byte, N> head() const {
    return std::span<const std::byte, N>(bytes, N);
  }
};

// Where a payload goes.
struct Placement {
  enum class Kind : std::uint8_t {
    discard,
    memory,    // from `offset` on into the pieces, which stay valid, list included, until on_pdu
    in_place,  // on_pdu gets all of it as one span, valid during the call; at most in_place_max bytes
  };
  Kind kind = Kind::discard;
  const iovec* pieces = nullptr;
  unsigned piece_count = 0;
  std::uint64_t offset = 0;
};

class TcpReceiver {
 public:
  // Nothing is allocated afterwards. in_place_max: the longest payload that the sink takes in place.
  TcpReceiver(Direction direction, const PduRules& rules, std::uint32_t in_place_max = 0);

  // From the next header on.
  void set_rules(const PduRules& rules);
  [[nodiscard]] const PduRules& rules() const { return rules_; }

  // Fills `pieces` (at least 2) and answers how many it used. The next call must be received().
  [[nodiscard]] unsigned want(iovec* pieces, unsigned max, OverRead over_read);

  // `count` more bytes are where want() said. An error is for good.
  template <class Sink>
  [[nodiscard]] std::optional<PduError> received(std::size_t count, Sink& sink);

  // Parses nothing further, for good.
  void stop() { phase_ = Phase::stopped; }

  // True from on_header to on_pdu of a payload that goes to memory: its pieces are in use.
  [[nodiscard]] bool in_memory_payload() const {
    return (phase_ == Phase::payload || phase_ == Phase::digest) &&
           placement_.kind == Placement::Kind::memory;
  }
  // Payload bytes that went through staging into memory.
  [[nodiscard]] std::uint64_t copied_bytes() const { return copied_bytes_; }
  // After an error: the header that was wrong, as far as it was read, for the TermReq.
  [[nodiscard]] std::span<const std::byte> offending() const { return {held_.data(), offending_bytes_}; }

 private:
  enum class Phase : std::uint8_t { header, payload, digest, in_place, stopped };
  static constexpr std::size_t kStagingBytes = 128 * 1024;

  [[nodiscard]] std::size_t available() const { return end_ - begin_; }
  [[nodiscard]] std::size_t staging_wanted(OverRead over_read) const;
  [[nodiscard]] bool known_good(std::uint64_t raw, const CommonHeader& header) const {
    return raw == passed_[static_cast<std::size_t>(header.type) & 7u];
  }
  [[nodiscard]] std::optional<PduError> fail(const PduError& error);
  [[nodiscard]] std::optional<PduError> check_header(std::uint64_t raw);
  [[nodiscard]] std::optional<PduError> check_complete_header();
  void start_payload();
  void arrived_in_memory(std::size_t count);
  void copy_from_staging(std::size_t count);
  void hold_header();
  void compact();

  template <class Sink>
  [[nodiscard]] std::optional<PduError> header_step(Sink& sink, bool& more);
  template <class Sink>
  [[nodiscard]] std::optional<PduError> finish(Sink& sink, std::span<const std::byte> in_place,
                                               bool digest_ok);
  template <class Sink>
  [[nodiscard]] std::optional<PduError> in_place_step(Sink& sink, bool& more);

  // What the hot path touches, together.
  std::unique_ptr<std::byte[]> staging_;
  std::size_t staging_bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t remaining_ = 0;     // of the payload
  std::size_t offered_direct_ = 0;  // of the last want()
  const iovec* piece_ = nullptr;    // the rest of the placement
  std::size_t piece_used_ = 0;
  Pdu pdu_{};
  Placement placement_{};
  Phase phase_ = Phase::header;
  Direction direction_;
  Crc32c crc_{};
  std::uint64_t copied_bytes_ = 0;
  // Headers that passed check_common_header() under these rules, by type: mostly the next is the same.
  std::array<std::uint64_t, 8> passed_;
  PduRules rules_;
  std::uint32_t in_place_max_;
  std::size_t offending_bytes_ = 0;
  std::array<std::byte, kPduPrefixMax> held_;  // the header of a PDU whose end has not come yet
};

template <class Sink>
std::optional<PduError> TcpReceiver::received(std::size_t count, Sink& sink) {
  const std::size_t direct = std::min(count, offered_direct_);
  offered_direct_ = 0;
  if (direct != 0) arrived_in_memory(direct);
  end_ += count - direct;
  for (bool more = true; more;) {
    more = false;
    switch (phase_) {
      case Phase::header:
        if (auto error = header_step(sink, more)) return error;
        break;
      case Phase::payload: {
        const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(available(), remaining_));
        if (take != 0) copy_from_staging(take);
        if (remaining_ != 0) break;
        phase_ = Phase::digest;
        more = true;
        break;
      }
      case Phase::digest: {
        bool right = true;
        if (pdu_.header.data_digest()) {
          if (available() < kDigestBytes) break;
          right = placement_.kind == Placement::Kind::discard ||
                  decode_digest(staging_.get() + begin_) == crc_.value();
          begin_ += kDigestBytes;
        }
        if (auto error = finish(sink, {}, right)) return error;
        more = true;
        break;
      }
      case Phase::in_place:
        if (auto error = in_place_step(sink, more)) return error;
        break;
      case Phase::stopped:
        return std::nullopt;
    }
  }
  if (begin_ == end_) begin_ = end_ = 0;
  hold_header();
  return std::nullopt;
}

// One header, and all of the PDU when it has no data. `more` when there may be something left to do.
template <class Sink>
std::optional<PduError> TcpReceiver::header_step(Sink& sink, bool& more) {
  if (available() < kCommonHeaderBytes) return std::nullopt;
  const std::byte* const at = staging_.get() + begin_;
  const auto raw = load_le<std::uint64_t>(at);
  pdu_ = {
      .header = decode_common_header(std::span<const std::byte, kCommonHeaderBytes>(at, kCommonHeaderBytes)),
      .bytes = at};
  if (!known_good(raw, pdu_.header)) {
    if (auto error = check_header(raw)) return error;
  }
  const std::uint32_t prefix = pdu_.header.prefix_bytes();
  if (available() < prefix) return std::nullopt;
  if (pdu_.header.header_digest()) {
    if (auto error = check_complete_header()) return error;
  }
  placement_ = {};
  if (auto error = sink.on_header(static_cast<const Pdu&>(pdu_), placement_)) return fail(*error);
  if (phase_ == Phase::stopped) return std::nullopt;
  more = true;
  if (!pdu_.header.has_data()) {
    begin_ += prefix;
    return finish(sink, {}, true);
  }
  remaining_ = pdu_.header.data_bytes();
  if (placement_.kind == Placement::Kind::in_place) {
    if (remaining_ > in_place_max_) return fail({.fes = Fes::limit_exceeded, .fei = 0});
    phase_ = Phase::in_place;
    return std::nullopt;
  }
  begin_ += prefix;
  start_payload();
  return std::nullopt;
}

template <class Sink>
std::optional<PduError> TcpReceiver::in_place_step(Sink& sink, bool& more) {
  if (available() < pdu_.header.plen) return std::nullopt;
  const std::byte* const at = staging_.get() + begin_;
  pdu_.bytes = at;
  const std::span<const std::byte> payload(at + pdu_.header.prefix_bytes(), pdu_.header.data_bytes());
  const bool right =
      !pdu_.header.data_digest() || decode_digest(payload.data() + payload.size()) == crc32c(payload);
  begin_ += pdu_.header.plen;
  more = true;
  return finish(sink, payload, right);
}

template <class Sink>
std::optional<PduError> TcpReceiver::finish(Sink& sink, std::span<const std::byte> in_place, bool digest_ok) {
  phase_ = Phase::header;
  if (auto error = sink.on_pdu(static_cast<const Pdu&>(pdu_), in_place, digest_ok)) return fail(*error);
  return std::nullopt;
}

}  // namespace netstor::nvme::tcp
