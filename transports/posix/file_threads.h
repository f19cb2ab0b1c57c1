// SPDX-License-Identifier: Apache-2.0
#pragma once
// A few threads that carry out the steps of file devices, because a file has no non-blocking form.

#include "transports/file_device.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace netstor::posix {

struct ThreadTask : FileTask {
  FileDevice* device = nullptr;
  int fd = -1;
  std::int64_t answer = 0;
};

class FileThreads {
 public:
  /// `answered(user)` is called on a helper thread after an answer was laid down.
  FileThreads(void (*answered)(void* user) noexcept, void* user) : answered_(answered), user_(user) {}
  ~FileThreads() { end(); }
  FileThreads(const FileThreads&) = delete;
  FileThreads& operator=(const FileThreads&) = delete;

  /// While opening: nothing is started later.
  Result<void> start();
  void execute(ThreadTask& task) noexcept;
  /// Waits for what they do; nothing is executed later.
  void end() noexcept;

  bool has_answers() const noexcept { return answers_.load(std::memory_order_seq_cst) != nullptr; }
  /// Gives the answers to their devices.
  void deliver() noexcept;

 private:
  static constexpr unsigned kThreads = 4;
  void serve() noexcept;

  void (*answered_)(void* user) noexcept;
  void* user_;
  std::mutex mutex_;
  std::condition_variable changed_;
  FileTask* first_ = nullptr;
  FileTask** last_ = &first_;
  bool ended_ = false;
  std::atomic<FileTask*> answers_{nullptr};  // newest first
  std::vector<std::thread> threads_;
};

}  // namespace netstor::posix
