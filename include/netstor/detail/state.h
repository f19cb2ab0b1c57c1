// SPDX-License-Identifier: Apache-2.0
#pragma once
// The state that a Promise and a Future share, and the cancel scope of a coroutine. Promised to nobody.
//
// A state belongs to the loop on which its promise was made (`home`), or to none when that thread is a
// foreign one; then it may be waited for with get() and is made ready by a shard. `phase` alone is
// touched from two threads.

#include <netstor/detail/loop.h>
#include <netstor/result.h>

#include <coroutine>
#include <optional>
#include <utility>

namespace netstor::detail {

enum class Phase : std::uint8_t { pending, awaited, ready };

class StateBase : public Runnable {
 public:
  StateBase() noexcept : home_(current_loop) { run = &resume; }
  StateBase(const StateBase&) = delete;
  StateBase& operator=(const StateBase&) = delete;

  bool ready() const noexcept { return phase_.load(std::memory_order_acquire) == Phase::ready; }
  Loop* home() const noexcept { return home_; }

  /// False when the result is there already.
  bool await(std::coroutine_handle<> continuation) noexcept {
    continuation_ = continuation;
    Phase expected = Phase::pending;
    return phase_.compare_exchange_strong(expected, Phase::awaited, std::memory_order_acq_rel);
  }

  /// Asks the producer to stop; it still makes the state ready. Any thread that may hold the future.
  void cancel() noexcept {
    if (on_cancel != nullptr && !ready()) on_cancel(*this);
  }

  /// Blocks a foreign thread, or turns an embedded shard's loop. False where that could never end.
  bool wait() noexcept {
    if (ready()) return true;
    if (current_loop != nullptr) {
      while (!ready()) {
        if (!current_loop->turn_embedded()) return false;
      }
      return true;
    }
    for (Phase seen = phase_.load(std::memory_order_acquire); seen != Phase::ready;
         seen = phase_.load(std::memory_order_acquire)) {
      phase_.wait(seen, std::memory_order_acquire);
    }
    return true;
  }

  void retain() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (refs_.load(std::memory_order_acquire) == 1 || refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      destroy(*this);
    }
  }

  /// Set by the producer while it can be cancelled.
  void (*on_cancel)(StateBase&) noexcept = nullptr;

 protected:
  ~StateBase() = default;
  void become_ready() noexcept {
    const Phase before = phase_.exchange(Phase::ready, std::memory_order_acq_rel);
    if (home_ == nullptr) phase_.notify_all();
    if (before == Phase::awaited) (home_ != nullptr ? home_ : current_loop)->push(*this);
  }
  void (*destroy)(StateBase&) noexcept = nullptr;

 private:
  static void resume(Runnable& self) noexcept { static_cast<StateBase&>(self).continuation_.resume(); }

  std::atomic<Phase> phase_{Phase::pending};
  std::atomic<std::uint32_t> refs_{1};
  std::coroutine_handle<> continuation_;
  Loop* home_;
};

template <class T>
class State : public StateBase {
 public:
  State() noexcept {
    destroy = [](StateBase& self) noexcept { dispose(static_cast<State&>(self)); };
  }
  void set(Result<T> result) noexcept {
    result_.emplace(std::move(result));
    become_ready();
  }
  Result<T> take() noexcept { return std::move(*result_); }

 protected:
  template <class Self>
  static void dispose(Self& self) noexcept {
    self.~Self();
    release_block(&self, sizeof(Self));
  }
  ~State() = default;

 private:
  std::optional<Result<T>> result_;
};

/// Makes a state of type S (State<T> or a subclass that sets `destroy`) with one reference.
template <class S, class... Args>
S* make_state(Args&&... args) {
  return new (allocate_block(sizeof(S))) S(std::forward<Args>(args)...);
}

/// Where a coroutine stands, so that a cancel finds the operation at the end of the chain.
struct CancelScope {
  CancelScope* child = nullptr;   // the task that this one awaits
  StateBase* awaiting = nullptr;  // or the future
  bool cancelled = false;

  void cancel() noexcept {
    for (CancelScope* scope = this; scope != nullptr; scope = scope->child) {
      scope->cancelled = true;
      if (scope->awaiting != nullptr) scope->awaiting->cancel();
    }
  }
};

/// What every coroutine promise of the library has.
struct CoroutinePromise : CancelScope {
  static void* operator new(std::size_t size) { return allocate_block(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { release_block(frame, size); }
};

template <class P>
CancelScope* scope_of(std::coroutine_handle<P> handle) noexcept {
  if constexpr (std::is_base_of_v<CancelScope, P>) {
    return &handle.promise();
  } else {
    return nullptr;
  }
}

}  // namespace netstor::detail
