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

#include <netstor/detail/state.h>
#include <netstor/ext/driver.h>

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

/// Something that happens once: arrived(). A cancel of the coroutine that awaits it calls `ask()`, which is
/// to make it happen soon; perhaps more than once, and perhaps not at all, but not when it has happened.
template <class Ask>
class Arrival : detail::StateBase {
 public:
  explicit Arrival(Ask ask) noexcept : ask_(std::move(ask)) {
    on_cancel = [](detail::StateBase& self) noexcept { static_cast<Arrival&>(self).ask_(); };
  }
  void arrived() noexcept { become_ready(); }
  /// Asks, unless it has arrived.
  using detail::StateBase::cancel;

  bool await_ready() const noexcept { return ready(); }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> handle) noexcept {
    scope_ = detail::scope_of(handle);
    if (scope_ != nullptr) {
      scope_->awaiting = this;
      if (scope_->cancelled) cancel();
    }
    return await(handle);
  }
  void await_resume() noexcept {
    if (scope_ != nullptr) scope_->awaiting = nullptr;
  }

 private:
  Ask ask_;
  detail::CancelScope* scope_ = nullptr;
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
