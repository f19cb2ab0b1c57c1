// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a coroutine awaits an operation of the driver contract:
//
//   OpenOp op;
//   Completion done(op);
//   port->open(op);
//   co_await done;            // op.result is set
//
// The coroutine goes on from the shard's run queue, never inside the driver.

#include <netstor/ext/driver.h>

#include "lib/engine/arrival.h"

#include <coroutine>
#include <utility>

namespace netstor {

class Completion : detail::Runnable {
 public:
  explicit Completion(Op& op) noexcept {
    op.user = this;
    op.complete = [](Op& completed) noexcept { static_cast<Completion*>(completed.user)->arrived(); };
    run = [](Runnable& self) noexcept { static_cast<Completion&>(self).waiting_.resume(); };
  }
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

  bool await_ready() const noexcept { return done_; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiting_ = handle; }
  void await_resume() const noexcept {}

 private:
  void arrived() noexcept {
    done_ = true;
    if (waiting_) detail::current_loop->push(*this);
  }
  std::coroutine_handle<> waiting_;
  bool done_ = false;
};

/// A Completion of an operation that can be stopped: by `ask()`, when the coroutine is cancelled.
template <class Ask>
class CancellableCompletion : public Arrival<Ask> {
 public:
  CancellableCompletion(Op& op, Ask ask) noexcept : Arrival<Ask>(std::move(ask)) {
    op.user = this;
    op.complete = [](Op& completed) noexcept {
      static_cast<CancellableCompletion*>(completed.user)->arrived();
    };
  }
};

}  // namespace netstor
