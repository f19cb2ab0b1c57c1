// SPDX-License-Identifier: Apache-2.0
// See pieces.h.

#include "server/store/pieces.h"

#include <cstring>

namespace netstor::store {

bool PieceCursor::equals(const std::byte* other, std::size_t length) noexcept {
  while (length > 0) {
    const auto bytes = next(length);
    if (bytes.empty() || std::memcmp(bytes.data(), other, bytes.size()) != 0) return false;
    other += bytes.size();
    length -= bytes.size();
  }
  return true;
}

void PieceCursor::copy_from(const std::byte* from, std::size_t length) noexcept {
  while (length > 0) {
    const auto bytes = next(length);
    if (bytes.empty()) return;
    std::memcpy(bytes.data(), from, bytes.size());
    from += bytes.size();
    length -= bytes.size();
  }
}

void PieceCursor::copy_to(std::byte* to, std::size_t length) noexcept {
  while (length > 0) {
    const auto bytes = next(length);
    if (bytes.empty()) return;
    std::memcpy(to, bytes.data(), bytes.size());
    to += bytes.size();
    length -= bytes.size();
  }
}

namespace {
std::uint64_t length_max(DeviceVerb verb, const StoreLimits& limits) noexcept {
  switch (verb) {
    case DeviceVerb::write_zeroes:
    case DeviceVerb::deallocate:
    case DeviceVerb::verify:
      return limits.zero_bytes_max;
    case DeviceVerb::compare_and_write:
      return limits.compare_and_write_bytes_max;
    default:
      return limits.transfer_bytes_max;
  }
}

}  // namespace

std::optional<OpResult> refusal(const StoreOp& op, const StoreLimits& limits) noexcept {
  if (!can(op.verb, limits)) return OpResult::failure(ErrorKind::unsupported);
  if (op.verb == DeviceVerb::flush) return std::nullopt;
  const std::uint64_t unit = limits.block_bytes;
  if (op.length == 0 || op.length % unit != 0 || op.offset % unit != 0 ||
      op.length > length_max(op.verb, limits)) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  if (op.offset > limits.size_bytes || op.length > limits.size_bytes - op.offset) {
    return OpResult::failure(ErrorKind::out_of_range);
  }
  if (has_payload(op.verb) && total_bytes(op.pieces, op.piece_count) != op.length) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  if (op.verb == DeviceVerb::compare_and_write && total_bytes(op.expected, op.expected_count) != op.length) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  return std::nullopt;
}

}  // namespace netstor::store
