// SPDX-License-Identifier: Apache-2.0
#include "lib/engine/blocking.h"

namespace netstor::detail {

BlockingThread::~BlockingThread() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BlockingThread::run(Runnable& work, Runnable& done, Loop& home) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({&work, &done, &home});
    if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
  }
  changed_.notify_one();
}

void BlockingThread::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ended_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const Job job = jobs_.front();
    jobs_.pop_front();
    lock.unlock();
    job.work->run(*job.work);
    job.home->post(*job.done);
    lock.lock();
  }
}

}  // namespace netstor::detail
