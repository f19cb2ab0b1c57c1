// SPDX-License-Identifier: Apache-2.0
#include "transports/posix/file_threads.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace netstor::posix {
namespace {

std::int64_t carry_out(const ThreadTask& task) noexcept {
  const FileStep& step = task.step;
  const auto offset = static_cast<off_t>(step.offset);
  const auto length = static_cast<off_t>(step.length);
  const auto count = static_cast<int>(step.piece_count);
  std::int64_t result = 0;
  switch (step.verb) {
    case FileStep::Verb::read:
      result = ::preadv(task.fd, step.pieces, count, offset);
      break;
    case FileStep::Verb::write:
      result = ::pwritev2(task.fd, step.pieces, count, offset, step.durable ? RWF_DSYNC : 0);
      break;
    case FileStep::Verb::sync:
      result = ::fdatasync(task.fd);
      break;
    case FileStep::Verb::zero:
      result = ::fallocate(task.fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
      break;
    case FileStep::Verb::punch:
      result = ::fallocate(task.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
      break;
  }
  return result < 0 ? -errno : result;
}

}  // namespace

void FileThreads::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

Result<void> FileThreads::start() {
  if (!threads_.empty()) return {};
  try {
    for (unsigned i = 0; i < kThreads; ++i) threads_.emplace_back([this] { serve(); });
  } catch (const std::system_error& error) {
    if (threads_.empty()) return Error::system(error.code().value(), "start a thread for files");
  }
  return {};
}

void FileThreads::execute(ThreadTask& task) noexcept {
  task.next = nullptr;
  {
    const std::lock_guard lock(mutex_);
    *last_ = &task;
    last_ = &task.next;
  }
  changed_.notify_one();
}

void FileThreads::serve() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return first_ != nullptr || ended_; });
    if (first_ == nullptr) return;
    auto& task = static_cast<ThreadTask&>(*first_);
    first_ = task.next;
    if (first_ == nullptr) last_ = &first_;
    lock.unlock();
    task.answer = carry_out(task);
    task.next = answers_.load(std::memory_order_relaxed);
    while (!answers_.compare_exchange_weak(task.next, &task, std::memory_order_seq_cst)) {
    }
    answered_(user_);
    lock.lock();
  }
}

void FileThreads::deliver() noexcept {
  FileTask* newest = answers_.exchange(nullptr, std::memory_order_acquire);
  FileTask* oldest = nullptr;
  while (newest != nullptr) {
    FileTask* const next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    auto& task = static_cast<ThreadTask&>(*oldest);
    oldest = task.next;
    task.device->step_done(task, task.answer);
  }
}

}  // namespace netstor::posix
