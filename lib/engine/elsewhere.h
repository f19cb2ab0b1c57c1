// SPDX-License-Identifier: Apache-2.0
#pragma once
// Work that would hold up a shard, done on the helper thread:
//
//   Elsewhere thinking(context, [&] { answer = slow(question); });
//   co_await thinking;            // goes on here, from the run queue
//
// The function and what it touches are the thread's until then. Under the simulator it runs in place.

#include <netstor/ext/driver.h>

#include <coroutine>
#include <utility>

namespace netstor {

template <class F>
class Elsewhere {
 public:
  Elsewhere(PortContext& context, F function) : context_(context), function_(std::move(function)) {
    work_.self = done_.self = this;
    work_.run = [](detail::Runnable& work) noexcept { static_cast<Part&>(work).self->function_(); };
    done_.run = [](detail::Runnable& done) noexcept { static_cast<Part&>(done).self->waiting_.resume(); };
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    waiting_ = handle;
    context_.run_blocking(work_, done_);
  }
  void await_resume() const noexcept {}

 private:
  struct Part : detail::Runnable {
    Elsewhere* self = nullptr;
  };
  PortContext& context_;
  F function_;
  Part work_;
  Part done_;
  std::coroutine_handle<> waiting_;
};

}  // namespace netstor
