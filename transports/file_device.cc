// SPDX-License-Identifier: Apache-2.0
#include "transports/file_device.h"

#include "lib/base/assert.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace netstor {
namespace {

constexpr unsigned kPiecesMax = 1024;  // IOV_MAX

/// What zeroes are written from where the file system cannot make them; in .bss, and never written to.
alignas(4096) constinit std::byte zero_bytes[64 << 10] = {};

/// The part [from, from + length) of a scatter list, as many pieces as fit; answers its length in bytes.
std::uint64_t take_window(std::span<iovec> window, unsigned& count, const iovec* pieces, unsigned piece_count,
                          std::uint64_t from, std::uint64_t length) noexcept {
  std::uint64_t taken = 0;
  count = 0;
  for (unsigned i = 0; i < piece_count && count < window.size() && taken < length; ++i) {
    if (from >= pieces[i].iov_len) {
      from -= pieces[i].iov_len;
      continue;
    }
    const std::size_t bytes = std::min<std::uint64_t>(pieces[i].iov_len - from, length - taken);
    window[count++] = {static_cast<std::byte*>(pieces[i].iov_base) + from, bytes};
    taken += bytes;
    from = 0;
  }
  return taken;
}

/// Calls visit(piece bytes, offset within [0, length)) over [from, from + length) of the list.
template <class F>
void for_each_piece(const DeviceOp& op, std::uint64_t from, std::uint64_t length, F visit) {
  for (std::uint64_t at = 0; at < length;) {
    iovec part{};
    unsigned count = 0;
    take_window({&part, 1}, count, op.pieces, op.piece_count, from + at, length - at);
    visit(static_cast<std::byte*>(part.iov_base), at, part.iov_len);
    at += part.iov_len;
  }
}

}  // namespace

FileDevice::~FileDevice() {
  NETSTOR_ASSERT(active_ == 0);
  // A device whose opening failed half-way was never closed.
  if (file_.fd >= 0) ::close(file_.fd);
}

std::optional<OpResult> FileDevice::refuse(const DeviceOp& op) const noexcept {
  const DeviceLimits& limits = file_.limits;
  if (op.verb == DeviceVerb::compare_and_write) return OpResult::failure(ErrorKind::unsupported);
  if (changes(op.verb) && !limits.writable) return OpResult::failure(ErrorKind::permission_denied);
  if (op.verb == DeviceVerb::deallocate && !limits.can_deallocate)
    return OpResult::failure(ErrorKind::unsupported);
  if (op.verb == DeviceVerb::flush) return std::nullopt;
  const std::uint32_t most = has_payload(op.verb) ? limits.transfer_bytes_max : limits.zero_bytes_max;
  if (op.length == 0 || op.length > most || (op.offset | op.length) % limits.block_bytes != 0) {
    return OpResult::failure(ErrorKind::invalid_argument);
  }
  if (op.offset > limits.size_bytes || op.length > limits.size_bytes - op.offset) {
    return OpResult::failure(ErrorKind::out_of_range);
  }
  if (!has_payload(op.verb)) return std::nullopt;
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < op.piece_count; ++i) sum += op.pieces[i].iov_len;
  if (sum != op.length || op.piece_count > kPiecesMax) return OpResult::failure(ErrorKind::invalid_argument);
  return std::nullopt;
}

bool FileDevice::needs_bounce(const DeviceOp& op) const noexcept {
  if (op.verb == DeviceVerb::compare || op.verb == DeviceVerb::verify) return true;
  if (!has_payload(op.verb) || !file_.direct) return false;
  std::uintptr_t addresses = 0;
  std::size_t lengths = 0;
  for (unsigned i = 0; i < op.piece_count; ++i) {
    addresses |= reinterpret_cast<std::uintptr_t>(op.pieces[i].iov_base);
    lengths |= op.pieces[i].iov_len;
  }
  return addresses % file_.limits.memory_alignment != 0 || lengths % file_.limits.block_bytes != 0;
}

Submit FileDevice::submit(DeviceOp& op) {
  if (free_ == nullptr) return Submit::full;
  if (const auto refused = refuse(op)) {
    op.driver_words[0] = 0;
    port_.finish(op, *refused);
    return Submit::accepted;
  }
  Buffer bounce;
  if (needs_bounce(op)) {
    bounce = bounces_->take();
    if (!bounce) return Submit::full;
  }
  FileTask& task = *free_;
  free_ = task.next;
  ++active_;
  task.op = &op;
  task.done = 0;
  task.bounce = std::move(bounce);
  task.cancelled = false;
  op.driver_words[0] = reinterpret_cast<std::uintptr_t>(&task);
  next_step(task);
  return Submit::accepted;
}

void FileDevice::next_step(FileTask& task) noexcept {
  const DeviceOp& op = *task.op;
  task.step = {};
  task.step.offset = op.offset + task.done;
  task.step.length = op.length - task.done;
  switch (op.verb) {
    case DeviceVerb::read:
    case DeviceVerb::compare:
    case DeviceVerb::verify:
      next_transfer(task, FileStep::Verb::read);
      break;
    case DeviceVerb::write:
      task.step.durable = op.force_unit_access;
      next_transfer(task, FileStep::Verb::write);
      break;
    case DeviceVerb::write_zeroes:
      next_zeroing(task);
      break;
    case DeviceVerb::deallocate:
      task.step.verb = FileStep::Verb::punch;
      break;
    default:
      task.step.verb = FileStep::Verb::sync;
      break;
  }
  execute(task);
}

void FileDevice::next_transfer(FileTask& task, FileStep::Verb verb) noexcept {
  const DeviceOp& op = *task.op;
  FileStep& step = task.step;
  step.verb = verb;
  step.pieces = task.window.data();
  if (task.bounce) {
    step.length = std::min<std::uint64_t>(step.length, task.bounce.size());
    step.piece_count = 1;
    task.window[0] = {task.bounce.data(), step.length};
    if (verb == FileStep::Verb::write) {
      port_.context().metrics().copied_bytes += step.length;
      for_each_piece(op, task.done, step.length, [&](std::byte* piece, std::uint64_t at, std::size_t bytes) {
        std::memcpy(task.bounce.data() + at, piece, bytes);
      });
    }
  } else if (task.done == 0) {
    step.pieces = op.pieces;
    step.piece_count = op.piece_count;
  } else {
    step.length =
        take_window(task.window, step.piece_count, op.pieces, op.piece_count, task.done, step.length);
  }
}

void FileDevice::next_zeroing(FileTask& task) noexcept {
  FileStep& step = task.step;
  if (task.step.length == 0) {  // all is zero, and has to be durable
    step.verb = FileStep::Verb::sync;
  } else if (!zero_by_writing_) {
    step.verb = FileStep::Verb::zero;
  } else {
    step.verb = FileStep::Verb::write;
    step.durable = task.op->force_unit_access;
    step.length = std::min<std::uint64_t>(step.length, task.window.size() * sizeof zero_bytes);
    step.pieces = task.window.data();
    for (std::uint64_t at = 0; at < step.length; at += sizeof zero_bytes) {
      task.window[step.piece_count++] = {zero_bytes,
                                         std::min<std::uint64_t>(sizeof zero_bytes, step.length - at)};
    }
  }
}

void FileDevice::step_done(FileTask& task, std::int64_t answer) noexcept {
  if (answer == -EINTR || answer == -EAGAIN) return execute(task);
  if (const auto result = take_answer(task, answer)) return end(task, *result);
  if (task.cancelled) {
    const Effect effect = changes(task.op->verb) ? Effect::unknown : Effect::none;
    return end(task, OpResult::failure(ErrorKind::cancelled, Origin::library, 0, effect));
  }
  next_step(task);
}

/// The operation's result when this was its last step.
std::optional<OpResult> FileDevice::take_answer(FileTask& task, std::int64_t answer) noexcept {
  const FileStep& step = task.step;
  if (answer < 0) {
    const int error = static_cast<int>(-answer);
    if (error == EOPNOTSUPP && step.verb == FileStep::Verb::punch) return OpResult::success();  // a hint
    if (error == EOPNOTSUPP && step.verb == FileStep::Verb::zero) {
      zero_by_writing_ = true;
      return std::nullopt;
    }
    return OpResult::system(error, changes(task.op->verb) ? Effect::unknown : Effect::none);
  }
  switch (step.verb) {
    case FileStep::Verb::sync:
      return OpResult::success(task.done);
    case FileStep::Verb::punch:
      return OpResult::success(step.length);
    case FileStep::Verb::zero:
      task.done += step.length;
      if (task.op->force_unit_access) return std::nullopt;
      return OpResult::success(task.done);
    default:
      return take_bytes(task, static_cast<std::uint64_t>(answer));
  }
}

std::optional<OpResult> FileDevice::take_bytes(FileTask& task, std::uint64_t bytes) noexcept {
  const DeviceOp& op = *task.op;
  // The file became shorter than it was at open: the bytes are gone, and no reader may take that for data.
  const bool torn = file_.direct && bytes % file_.limits.block_bytes != 0;
  if (task.step.verb == FileStep::Verb::read && (bytes == 0 || torn)) {
    return OpResult::failure(ErrorKind::data_corrupt);
  }
  if (bytes == 0) return OpResult::failure(ErrorKind::device_error, Origin::library, 0, Effect::unknown);
  if (op.verb == DeviceVerb::read && task.bounce) {
    port_.context().metrics().copied_bytes += bytes;
    for_each_piece(op, task.done, bytes, [&](std::byte* piece, std::uint64_t at, std::size_t count) {
      std::memcpy(piece, task.bounce.data() + at, count);
    });
  } else if (op.verb == DeviceVerb::compare) {
    bool equal = true;
    for_each_piece(op, task.done, bytes, [&](const std::byte* piece, std::uint64_t at, std::size_t count) {
      equal = equal && std::memcmp(piece, task.bounce.data() + at, count) == 0;
    });
    if (!equal) return OpResult::failure(ErrorKind::compare_failed);
  }
  task.done += bytes;
  if (task.done < op.length) return std::nullopt;
  return OpResult::success(task.done);
}

void FileDevice::end(FileTask& task, OpResult result) noexcept {
  DeviceOp& op = *std::exchange(task.op, nullptr);
  task.bounce.reset();
  task.next = std::exchange(free_, &task);
  const bool last = --active_ == 0 && closing_;
  op.driver_words[0] = 0;
  op.result = result;
  op.complete(op);
  if (last) end_close();
}

void FileDevice::cancel(DeviceOp& op) {
  auto* const task = reinterpret_cast<FileTask*>(op.driver_words[0]);
  if (task == nullptr) return;  // decided already, to be answered by the next poll
  task->cancelled = true;
  ask_cancel(*task);
}

void FileDevice::close(Op& closed) {
  closing_ = true;
  closed_ = &closed;
  if (active_ == 0) return end_close();
  for (FileTask* task : tasks_) {
    if (task->op != nullptr) cancel(*task->op);
  }
}

void FileDevice::end_close() noexcept {
  before_close();
  ::close(std::exchange(file_.fd, -1));
  port_.finish(*closed_, OpResult::success());
}

std::string FileDevice::describe() const {
  return "driver: " + std::string(driver_name()) + "\npath: " + file_.path +
         "\nkind: " + (file_.block_device ? "block device" : "file") +
         "\ndirect: " + (file_.direct ? "yes" : "no, through the page cache");
}

}  // namespace netstor
