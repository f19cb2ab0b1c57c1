// SPDX-License-Identifier: Apache-2.0
#include "transports/uring/nvme_device.h"

#include <linux/nvme_ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/base/assert.h"
#include "transports/nvme_command.h"
#include "transports/nvme_status.h"

namespace netstor::uring {
namespace {

constexpr unsigned kPiecesMax = 1024;   // IOV_MAX
constexpr std::size_t kCommandAt = 48;  // of the command in a large entry

/// The kernel says so before the command leaves it.
bool is_refusal(int error) noexcept {
  return error == EACCES || error == EPERM || error == EINVAL || error == EOPNOTSUPP || error == ENOTTY ||
         error == EFAULT || error == ENOMEM;
}

/// The controller is gone, or is being reset and took the command along.
bool is_loss(int error) noexcept {
  return error == ENODEV || error == ENXIO || error == EINTR || error == ESHUTDOWN;
}

}  // namespace

Result<std::unique_ptr<Device>> NvmeDevice::make(NvmePort& port, OpenedNamespace opened,
                                                 const VolumeOptions* options) {
  Ring* ring = &port.ring();
  if (opened.polled) {
    auto polled = port.polled_ring();
    if (!polled) {
      ::close(opened.fd);
      return std::move(polled).error();
    }
    ring = *polled;
  }
  return std::unique_ptr<Device>(
      new NvmeDevice(port, std::move(opened), *ring, options != nullptr ? *options : VolumeOptions{}));
}

NvmeDevice::NvmeDevice(NvmePort& port, OpenedNamespace opened, Ring& ring, const VolumeOptions& options)
    : port_(port),
      disk_(std::move(opened)),
      ring_(ring),
      fixed_(ring.add_file(disk_.fd)),
      takes_registered_memory_(kernel_takes_registered_memory()),
      timeout_ms_(static_cast<std::uint32_t>(std::max<std::int64_t>(
          std::chrono::ceil<std::chrono::milliseconds>(options.io_timeout).count(), 1))),
      tasks_(std::make_unique<Task[]>(options.queue_depth)) {
  disk_.limits.depth = options.queue_depth;
  for (unsigned i = 0; i < disk_.limits.depth; ++i) {
    Task& task = tasks_[i];
    task.device = this;
    task.completed = [](Request& request, std::int32_t answer, std::uint32_t) noexcept {
      auto& finished = static_cast<Task&>(request);
      finished.device->done(finished, answer);
    };
    task.next = std::exchange(free_, &task);
  }
}

NvmeDevice::~NvmeDevice() { NETSTOR_ASSERT(active_ == 0 && disk_.fd < 0); }

Submit NvmeDevice::submit(DeviceOp& op) {
  OpResult early = nvme::check(op, disk_.limits);
  if (early.ok && op.piece_count > kPiecesMax) early = OpResult::failure(ErrorKind::invalid_argument);
  if (early.ok && lost_) early = why_;
  if (!early.ok || (op.verb == DeviceVerb::flush && !disk_.limits.volatile_cache)) {
    port_.finish(op, early);
    return Submit::accepted;
  }
  if (free_ == nullptr) return Submit::full;
  Task& task = *std::exchange(free_, free_->next);
  ++active_;
  if (disk_.polled) port_.polled_begins();
  task.op = &op;
  execute(task);
  return Submit::accepted;
}

void NvmeDevice::execute(Task& task) noexcept {
  const DeviceOp& op = *task.op;
  const std::uint32_t block = disk_.limits.block_bytes;
  const nvme::Command command = nvme::command_of(op, disk_.nsid, block);
  nvme_uring_cmd passed{};
  passed.opcode = command.opcode();
  passed.nsid = disk_.nsid;
  passed.cdw10 = command.cdw(10);
  passed.cdw11 = command.cdw(11);
  passed.cdw12 = command.cdw(12);
  passed.cdw13 = command.cdw(13);
  passed.timeout_ms = timeout_ms_;

  io_uring_sqe& sqe = ring_.prepare(&task, IORING_OP_URING_CMD, disk_.fd, fixed_, nullptr, 0);
  sqe.cmd_op = NVME_URING_CMD_IO;
  const auto carry = [&](const void* address, std::size_t length) {
    passed.addr = reinterpret_cast<std::uintptr_t>(address);
    passed.data_len = static_cast<std::uint32_t>(length);
  };
  if (op.verb == DeviceVerb::deallocate) {
    nvme::encode_range(op, block, task.range);
    carry(task.range.data(), task.range.size());
  } else if (op.piece_count > 1) {
    sqe.cmd_op = NVME_URING_CMD_IO_VEC;
    carry(op.pieces, op.piece_count);
  } else if (op.piece_count == 1) {
    const iovec& piece = *op.pieces;
    carry(piece.iov_base, piece.iov_len);
    const int memory = takes_registered_memory_ ? ring_.find_memory(piece.iov_base, piece.iov_len) : -1;
    if (memory >= 0) {
      sqe.uring_cmd_flags = IORING_URING_CMD_FIXED;
      sqe.buf_index = static_cast<std::uint16_t>(memory);
    }
  }
  std::memcpy(reinterpret_cast<std::byte*>(&sqe) + kCommandAt, &passed, sizeof passed);
}

OpResult NvmeDevice::result_of(const DeviceOp& op, std::int32_t answer) const noexcept {
  if (answer == 0) [[likely]]
    return OpResult::success(op.length);
  const bool changing = changes(op.verb);
  if (answer > 0) {
    const auto status = nvme::Status::from_raw(static_cast<std::uint16_t>(answer));
    return nvme::result_of(status, nvme::StatusDialect::nvm, changing);
  }
  const Effect effect = changing && !is_refusal(-answer) ? Effect::unknown : Effect::none;
  const OpResult result = OpResult::system(-answer, effect);
  return is_loss(-answer) ? result.as_lost_path() : result;
}

void NvmeDevice::done(Task& task, std::int32_t answer) noexcept {
  DeviceOp& op = *std::exchange(task.op, nullptr);
  task.next = std::exchange(free_, &task);
  if (disk_.polled) port_.polled_ends();
  const bool last = --active_ == 0 && closed_ != nullptr;
  op.result = result_of(op, answer);
  // Before the operation: whoever hears that the path is lost may send it again at once.
  if (!op.result.ok && op.result.kind == ErrorKind::disconnected && !lost_) {
    lost_ = true;
    why_ = op.result;
    why_.effect = Effect::none;
    if (observer_ != nullptr) observer_->device_lost(why_);
  }
  op.complete(op);
  if (last) end_close();
}

void NvmeDevice::close(Op& closed) {
  closed_ = &closed;
  if (active_ == 0) end_close();
}

void NvmeDevice::end_close() noexcept {
  ring_.remove_file(fixed_);
  ::close(std::exchange(disk_.fd, -1));
  port_.finish(*closed_, OpResult::success());
}

}  // namespace netstor::uring
