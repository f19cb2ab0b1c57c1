// SPDX-License-Identifier: Apache-2.0
#include "lib/engine/blocking.h"

namespace netstor::detail {

void BlockingThread::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BlockingThread::run(Runnable& work, Runnable& done, Loop& home) {
  bool here = false;
  {
    const std::lock_guard lock(mutex_);
    here = ended_;
    if (!here) jobs_.push_back({&work, &done, &home});
    if (!here && !thread_.joinable()) thread_ = std::thread([this] { serve(); });
  }
  if (!here) return changed_.notify_one();
  work.run(work);
  home.post(done);
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
