// SPDX-License-Identifier: Apache-2.0
#pragma once
// What can only block (reading small files, running a program, a user's callback) and then goes on here.

#include <netstor/task.h>

#include "lib/engine/shard_loop.h"

#include <coroutine>
#include <optional>
#include <utility>

namespace netstor::object {

/// Summing up more bytes than this is the helper thread's work.
inline constexpr std::uint64_t kHashHere = 256 << 10;

/// `function()` answers a Result<T>; it runs on the runtime's helper thread, and what it refers to must
/// outlive that. Cannot be cancelled.
template <class F>
auto on_helper_thread(detail::ShardLoop& loop, F function)
    -> Task<typename std::invoke_result_t<F>::value_type> {
  using Answer = std::invoke_result_t<F>;
  struct Job {
    struct Work : detail::Runnable {
      Job* job = nullptr;
    };
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      waiting = handle;
      work.job = done.job = this;
      work.run = [](detail::Runnable& self) noexcept {
        Job& job = *static_cast<Work&>(self).job;
        job.answer.emplace(job.function());
      };
      done.run = [](detail::Runnable& self) noexcept { static_cast<Work&>(self).job->waiting.resume(); };
      loop.run_blocking(work, done);
    }
    void await_resume() const noexcept {}
    detail::ShardLoop& loop;
    F function;
    Work work{};
    Work done{};
    std::coroutine_handle<> waiting{};
    std::optional<Answer> answer{};
  };
  Job job{.loop = loop, .function = std::move(function)};
  co_await job;
  co_return *std::move(job.answer);
}

}  // namespace netstor::object
