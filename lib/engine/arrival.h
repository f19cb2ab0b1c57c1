// SPDX-License-Identifier: Apache-2.0
#pragma once
// Something that happens once, and that a coroutine awaits which may be cancelled: the cancel asks for what
// is to make it happen soon, and the coroutine goes on when it has.
//
//   Arrival answered([&] { connection.give_up(); });
//   …                         // somebody calls answered.arrived()
//   co_await answered;

#include <netstor/detail/state.h>

#include <coroutine>
#include <utility>

namespace netstor {

/// `ask()` is called perhaps more than once, and perhaps not at all, but not when it has arrived.
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

}  // namespace netstor
