// SPDX-License-Identifier: Apache-2.0
#pragma once
// Coroutines, and futures together.
//
//   Task<std::uint64_t> checksum(Volume volume) {
//     Buffer block = *Buffer::allocate(4096);
//     NETSTOR_CHECK(co_await volume.read(0, block.bytes()));
//     co_return sum(block.bytes());
//   }
//   Future<std::uint64_t> running = spawn(checksum(volume));
//
// A Task<T> is lazy: nothing runs until it is awaited or spawned. It answers a Result<T>: `co_return` a T,
// an Error or a Result<T> (`co_return ok();` for Task<void>). An exception that leaves a coroutine becomes
// ErrorKind::internal with its what().
//
// Thread rule: a task runs on the shard that awaits or spawns it, start to end.
// Cancelling: cancel() on (or dropping) a spawned task's future reaches the operation that the task awaits
// now, and each one that it awaits later; the task itself runs to its end.

#include <netstor/future.h>

#include <exception>
#include <functional>
#include <tuple>
#include <vector>

namespace netstor {

namespace detail {
Error exception_error(std::exception_ptr exception) noexcept;

template <class T>
struct TaskPromise : CoroutinePromise {
  std::coroutine_handle<> parent;
  CancelScope* parent_scope = nullptr;
  std::optional<Result<T>> result;

  Task<T> get_return_object() noexcept;
  std::suspend_always initial_suspend() noexcept { return {}; }
  auto final_suspend() noexcept {
    struct ToParent {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<TaskPromise> self) noexcept {
        TaskPromise& promise = self.promise();
        if (promise.parent_scope != nullptr) promise.parent_scope->child = nullptr;
        return promise.parent;
      }
      void await_resume() noexcept {}
    };
    return ToParent{};
  }
  void return_value(Result<T> value) noexcept { result.emplace(std::move(value)); }
  void unhandled_exception() noexcept { result.emplace(exception_error(std::current_exception())); }
};
}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using value_type = T;
  using promise_type = detail::TaskPromise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) noexcept {
      promise_type& promise = handle_.promise();
      promise.parent = parent;
      promise.parent_scope = detail::scope_of(parent);
      if (promise.parent_scope != nullptr) {
        promise.parent_scope->child = &promise;
        promise.cancelled = promise.parent_scope->cancelled;
      }
      return handle_;
    }
    Result<T> await_resume() noexcept { return std::move(*handle_.promise().result); }

   private:
    std::coroutine_handle<promise_type> handle_;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(handle_); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {
template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

/// A coroutine that nobody awaits: it starts at once and frees itself.
struct Detached {
  struct promise_type : CoroutinePromise {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { panic("an exception left a detached coroutine"); }
  };
};

/// The cancel scope of the coroutine that awaits it.
struct OwnScope {
  CancelScope* scope = nullptr;
  bool await_ready() const noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> handle) noexcept {
    scope = scope_of(handle);
    return false;
  }
  CancelScope* await_resume() const noexcept { return scope; }
};

/// The state of a spawned task: a cancel goes down its scope.
template <class T>
class TaskState : public State<T> {
 public:
  TaskState() noexcept {
    this->destroy = [](StateBase& self) noexcept { State<T>::dispose(static_cast<TaskState&>(self)); };
    if (this->home() == nullptr) return;  // a foreign thread must not reach into a shard's coroutine
    this->on_cancel = [](StateBase& self) noexcept {
      auto& task = static_cast<TaskState&>(self);
      if (task.scope != nullptr) task.scope->cancel();
    };
  }
  CancelScope* scope = nullptr;
};

template <class T>
Detached drive(Task<T> task, TaskState<T>* state) {
  state->scope = co_await OwnScope{};
  Result<T> result = co_await std::move(task);
  state->scope = nullptr;
  state->set(std::move(result));
  state->release();
}

template <class R, class F, class... Args>
Task<Unwrapped<R>> call(F function, Args... args) {
  using T = Unwrapped<R>;
  if constexpr (std::is_void_v<R>) {
    std::invoke(function, std::move(args)...);
    co_return ok();
  } else if constexpr (std::is_same_v<R, Future<T>> || std::is_same_v<R, Task<T>>) {
    R later = std::invoke(function, std::move(args)...);
    Result<T> result = co_await std::move(later);
    co_return std::move(result);
  } else {
    co_return std::invoke(function, std::move(args)...);
  }
}
}  // namespace detail

/// Starts `task` here and now; the future is bound to this shard.
template <class T>
Future<T> spawn(Task<T> task) {
  auto* state = detail::make_state<detail::TaskState<T>>();
  state->retain();
  Future<T> future(state);
  detail::drive(std::move(task), state);
  return future;
}

namespace detail {
template <class R, class F, class T>
Task<Unwrapped<R>> then_call(Future<T> first, F function) {
  Result<T> result = co_await std::move(first);
  auto rest = call<R>(std::move(function), std::move(result));
  Result<Unwrapped<R>> answer = co_await std::move(rest);
  co_return std::move(answer);
}
}  // namespace detail

template <class T>
template <class F>
auto Future<T>::then(F function) && -> Future<Unwrapped<std::invoke_result_t<F, Result<T>>>> {
  using R = std::invoke_result_t<F, Result<T>>;
  return spawn(detail::then_call<R>(std::move(*this), std::move(function)));
}

/// Ready after `pause`; cancelling makes it ready at once. Shards only.
Future<void> sleep(Duration pause);

/// Ready in the next turn: lets other work of the shard run.
Future<void> yield();

namespace detail {
template <class T>
Task<std::vector<Result<T>>> collect(std::vector<Future<T>> futures) {
  std::vector<Result<T>> results;
  results.reserve(futures.size());
  for (Future<T>& future : futures) {
    Result<T> result = co_await std::move(future);
    results.push_back(std::move(result));
  }
  co_return std::move(results);
}
template <class T>
Task<void> keep(Future<T> future, std::optional<Result<T>>* slot) {
  slot->emplace(co_await std::move(future));
  co_return ok();
}
template <class... Ts>
Task<std::tuple<Result<Ts>...>> collect_tuple(Future<Ts>... futures) {
  std::tuple<std::optional<Result<Ts>>...> slots;
  std::vector<Future<void>> all;
  std::apply([&](auto&... slot) { (all.push_back(spawn(keep<Ts>(std::move(futures), &slot))), ...); }, slots);
  auto gathered = collect<void>(std::move(all));
  auto waited = co_await std::move(gathered);
  static_cast<void>(waited);
  co_return std::apply([](auto&... slot) { return std::tuple<Result<Ts>...>(std::move(*slot)...); }, slots);
}
}  // namespace detail

/// Ready when all are; each with its own result, in order. Cancelling reaches each.
template <class T>
Future<std::vector<Result<T>>> when_all(std::vector<Future<T>> futures) {
  return spawn(detail::collect(std::move(futures)));
}
template <class... Ts>
Future<std::tuple<Result<Ts>...>> when_all(Future<Ts>... futures) {
  return spawn(detail::collect_tuple<Ts...>(std::move(futures)...));
}

/// The first that was ready, and which.
template <class T>
struct First {
  std::size_t index = 0;
  Result<T> result;
};

namespace detail {
template <class T>
struct Race {
  std::vector<Future<void>> runners;
  std::optional<First<T>> first;
};
template <class T>
Task<void> run_race(Future<T> future, std::size_t index, Race<T>* race) {
  Result<T> result = co_await std::move(future);
  if (!race->first) {
    race->first.emplace(First<T>{index, std::move(result)});
    for (Future<void>& other : race->runners) {
      if (other.valid() && !other.ready()) other.cancel();
    }
  }
  co_return ok();
}
template <class T>
Task<First<T>> any(std::vector<Future<T>> futures) {
  if (futures.empty()) co_return Error(ErrorKind::invalid_argument, "when_any of nothing");
  Race<T> race;
  race.runners.reserve(futures.size());
  for (std::size_t i = 0; i < futures.size(); ++i) {
    race.runners.push_back(spawn(run_race<T>(std::move(futures[i]), i, &race)));
  }
  if (race.first) {
    for (Future<void>& other : race.runners) other.cancel();
  }
  for (Future<void>& runner : race.runners) {
    auto ended = co_await runner.join();
    static_cast<void>(ended);
  }
  co_return std::move(*race.first);
}
}  // namespace detail

/// Answers the first that is ready, cancels the others, and waits until they have let go of their bytes.
template <class T>
Future<First<T>> when_any(std::vector<Future<T>> futures) {
  return spawn(detail::any(std::move(futures)));
}

namespace detail {
/// An alarm that cancels a future.
template <class T>
struct DeadlineTimer : Timer {
  explicit DeadlineTimer(Future<T>* watched) noexcept : future(watched) {
    fire = [](Timer& self) noexcept {
      auto& timer = static_cast<DeadlineTimer&>(self);
      timer.fired = true;
      timer.future->cancel();
    };
  }
  ~DeadlineTimer() {
    if (armed()) current_loop->disarm(*this);
  }
  Future<T>* future;
  bool fired = false;
};
template <class T>
Task<T> limit(Future<T> future, Time deadline) {
  DeadlineTimer<T> timer(&future);
  current_loop->arm(timer, deadline);
  Result<T> result = co_await future.join();
  if (timer.fired && !result && result.error().kind() == ErrorKind::cancelled) {
    co_return Error(ErrorKind::timed_out, "the deadline passed", result.error().effect());
  }
  co_return std::move(result);
}
}  // namespace detail

/// `future`'s result, or ErrorKind::timed_out when `limit` passes first: the work is then cancelled, and
/// the answer comes when it has let go of its bytes, which cancelling makes soon. The runtime's end is also
/// the limit's. Shards only.
template <class T>
Future<T> with_deadline(Future<T> future, Duration limit) {
  return spawn(detail::limit(std::move(future), detail::current_loop->now() + limit));
}

}  // namespace netstor
