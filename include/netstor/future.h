// SPDX-License-Identifier: Apache-2.0
#pragma once
// Futures: the one way in which the library answers later.
//
//   Future<void> pending = volume.read(0, block.bytes());   // started already
//   Result<void> done = co_await std::move(pending);        // on a shard, in a coroutine
//   Result<void> done = volume.read(0, block).get();        // on any other thread
//
// A future is eager: the work has begun when you hold one. It is move-only, and its result is taken once.
//
// Thread rule: a future made on a shard is bound to that shard and is used only there; what awaits it goes
// on there, in a later step of the same turn, never inside the call that made it ready. A future made on a
// foreign thread (one that is no shard) may be waited for with get() on that thread; functions given to
// its then() run on the shard that made it ready.
// Error rule: awaiting and get() answer a Result<T>; nothing throws.
//
// Dropping a future that is not ready asks the work to stop, but does not wait until it has: memory lent
// to the work stays lent. To stop work and have the memory back: `f.cancel(); co_await std::move(f);`.

#include <netstor/detail/state.h>

#include <type_traits>

namespace netstor {

template <class T = void>
class Future;
template <class T = void>
class Task;

namespace detail {
template <class R>
struct Unwrap {
  using type = R;
};
template <class R>
struct Unwrap<Result<R>> {
  using type = R;
};
template <class R>
struct Unwrap<Future<R>> {
  using type = R;
};
template <class R>
struct Unwrap<Task<R>> {
  using type = R;
};
}  // namespace detail

/// What a function's answer R (T, Result<T>, Future<T> or Task<T>) is a future of.
template <class R>
using Unwrapped = typename detail::Unwrap<std::remove_cvref_t<R>>::type;

/// The producing end. Dropping it unset answers the future with ErrorKind::cancelled.
template <class T = void>
class Promise {
 public:
  Promise() : state_(detail::make_state<detail::State<T>>()) {}
  explicit Promise(detail::State<T>* adopted) noexcept : state_(adopted) {}
  Promise(Promise&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Promise& operator=(Promise&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Promise() {
    if (state_ == nullptr) return;
    if (!state_->ready()) state_->set(Error(ErrorKind::cancelled, "the work was dropped before it answered"));
    state_->release();
  }

  /// The other end; call it once.
  Future<T> future() noexcept;

  /// Makes the future ready; call it once, on the state's own shard (on any shard for a foreign one).
  void set(Result<T> result) noexcept { state_->set(std::move(result)); }

 private:
  detail::State<T>* state_;
};

template <class T>
class [[nodiscard]] Future {
 public:
  using value_type = T;

  Future() noexcept = default;
  /// Takes over one reference to `state`.
  explicit Future(detail::State<T>* state) noexcept : state_(state) {}
  Future(Future&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Future& operator=(Future&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Future() {
    if (state_ == nullptr) return;
    state_->cancel();
    state_->release();
  }

  bool valid() const noexcept { return state_ != nullptr; }
  bool ready() const noexcept { return state_->ready(); }

  /// Asks the work to stop. The future still becomes ready, soon: with ErrorKind::cancelled (its effect()
  /// says whether a write may have happened) or with the result that was faster.
  void cancel() noexcept { state_->cancel(); }

  /// Lets the work run on unwatched. Memory lent to it stays lent.
  void detach() noexcept { std::exchange(state_, nullptr)->release(); }

  /// Blocks until ready. For foreign threads, and for the thread that drives an embedded shard (it runs
  /// the shard's loop meanwhile). On any other shard it would never end and answers ErrorKind::internal.
  Result<T> get() {
    if (!state_->wait()) return Error(ErrorKind::internal, "get() on a shard would block it: use co_await");
    Result<T> result = state_->take();
    std::exchange(state_, nullptr)->release();
    return result;
  }

  /// `function(Result<T>)` when ready; a future of what it answers (T, Result<T>, Future<T>, Task<T>).
  /// Defined in task.h.
  template <class F>
  auto then(F function) && -> Future<Unwrapped<std::invoke_result_t<F, Result<T>>>>;

  /// What `co_await` uses: owns the future, or (join) only refers to it.
  class Awaiter {
   public:
    explicit Awaiter(Future&& future) noexcept : owned_(std::move(future)), future_(owned_) {}
    explicit Awaiter(Future& future) noexcept : future_(future) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    bool await_ready() const noexcept { return future_.ready(); }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> handle) noexcept {
      scope_ = detail::scope_of(handle);
      if (scope_ != nullptr) {
        scope_->awaiting = future_.state_;
        if (scope_->cancelled) future_.state_->cancel();
      }
      return future_.state_->await(handle);
    }
    Result<T> await_resume() noexcept {
      if (scope_ != nullptr) scope_->awaiting = nullptr;
      Result<T> result = future_.state_->take();
      std::exchange(future_.state_, nullptr)->release();
      return result;
    }

   private:
    Future owned_;
    Future& future_;
    detail::CancelScope* scope_ = nullptr;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(std::move(*this)); }

  /// `co_await f.join()`: like `co_await std::move(f)`, but f stays where it is and can be cancelled by
  /// others until it is ready. It must stay alive, and is empty afterwards.
  Awaiter join() & noexcept { return Awaiter(*this); }

 private:
  template <class U>
  friend class Future;
  detail::State<T>* state_ = nullptr;
};

template <class T>
Future<T> Promise<T>::future() noexcept {
  state_->retain();
  return Future<T>(state_);
}

/// A future that is ready from the start.
template <class T>
Future<T> make_ready(Result<T> result) {
  Promise<T> promise;
  promise.set(std::move(result));
  return promise.future();
}

}  // namespace netstor
