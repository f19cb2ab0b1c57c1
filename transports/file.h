// SPDX-License-Identifier: Apache-2.0
#pragma once
// Opening local files and block devices, and what they can do. How their reads and writes reach the kernel
// is the driver's; what a DeviceOp becomes is in transports/file_device.h.

#include <netstor/ext/device.h>

#include <string>

namespace netstor {

struct OpenedFile {
  int fd = -1;
  bool direct = false;  ///< past the page cache
  bool block_device = false;
  DeviceLimits limits;
  std::string path;
};

struct FileRequest {
  bool writable = true;
  bool create = false;  ///< a new file, sparse, `size_bytes` long
  std::uint64_t size_bytes = 0;
  bool cached = false;  ///< never past the page cache; blocks of one byte
};

/// `uri` is file:///PATH. Blocks.
Result<OpenedFile> open_file(std::string_view uri, const FileRequest& request);

}  // namespace netstor
