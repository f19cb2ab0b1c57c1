// SPDX-License-Identifier: Apache-2.0
// The steps of a file device, handed to the port's threads.

#include "transports/posix/port.h"

#include <unistd.h>

namespace netstor::posix {
namespace {

class PosixDevice final : public FileDevice {
 public:
  PosixDevice(PosixPort& port, const OpenedFile& file, std::unique_ptr<BufferPool> bounces)
      : FileDevice(port, file, std::move(bounces)),
        threads_(port.threads()),
        tasks_(std::make_unique<ThreadTask[]>(file.limits.depth)) {
    for (unsigned i = 0; i < file.limits.depth; ++i) {
      tasks_[i].device = this;
      tasks_[i].fd = file.fd;
      add_task(tasks_[i]);
    }
  }

 private:
  void execute(FileTask& task) override { threads_.execute(static_cast<ThreadTask&>(task)); }
  void ask_cancel(FileTask&) override {}  // a step that a thread may have begun is not stopped
  std::string_view driver_name() const noexcept override { return "posix"; }

  FileThreads& threads_;
  std::unique_ptr<ThreadTask[]> tasks_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_posix_device(PosixPort& port, const OpenedFile& file) {
  auto bounces = FileDevice::make_bounces();
  if (!bounces) {
    ::close(file.fd);
    return std::move(bounces).error();
  }
  return std::unique_ptr<Device>(std::make_unique<PosixDevice>(port, file, *std::move(bounces)));
}

}  // namespace netstor::posix
