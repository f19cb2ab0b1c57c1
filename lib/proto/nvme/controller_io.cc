// SPDX-License-Identifier: Apache-2.0
//
// I/O commands other than read and write, and the rules that need two commands or a payload.

#include "lib/proto/nvme/controller_io.h"

#include "lib/wire/nvme/dsm.h"

namespace netstor::nvme {

namespace {

Status in_range(const BlockIo& io, const NamespaceView& view) {
  if (io.prinfo != 0) return refused(GenericStatus::invalid_field);
  if (io.slba >= view.blocks || io.blocks > view.blocks - io.slba)
    return refused(GenericStatus::lba_out_of_range);
  return {};
}

bool known(IoOpcode opcode, const NamespaceView& view) {
  switch (opcode) {
    case IoOpcode::flush:
    case IoOpcode::read:
    case IoOpcode::write:
      return true;
    case IoOpcode::compare:
      return view.can_compare;
    case IoOpcode::write_zeroes:
      return view.can_write_zeroes;
    case IoOpcode::dataset_management:
      return true;  // hints: fine to ignore
    case IoOpcode::verify:
      return view.can_verify;
    default:
      return false;
  }
}

IoPlan block_plan(IoVerb verb, const BlockIo& io, const NamespaceView& view) {
  return {.verb = verb,
          .fua = io.fua,
          .offset = io.slba << view.block_shift,
          .length = std::uint64_t{io.blocks} << view.block_shift};
}

Status plan_flush(const Command& command, IoPlan& plan) {
  static_cast<void>(command);
  plan = {.verb = IoVerb::flush};
  return {};
}

Status plan_compare(const Command& command, const NamespaceView& view, std::uint32_t transfer_max,
                    IoPlan& plan) {
  const BlockIo io = decode_block_io(command);
  if (const Status status = in_range(io, view); !status.ok()) return status;
  plan = block_plan(IoVerb::compare, io, view);
  if (plan.length > transfer_max) return refused(GenericStatus::invalid_field);
  plan.to_controller = static_cast<std::uint32_t>(plan.length);
  return {};
}

Status plan_zeroes(const Command& command, const NamespaceView& view, IoPlan& plan) {
  const BlockIo io = decode_block_io(command);
  if (const Status status = in_range(io, view); !status.ok()) return status;
  if (io.blocks > view.zero_blocks_max) return refused(NvmStatus::command_size_limit_exceeded);
  if (view.read_only) return refused(GenericStatus::namespace_write_protected);
  plan = block_plan(IoVerb::write_zeroes, io, view);
  plan.deallocate = io.deallocate;
  return {};
}

Status plan_verify(const Command& command, const NamespaceView& view, IoPlan& plan) {
  const BlockIo io = decode_block_io(command);
  if (const Status status = in_range(io, view); !status.ok()) return status;
  if (io.blocks > view.zero_blocks_max) return refused(NvmStatus::command_size_limit_exceeded);
  plan = block_plan(IoVerb::verify, io, view);
  return {};
}

Status plan_dataset(const Command& command, const NamespaceView& view, IoPlan& plan) {
  const DatasetManagement dsm = decode_dataset_management(command);
  if (dsm.deallocate && view.read_only) return refused(GenericStatus::namespace_write_protected);
  // Hosts in the field send the whole page that they keep their list in: all of it comes, the ranges that
  // are named count.
  const auto needed = static_cast<std::uint32_t>(dsm.ranges * kDsmRangeBytes);
  const std::uint32_t length = command.sgl().length;
  if (length < needed || length > kDsmRangesMax * kDsmRangeBytes) {
    return refused(GenericStatus::data_sgl_length_invalid);
  }
  plan = {.verb = IoVerb::deallocate,
          .deallocate = dsm.deallocate && view.can_deallocate,
          .ranges = dsm.ranges,
          .to_controller = length};
  return {};
}

}  // namespace

Status detail::plan_other(const Command& command, const NamespaceView* view, std::uint32_t transfer_max,
                          IoPlan& plan) {
  const IoOpcode opcode = command.io_opcode();
  if (view == nullptr) {
    // Flush alone may name all namespaces (VWC bits 2:1 of Identify Controller).
    if (opcode == IoOpcode::flush && command.nsid() == kNsidAll) return plan_flush(command, plan);
    const NamespaceView most{.can_write_zeroes = true, .can_compare = true, .can_verify = true};
    return known(opcode, most) ? refused(GenericStatus::invalid_namespace_or_format)
                               : refused(GenericStatus::invalid_opcode);
  }
  if (!known(opcode, *view)) return refused(GenericStatus::invalid_opcode);
  switch (opcode) {
    case IoOpcode::flush:
      return plan_flush(command, plan);
    case IoOpcode::compare:
      return plan_compare(command, *view, transfer_max, plan);
    case IoOpcode::write_zeroes:
      return plan_zeroes(command, *view, plan);
    case IoOpcode::verify:
      return plan_verify(command, *view, plan);
    case IoOpcode::dataset_management:
      return plan_dataset(command, *view, plan);
    default:
      break;
  }
  return refused(GenericStatus::invalid_opcode);
}

Status check_range(std::span<const std::byte> list, std::size_t index, const NamespaceView& view,
                   ByteRange& out) {
  DsmRange range;
  if (!read_dsm_range(list, index, range)) return refused(GenericStatus::invalid_field);
  if (range.slba > view.blocks || range.blocks > view.blocks - range.slba) {
    return refused(GenericStatus::lba_out_of_range);
  }
  out = {.offset = range.slba << view.block_shift, .length = std::uint64_t{range.blocks} << view.block_shift};
  return {};
}

Status check_fused(const IoPlan& compare, const IoPlan& write, const NamespaceView& view) {
  if (compare.offset != write.offset || compare.length != write.length)
    return refused(GenericStatus::invalid_field);
  if (view.fused_blocks_max == 0) return refused(GenericStatus::invalid_field);
  if (write.length > std::uint64_t{view.fused_blocks_max} << view.block_shift) {
    return refused(GenericStatus::atomic_write_unit_exceeded);
  }
  return {};
}

}  // namespace netstor::nvme
