// SPDX-License-Identifier: Apache-2.0
#pragma once
// One helper thread for what can only block (looking up names, opening files). Started when first needed.

#include <netstor/detail/loop.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace netstor::detail {

class BlockingThread {
 public:
  BlockingThread() = default;
  ~BlockingThread() { end(); }
  BlockingThread(const BlockingThread&) = delete;
  BlockingThread& operator=(const BlockingThread&) = delete;

  /// Runs `work` there, then posts `done` to `home`. Any thread.
  void run(Runnable& work, Runnable& done, Loop& home);
  /// Waits for what it was given; from then on run() does the work itself.
  void end() noexcept;

 private:
  struct Job {
    Runnable* work;
    Runnable* done;
    Loop* home;
  };
  void serve();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace netstor::detail
