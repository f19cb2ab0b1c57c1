// SPDX-License-Identifier: Apache-2.0
#include "transports/nvme_command.h"

#include <bit>

namespace netstor::nvme {

namespace {

bool holds(const iovec* pieces, unsigned count, std::uint64_t length) noexcept {
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < count; ++i) sum += pieces[i].iov_len;
  return sum == length;
}

}  // namespace

OpResult check(const DeviceOp& op, const DeviceLimits& limits) noexcept {
  if (!can(op.verb, limits)) return OpResult::failure(ErrorKind::unsupported);
  if (changes(op.verb) && !limits.writable) return OpResult::failure(ErrorKind::permission_denied);
  if (op.verb == DeviceVerb::flush) return OpResult::success();
  const bool payload = has_payload(op.verb);
  const std::uint64_t most = op.verb == DeviceVerb::compare_and_write ? limits.atomic_bytes
                             : payload                                ? limits.transfer_bytes_max
                                                                      : limits.zero_bytes_max;
  // A range that ends beyond the namespace is the controller's to refuse: it knows its size of now.
  if (op.length == 0 || op.length > most || ((op.offset | op.length) & (limits.block_bytes - 1)) != 0) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  if (op.offset > ~std::uint64_t{0} - op.length) return OpResult::failure(ErrorKind::out_of_range);
  if ((payload && !holds(op.pieces, op.piece_count, op.length)) ||
      (op.verb == DeviceVerb::compare_and_write && !holds(op.expected, op.expected_count, op.length))) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  return OpResult::success();
}

BlockIo block_io(const DeviceOp& op, std::uint32_t block_bytes) noexcept {
  const int shift = std::countr_zero(block_bytes);
  return {.slba = op.offset >> shift,
          .blocks = static_cast<std::uint32_t>(op.length >> shift),
          .fua = op.force_unit_access};
}

Command command_of(const DeviceOp& op, std::uint32_t nsid, std::uint32_t block_bytes) noexcept {
  switch (op.verb) {
    case DeviceVerb::read:
      return make_read(0, nsid, block_io(op, block_bytes));
    case DeviceVerb::write:
      return make_write(0, nsid, block_io(op, block_bytes));
    case DeviceVerb::compare:
      return make_compare(0, nsid, block_io(op, block_bytes));
    case DeviceVerb::write_zeroes:
      return make_write_zeroes(0, nsid, block_io(op, block_bytes));
    case DeviceVerb::verify:
      return make_verify(0, nsid, block_io(op, block_bytes));
    case DeviceVerb::deallocate:
      return make_dataset_management(0, nsid, {.ranges = 1, .deallocate = true});
    case DeviceVerb::flush:
    case DeviceVerb::compare_and_write:  // two commands
      break;
  }
  return make_flush(0, nsid);
}

void encode_range(const DeviceOp& op, std::uint32_t block_bytes,
                  std::span<std::byte, kDsmRangeBytes> out) noexcept {
  const BlockIo io = block_io(op, block_bytes);
  encode(DsmRange{.blocks = io.blocks, .slba = io.slba}, out);
}

}  // namespace netstor::nvme
