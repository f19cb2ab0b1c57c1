// SPDX-License-Identifier: Apache-2.0
//
// The parts of TcpReceiver that do not depend on the sink.

#include "lib/proto/nvme/tcp_framing.h"

namespace netstor::nvme::tcp {

namespace {

// No header has this value: type FFh does not exist.
constexpr std::uint64_t kNoHeader = ~std::uint64_t{0};

}  // namespace

TcpReceiver::TcpReceiver(Direction direction, const PduRules& rules, std::uint32_t in_place_max)
    : staging_bytes_(kStagingBytes + 2 * (std::size_t{in_place_max} + kPduPrefixMax + kDigestBytes)),
      direction_(direction),
      in_place_max_(in_place_max) {
  staging_ = std::make_unique_for_overwrite<std::byte[]>(staging_bytes_);
  set_rules(rules);
}

void TcpReceiver::set_rules(const PduRules& rules) {
  rules_ = rules;
  passed_.fill(kNoHeader);
}

unsigned TcpReceiver::want(iovec* pieces, unsigned max, OverRead over_read) {
  unsigned count = 0;
  offered_direct_ = 0;
  if (phase_ == Phase::payload && placement_.kind == Placement::Kind::memory) {
    std::uint64_t left = remaining_;
    const iovec* piece = piece_;
    std::size_t used = piece_used_;
    for (; left != 0 && count + 1 < max; ++piece, used = 0) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(piece->iov_len - used, left));
      if (take == 0) continue;
      pieces[count++] = {.iov_base = static_cast<std::byte*>(piece->iov_base) + used, .iov_len = take};
      left -= take;
    }
    offered_direct_ = static_cast<std::size_t>(remaining_ - left);
    if (left != 0) return count;
  }
  compact();
  const std::size_t space = staging_bytes_ - end_;
  pieces[count++] = {.iov_base = staging_.get() + end_,
                     .iov_len = std::min(space, staging_wanted(over_read))};
  return count;
}

std::size_t TcpReceiver::staging_wanted(OverRead over_read) const {
  if (over_read == OverRead::greedy) return staging_bytes_;
  // Every PDU but the first of a connection has at least this, so that what follows is not taken along.
  const std::size_t next = kDataBytes + (rules_.header_digest ? kDigestBytes : 0);
  const std::size_t digest = pdu_.header.data_digest() ? kDigestBytes : 0;
  switch (phase_) {
    case Phase::payload:
      // A payload that nobody wants passes through staging.
      if (placement_.kind == Placement::Kind::discard)
        return static_cast<std::size_t>(remaining_) + digest + next;
      return digest + next;
    case Phase::digest:
      return digest + next - available();
    case Phase::in_place:
      return pdu_.header.plen - available();
    case Phase::header:
      break;
    case Phase::stopped:
      return staging_bytes_;
  }
  if (available() < kCommonHeaderBytes) return next - available();
  return pdu_.header.prefix_bytes() - available();
}

// What is left over is part of one header or of one PDU in place, so there is little to move, and half of
// staging has been filled since the last time.
void TcpReceiver::compact() {
  if (begin_ == 0 || end_ <= staging_bytes_ / 2) return;
  std::memmove(staging_.get(), staging_.get() + begin_, available());
  end_ -= begin_;
  begin_ = 0;
}

std::optional<PduError> TcpReceiver::fail(const PduError& error) {
  phase_ = Phase::stopped;
  // Where the header has been consumed it lies right before, or was held: pdu_ still names it.
  if (pdu_.bytes != nullptr && pdu_.bytes != held_.data()) {
    const std::size_t there = static_cast<std::size_t>(staging_.get() + end_ - pdu_.bytes);
    offending_bytes_ = std::min({there, std::size_t{pdu_.header.hlen}, held_.size()});
    std::memcpy(held_.data(), pdu_.bytes, offending_bytes_);
  } else {
    offending_bytes_ = std::min<std::size_t>(pdu_.header.hlen, held_.size());
  }
  return error;
}

std::optional<PduError> TcpReceiver::check_header(std::uint64_t raw) {
  if (auto error = check_common_header(pdu_.header, direction_, rules_)) return fail(*error);
  passed_[static_cast<std::size_t>(pdu_.header.type) & 7u] = raw;
  return std::nullopt;
}

std::optional<PduError> TcpReceiver::check_complete_header() {
  const std::span<const std::byte> bytes(pdu_.bytes, pdu_.header.header_and_digest_bytes());
  if (auto error = check_header_digest(pdu_.header, bytes)) return fail(*error);
  return std::nullopt;
}

void TcpReceiver::start_payload() {
  phase_ = Phase::payload;
  crc_ = {};
  if (placement_.kind != Placement::Kind::memory) return;
  piece_ = placement_.pieces;
  std::uint64_t offset = placement_.offset;
  while (offset != 0 && offset >= piece_->iov_len) offset -= (piece_++)->iov_len;
  piece_used_ = static_cast<std::size_t>(offset);
}

void TcpReceiver::arrived_in_memory(std::size_t count) {
  remaining_ -= count;
  while (count != 0) {
    const std::size_t take = std::min(piece_->iov_len - piece_used_, count);
    if (pdu_.header.data_digest()) {
      crc_.update(
          std::span<const std::byte>(static_cast<const std::byte*>(piece_->iov_base) + piece_used_, take));
    }
    piece_used_ += take;
    count -= take;
    if (piece_used_ == piece_->iov_len && (count != 0 || remaining_ != 0)) {
      ++piece_;
      piece_used_ = 0;
    }
  }
}

void TcpReceiver::copy_from_staging(std::size_t count) {
  const std::byte* from = staging_.get() + begin_;
  begin_ += count;
  remaining_ -= count;
  if (placement_.kind != Placement::Kind::memory) return;
  copied_bytes_ += count;
  if (pdu_.header.data_digest()) crc_.update(std::span<const std::byte>(from, count));
  while (count != 0) {
    const std::size_t take = std::min(piece_->iov_len - piece_used_, count);
    std::memcpy(static_cast<std::byte*>(piece_->iov_base) + piece_used_, from, take);
    from += take;
    piece_used_ += take;
    count -= take;
    if (piece_used_ == piece_->iov_len && (count != 0 || remaining_ != 0)) {
      ++piece_;
      piece_used_ = 0;
    }
  }
}

// A PDU that goes on after this receive keeps its header here: staging is about to be written again.
void TcpReceiver::hold_header() {
  if (phase_ != Phase::payload && phase_ != Phase::digest) return;
  if (pdu_.bytes == held_.data()) return;
  std::memcpy(held_.data(), pdu_.bytes, pdu_.header.hlen);
  pdu_.bytes = held_.data();
}

}  // namespace netstor::nvme::tcp
