// SPDX-License-Identifier: Apache-2.0

#include "server/nvmf/op_status.h"

namespace netstor::nvmf {

using nvme::GenericStatus;
using nvme::MediaStatus;
using nvme::Status;

Status status_of(const OpResult& result, nvme::IoVerb verb) noexcept {
  if (result.ok) return {};
  switch (result.kind) {
    case ErrorKind::compare_failed:
      return nvme::refused(MediaStatus::compare_failure);
    case ErrorKind::out_of_range:
      return nvme::refused(GenericStatus::lba_out_of_range);
    case ErrorKind::no_space:
      return nvme::refused(GenericStatus::capacity_exceeded);
    case ErrorKind::invalid_argument:
      return nvme::refused(GenericStatus::invalid_field);
    case ErrorKind::unsupported:
      return nvme::refused(GenericStatus::invalid_opcode);
    case ErrorKind::permission_denied:
      return nvme::refused(GenericStatus::namespace_write_protected);
    // Passing troubles: the host may try again.
    case ErrorKind::exhausted:
      return GenericStatus::command_interrupted;
    case ErrorKind::cancelled:
    case ErrorKind::timed_out:
    case ErrorKind::disconnected:
      return GenericStatus::internal_error;
    default:
      break;
  }
  const bool writes = verb == nvme::IoVerb::write || verb == nvme::IoVerb::write_zeroes ||
                      verb == nvme::IoVerb::deallocate || verb == nvme::IoVerb::flush;
  return nvme::refused(writes ? MediaStatus::write_fault : MediaStatus::unrecovered_read_error);
}

}  // namespace netstor::nvmf
