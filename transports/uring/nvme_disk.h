// SPDX-License-Identifier: Apache-2.0
#pragma once
// A local NVMe namespace by its generic character device: opening it, and what it and the kernel allow.

#include <netstor/ext/device.h>

#include <string>

namespace netstor::uring {

struct OpenedNamespace {
  int fd = -1;
  std::uint32_t nsid = 0;
  DeviceLimits limits;
  std::string identity;
  std::string description;  ///< "key: value" lines
  bool polled = false;      ///< asked for, and the kernel has queues for it
};

/// What only later kernels do right with passed commands. Before 6.5 they take a command without data that
/// ends while it is polled for a pointer, and crash; before 6.12 they refuse parts of registered memory.
bool kernel_polls();
bool kernel_takes_registered_memory();

/// `uri` is nvme:///dev/ngXnY[?poll=1]. Blocks.
Result<OpenedNamespace> open_namespace(std::string_view uri, bool writable);

}  // namespace netstor::uring
