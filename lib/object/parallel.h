// SPDX-License-Identifier: Apache-2.0
#pragma once
// Many pieces of one operation, a few at a time.

#include <netstor/task.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace netstor::object {

/// Runs `work(i)` (a Task<void>) for 0 … count - 1, at most `width` at once. The first error cancels the rest
/// and is the answer, when all of them have let go of their bytes.
template <class F>
Task<void> in_parallel(std::size_t count, std::size_t width, F work) {
  struct Shared {
    std::size_t next = 0;
    std::optional<Error> error;
    std::vector<Future<void>> workers;
  };
  struct Worker {
    static Task<void> run(Shared* shared, std::size_t count, F* work) {
      while (shared->next < count && !shared->error) {
        auto task = (*work)(shared->next++);
        Result<void> done = co_await std::move(task);
        if (done || shared->error) continue;
        shared->error.emplace(std::move(done).error());
        for (Future<void>& other : shared->workers) {
          if (other.valid() && !other.ready()) other.cancel();
        }
      }
      co_return ok();
    }
  };
  Shared shared;
  shared.workers.reserve(width);
  for (std::size_t i = 0; i < std::min(count, width) && !shared.error; ++i) {
    shared.workers.push_back(spawn(Worker::run(&shared, count, &work)));
  }
  for (Future<void>& worker : shared.workers) {
    const Result<void> ended = co_await worker.join();
    static_cast<void>(ended);  // its error is the shared one
  }
  if (shared.error) co_return *std::move(shared.error);
  co_return ok();
}

}  // namespace netstor::object
