// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/io_request.h"

#include "lib/wire/nvme/dsm.h"
#include "transports/cause.h"
#include "transports/nvmeof/status.h"

namespace netstor::nvmeof {

namespace {

using nvme::IoOpcode;
using nvme::tcp::Transfer;

bool holds(const iovec* pieces, unsigned count, std::uint64_t length) noexcept {
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < count; ++i) sum += pieces[i].iov_len;
  return sum == length;
}

nvme::BlockIo block_io(const DeviceOp& op, const Terms& terms) noexcept {
  return {.slba = op.offset >> terms.block_shift,
          .blocks = static_cast<std::uint32_t>(op.length >> terms.block_shift),
          .fua = op.force_unit_access};
}

void carry(IoRequest& request, const iovec* pieces, unsigned count, std::uint64_t length,
           Transfer direction) noexcept {
  request.pieces = pieces;
  request.piece_count = count;
  request.length = static_cast<std::uint32_t>(length);
  request.transfer = direction;
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
  if (op.length == 0 || op.length > most || ((op.offset | op.length) & (limits.block_bytes - 1)) != 0 ||
      op.offset > ~std::uint64_t{0} - op.length) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  if ((payload && !holds(op.pieces, op.piece_count, op.length)) ||
      (op.verb == DeviceVerb::compare_and_write && !holds(op.expected, op.expected_count, op.length))) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  return OpResult::success();
}

void prepare(IoRequest& request, DeviceOp& op, const Terms& terms) noexcept {
  switch (op.verb) {
    case DeviceVerb::read:
      request.sqe = nvme::make_read(0, terms.nsid, block_io(op, terms));
      return carry(request, op.pieces, op.piece_count, op.length, Transfer::from_controller);
    case DeviceVerb::write:
      request.sqe = nvme::make_write(0, terms.nsid, block_io(op, terms));
      return carry(request, op.pieces, op.piece_count, op.length, Transfer::to_controller);
    case DeviceVerb::compare:
      request.sqe = nvme::make_compare(0, terms.nsid, block_io(op, terms));
      return carry(request, op.pieces, op.piece_count, op.length, Transfer::to_controller);
    case DeviceVerb::flush:
      request.sqe = nvme::make_flush(0, terms.nsid);
      break;
    case DeviceVerb::write_zeroes:
      request.sqe = nvme::make_write_zeroes(0, terms.nsid, block_io(op, terms));
      break;
    case DeviceVerb::verify:
      request.sqe = nvme::make_verify(0, terms.nsid, block_io(op, terms));
      break;
    case DeviceVerb::deallocate: {
      const nvme::BlockIo io = block_io(op, terms);
      nvme::encode(nvme::DsmRange{.blocks = io.blocks, .slba = io.slba}, request.range);
      request.range_piece = {.iov_base = request.range.data(), .iov_len = request.range.size()};
      request.sqe = nvme::make_dataset_management(0, terms.nsid, {.ranges = 1, .deallocate = true});
      return carry(request, &request.range_piece, 1, request.range.size(), Transfer::to_controller);
    }
    case DeviceVerb::compare_and_write:
      break;  // prepare_pair
  }
  carry(request, nullptr, 0, 0, Transfer::none);
}

void prepare_pair(IoRequest& compare, IoRequest& write, DeviceOp& op, const Terms& terms) noexcept {
  const nvme::BlockIo io = block_io(op, terms);
  compare.sqe = nvme::make_compare(0, terms.nsid, io);
  carry(compare, op.expected, op.expected_count, op.length, Transfer::to_controller);
  write.sqe = nvme::make_write(0, terms.nsid, io);
  carry(write, op.pieces, op.piece_count, op.length, Transfer::to_controller);
  compare.partner = &write;
  write.partner = &compare;
}

OpResult result_of(const IoRequest& request, const OpResult& lost) noexcept {
  const bool changing = changes(request.op->verb);
  const Effect effect = changing && request.sent ? Effect::unknown : Effect::none;
  switch (request.outcome) {
    case nvme::tcp::HostOutcome::answered:
      if (request.status.ok()) [[likely]]
        return OpResult::success(request.op->length);
      return result_of(request.status, nvme::StatusDialect::nvm, changing);
    case nvme::tcp::HostOutcome::corrupt:
      return OpResult::failure(ErrorKind::data_corrupt, Origin::library, cause::kDataDigest, effect);
    case nvme::tcp::HostOutcome::cancelled:
      return OpResult::failure(ErrorKind::cancelled, Origin::library, 0, effect);
    case nvme::tcp::HostOutcome::timed_out:
    case nvme::tcp::HostOutcome::lost:
      break;
  }
  OpResult result = lost;
  result.effect = effect;
  return result;
}

}  // namespace netstor::nvmeof
