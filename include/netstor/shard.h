// SPDX-License-Identifier: Apache-2.0
#pragma once
// Runtime and shards: who runs when.
//
//   Runtime runtime = *Runtime::start({.shards = 2});
//   Future<int> answer = runtime.shard(1).run_on([] { return 42; });
//   answer.get();
//
// A shard is one thread with everything that it owns: connections, files, timers, buffers. Shards share
// nothing and never wait for each other; they talk through run_on(). An idle shard polls for
// RuntimeOptions::poll_budget, then sleeps on the kernel and uses no CPU.
//
// Embedding: with RuntimeOptions::embedded there are no threads. The caller drives each shard from a loop
// of its own, always from the same thread:
//
//   epoll_ctl(loop, EPOLL_CTL_ADD, runtime.shard(0).fd(), …);    // readable: the shard has work
//   for (;;) { while (runtime.shard(0).run_once()) {} epoll_wait(loop, …); … }
//
// Before every wait run_once() has to have answered false: only then does fd() show what comes. The wait may
// be interrupted (EINTR). With one shard, the thread that made the runtime is on it from the start.
//
// Thread rule: Runtime and run_on() may be used from any thread; the rest is said at each call.

#include <netstor/buffer.h>
#include <netstor/metrics.h>
#include <netstor/options.h>
#include <netstor/task.h>

#include <memory>

namespace netstor {

namespace detail {
class Engine;     // lib/engine
class ShardLoop;  // lib/engine
}  // namespace detail

class Shard {
 public:
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  /// The shard whose thread this is; null on foreign threads.
  static Shard* current() noexcept;

  /// 0 … Runtime::shards() - 1.
  unsigned index() const noexcept { return index_; }

  /// Runs `function()` on this shard and brings its answer (T, Result<T>, Future<T> or Task<T>) back:
  /// to the calling shard, or to get() on a foreign thread. Any thread. Cancelling crosses over too.
  template <class F>
  auto run_on(F function) -> Future<Unwrapped<std::invoke_result_t<F>>>;

  /// Embedding: a descriptor that polls readable when run_once() has something to do, timers too.
  int fd() noexcept;
  /// Embedding: one turn without blocking. True when more is ready; call again before waiting on fd().
  bool run_once() noexcept;

  /// This shard's counters, as of now. On this shard.
  Metrics metrics() const noexcept;

 private:
  friend class detail::ShardLoop;
  Shard(detail::Loop* loop, unsigned index) noexcept : loop_(loop), index_(index) {}
  detail::Loop* loop_;
  unsigned index_;
};

/// The shards of this process. Move-only; destroying it stops them: open volumes are closed, pending
/// operations are answered with ErrorKind::cancelled (with_deadline() then says timed_out), threads joined.
class Runtime {
 public:
  /// Errors: invalid_argument (an option beyond its limit), unsupported (the driver asked for is refused
  /// by the system; the text says by what), exhausted (threads, descriptors, locked memory).
  static Result<Runtime> start(RuntimeOptions options = {});
  Runtime(Runtime&&) noexcept;
  Runtime& operator=(Runtime&&) noexcept;
  ~Runtime();

  unsigned shards() const noexcept;
  Shard& shard(unsigned index) noexcept;
  /// The name of the driver that carries I/O: "uring", "posix", "sim".
  std::string_view io_driver() const noexcept;

  /// The sum over all shards. Foreign threads only (it asks each shard and waits).
  Metrics metrics();

  /// Registers memory that the caller owns with every shard's drivers, so that I/O from and to it skips
  /// per-operation pinning. The memory must stay mapped until the registration is destroyed, which must
  /// happen before the runtime's end and after the last I/O on it. Where the system's limit on locked
  /// memory is met the registration degrades to ordinary memory: no error, Metrics::registrations_degraded
  /// counts it. Foreign threads only.
  class Registration;
  Result<Registration> register_memory(MutableBytes memory);

 private:
  friend class detail::Engine;
  explicit Runtime(std::unique_ptr<detail::Engine> engine) noexcept;
  std::unique_ptr<detail::Engine> engine_;
};

/// Forgets the memory when destroyed.
class Runtime::Registration {
 public:
  Registration(Registration&& other) noexcept
      : engine_(std::exchange(other.engine_, nullptr)), memory_(other.memory_) {}
  Registration& operator=(Registration&& other) noexcept {
    std::swap(engine_, other.engine_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~Registration();
  MutableBytes memory() const noexcept { return memory_; }

 private:
  friend class Runtime;
  Registration(detail::Engine* engine, MutableBytes memory) noexcept : engine_(engine), memory_(memory) {}
  detail::Engine* engine_;
  MutableBytes memory_;
};

namespace detail {

/// Moves the coroutine that awaits it to another loop.
struct Hop : Runnable {
  explicit Hop(Loop& loop) noexcept : to(loop) {}
  bool await_ready() const noexcept { return &to == current_loop; }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept {
    handle = coroutine;
    run = [](Runnable& self) noexcept { static_cast<Hop&>(self).handle.resume(); };
    to.post(*this);
  }
  void await_resume() const noexcept {}
  Loop& to;
  std::coroutine_handle<> handle;
};

/// The state of run_on(): a cancel hops to the shard that works. `scope` is touched only there.
template <class T>
class RelayState : public State<T> {
 public:
  explicit RelayState(Loop& worker) noexcept : worker_(worker) {
    this->destroy = [](StateBase& self) noexcept { State<T>::dispose(static_cast<RelayState&>(self)); };
    this->on_cancel = [](StateBase& self) noexcept {
      auto& relay = static_cast<RelayState&>(self);
      if (std::exchange(relay.asked_, true)) return;
      relay.retain();
      relay.asker_.state = &relay;
      relay.asker_.run = [](Runnable& runnable) noexcept {
        RelayState& state = *static_cast<Asker&>(runnable).state;
        if (state.scope != nullptr) state.scope->cancel();
        state.release();
      };
      relay.worker_.post(relay.asker_);
    };
  }
  CancelScope* scope = nullptr;

 private:
  struct Asker : Runnable {
    RelayState* state = nullptr;
  };
  Loop& worker_;
  Asker asker_;
  bool asked_ = false;
};

template <class R, class F>
Detached relay(Loop& worker, F function, RelayState<Unwrapped<R>>* state) {
  using T = Unwrapped<R>;
  Loop* const home = state->home();
  co_await Hop(worker);
  state->scope = co_await OwnScope{};
  auto work = call<R>(std::move(function));
  Result<T> result = co_await std::move(work);
  state->scope = nullptr;
  if (home != nullptr) co_await Hop(*home);
  state->set(std::move(result));
  state->release();
}
}  // namespace detail

template <class F>
auto Shard::run_on(F function) -> Future<Unwrapped<std::invoke_result_t<F>>> {
  using R = std::invoke_result_t<F>;
  using T = Unwrapped<R>;
  auto* state = detail::make_state<detail::RelayState<T>>(*loop_);
  state->retain();
  Future<T> future(state);
  detail::relay<R>(*loop_, std::move(function), state);
  return future;
}

}  // namespace netstor
