// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/io_request.h"

#include "transports/cause.h"
#include "transports/nvme_command.h"
#include "transports/nvme_status.h"

namespace netstor::nvmeof {

namespace {

using nvme::Transfer;

void carry(IoRequest& request, const iovec* pieces, unsigned count, std::uint64_t length,
           Transfer direction) noexcept {
  request.pieces = pieces;
  request.piece_count = count;
  request.length = static_cast<std::uint32_t>(length);
  request.transfer = direction;
}

}  // namespace

void prepare(IoRequest& request, DeviceOp& op, const Terms& terms) noexcept {
  request.sqe = nvme::command_of(op, terms.nsid, terms.limits.block_bytes);
  switch (op.verb) {
    case DeviceVerb::read:
      return carry(request, op.pieces, op.piece_count, op.length, Transfer::from_controller);
    case DeviceVerb::write:
    case DeviceVerb::compare:
      return carry(request, op.pieces, op.piece_count, op.length, Transfer::to_controller);
    case DeviceVerb::deallocate:
      nvme::encode_range(op, terms.limits.block_bytes, request.range);
      request.range_piece = {.iov_base = request.range.data(), .iov_len = request.range.size()};
      return carry(request, &request.range_piece, 1, request.range.size(), Transfer::to_controller);
    default:
      return carry(request, nullptr, 0, 0, Transfer::none);
  }
}

void prepare_pair(IoRequest& compare, IoRequest& write, DeviceOp& op, const Terms& terms) noexcept {
  const nvme::BlockIo io = nvme::block_io(op, terms.limits.block_bytes);
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
    case nvme::HostOutcome::answered:
      if (request.status.ok()) [[likely]]
        return OpResult::success(request.op->length);
      return result_of(request.status, nvme::StatusDialect::nvm, changing);
    case nvme::HostOutcome::corrupt:
      return OpResult::failure(ErrorKind::data_corrupt, Origin::library, cause::kDataDigest, effect);
    case nvme::HostOutcome::cancelled:
      return OpResult::failure(ErrorKind::cancelled, Origin::library, 0, effect);
    case nvme::HostOutcome::timed_out:
    case nvme::HostOutcome::lost:
      break;
  }
  OpResult result = lost;
  result.effect = effect;
  return result;
}

}  // namespace netstor::nvmeof
