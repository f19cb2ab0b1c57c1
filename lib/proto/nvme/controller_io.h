// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an I/O command asks for, in bytes, and whether it may: a pure function of the command, the namespace
// and the limits (NVM Command Set 1.0, "Submission Queue Entry" and each command's page). It is on the way
// of every I/O: read and write are decided inline, everything else in the .cc.

#include "lib/proto/nvme/controller_view.h"
#include "lib/wire/nvme/command.h"
#include "lib/wire/nvme/status.h"

namespace netstor::nvme {

enum class IoVerb : std::uint8_t { read, write, flush, write_zeroes, deallocate, compare, verify };

/// A command that may be carried out.
struct IoPlan {
  IoVerb verb = IoVerb::read;
  bool fua = false;
  bool deallocate = false;   ///< write zeroes may deallocate
  std::uint16_t ranges = 0;  ///< deallocate: entries of the range list; they are checked when they are here
  std::uint64_t offset = 0;  ///< bytes
  std::uint64_t length = 0;  ///< bytes of the namespace that the command touches
  std::uint32_t to_controller = 0;  ///< bytes of payload that the host sends
  std::uint32_t to_host = 0;        ///< bytes of payload that the host awaits
};

namespace detail {
Status plan_other(const Command& command, const NamespaceView* view, std::uint32_t transfer_max,
                  IoPlan& plan);
}

/// `view` is the namespace that the command names, null where there is none. When the answer is ok, `plan` is
/// what to do.
inline Status plan_io(const Command& command, const NamespaceView* view, std::uint32_t transfer_max,
                      IoPlan& plan) {
  const std::uint8_t opcode = command.opcode();
  if (view == nullptr || (opcode != static_cast<std::uint8_t>(IoOpcode::read) &&
                          opcode != static_cast<std::uint8_t>(IoOpcode::write))) [[unlikely]] {
    return detail::plan_other(command, view, transfer_max, plan);
  }
  const auto slba = command.get<std::uint64_t>(40);
  const std::uint32_t dw12 = command.cdw(12);
  const std::uint64_t blocks = (dw12 & 0xFFFFu) + 1;
  // Without metadata there is no protection information to insert, strip or check.
  if ((dw12 & 0x3C000000u) != 0) [[unlikely]]
    return refused(GenericStatus::invalid_field);
  if (slba >= view->blocks || blocks > view->blocks - slba) [[unlikely]]
    return refused(GenericStatus::lba_out_of_range);
  const std::uint64_t bytes = blocks << view->block_shift;
  if (bytes > transfer_max) [[unlikely]]
    return refused(GenericStatus::invalid_field);
  plan.offset = slba << view->block_shift;
  plan.length = bytes;
  plan.fua = (dw12 & (1u << 30)) != 0;
  if (opcode == static_cast<std::uint8_t>(IoOpcode::read)) {
    plan.verb = IoVerb::read;
    plan.to_host = static_cast<std::uint32_t>(bytes);
    plan.to_controller = 0;
    return {};
  }
  if (view->read_only) [[unlikely]]
    return refused(GenericStatus::namespace_write_protected);
  plan.verb = IoVerb::write;
  plan.to_controller = static_cast<std::uint32_t>(bytes);
  plan.to_host = 0;
  return {};
}

/// One entry of a deallocate's list, once it has come.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
Status check_range(std::span<const std::byte> list, std::size_t index, const NamespaceView& view,
                   ByteRange& out);

/// The two halves of compare and write: the same namespace and the same blocks, few enough to be atomic.
Status check_fused(const IoPlan& compare, const IoPlan& write, const NamespaceView& view);

}  // namespace netstor::nvme
