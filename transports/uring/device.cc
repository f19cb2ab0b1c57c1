// SPDX-License-Identifier: Apache-2.0
// The steps of a file device as submissions to the ring.

#include "transports/file_device.h"
#include "transports/uring/port.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace netstor::uring {
namespace {

class UringDevice final : public FileDevice {
 public:
  UringDevice(UringPort& port, const OpenedFile& file, std::unique_ptr<BufferPool> bounces)
      : FileDevice(port, file, std::move(bounces)),
        ring_(port.ring()),
        fixed_(ring_.add_file(file.fd)),
        requests_(std::make_unique<UringTask[]>(file.limits.depth)) {
    for (unsigned i = 0; i < file.limits.depth; ++i) {
      requests_[i].device = this;
      requests_[i].completed = [](Request& request, std::int32_t result, std::uint32_t) noexcept {
        auto& task = static_cast<UringTask&>(request);
        task.device->step_done(task, result);
      };
      add_task(requests_[i]);
    }
  }

 private:
  struct UringTask : FileTask, Request {
    UringDevice* device = nullptr;
  };

  void execute(FileTask& task) override {
    auto& request = static_cast<UringTask&>(task);
    const FileStep& step = task.step;
    switch (step.verb) {
      case FileStep::Verb::read:
        return transfer(request, IORING_OP_READ, IORING_OP_READ_FIXED, IORING_OP_READV);
      case FileStep::Verb::write:
        return transfer(request, IORING_OP_WRITE, IORING_OP_WRITE_FIXED, IORING_OP_WRITEV);
      case FileStep::Verb::sync:
        ring_.prepare(&request, IORING_OP_FSYNC, fd(), fixed_, nullptr, 0).fsync_flags =
            IORING_FSYNC_DATASYNC;
        return;
      case FileStep::Verb::zero:
        return allocate(request, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
      case FileStep::Verb::punch:
        return allocate(request, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    }
  }

  void transfer(UringTask& task, unsigned plain, unsigned fixed, unsigned vectored) noexcept {
    const FileStep& step = task.step;
    const iovec& first = *step.pieces;
    const auto length = static_cast<unsigned>(first.iov_len);
    io_uring_sqe* sqe = nullptr;
    if (step.piece_count != 1) {
      sqe = &ring_.prepare(&task, vectored, fd(), fixed_, step.pieces, step.piece_count, step.offset);
    } else if (const int memory = ring_.find_memory(first.iov_base, first.iov_len); memory >= 0) {
      sqe = &ring_.prepare(&task, fixed, fd(), fixed_, first.iov_base, length, step.offset);
      sqe->buf_index = static_cast<std::uint16_t>(memory);
    } else {
      sqe = &ring_.prepare(&task, plain, fd(), fixed_, first.iov_base, length, step.offset);
    }
    sqe->rw_flags = step.durable ? RWF_DSYNC : 0;
  }

  void allocate(UringTask& task, unsigned mode) noexcept {
    const FileStep& step = task.step;
    ring_.prepare(&task, IORING_OP_FALLOCATE, fd(), fixed_, nullptr, mode, step.offset).addr = step.length;
  }

  void ask_cancel(FileTask& task) override { ring_.cancel(static_cast<UringTask&>(task)); }
  std::string_view driver_name() const noexcept override { return "uring"; }
  void before_close() noexcept override { ring_.remove_file(fixed_); }

  Ring& ring_;
  int fixed_;
  std::unique_ptr<UringTask[]> requests_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_uring_device(UringPort& port, const OpenedFile& file) {
  auto bounces = FileDevice::make_bounces();
  if (!bounces) {
    ::close(file.fd);
    return std::move(bounces).error();
  }
  return std::unique_ptr<Device>(std::make_unique<UringDevice>(port, file, *std::move(bounces)));
}

}  // namespace netstor::uring
