// SPDX-License-Identifier: Apache-2.0
#pragma once
// One call under way: begun on a shard by a Python thread, and waited for by a thread or by an event loop.
//
// It has two owners, Python and, until it is done, its shard. It holds Python objects (the views of lent
// memory, an event loop's future), so whoever lets go last, it is destroyed under the interpreter's lock.

#include "bindings/python/memory.h"
#include "bindings/python/process.h"

namespace netstor::python {

class Operation;

/// What completions come through to one event loop: a list, and a descriptor that is readable while there is
/// something on it.
class Completions {
 public:
  Completions();
  ~Completions();
  Completions(const Completions&) = delete;
  Completions& operator=(const Completions&) = delete;

  int fd() const noexcept { return fd_; }
  std::uint64_t generation() const noexcept { return generation_; }
  /// Shards: takes over a reference.
  void push(Operation& operation) noexcept;
  /// Gives each answer to its future. With the interpreter's lock.
  std::size_t drain();
  /// Nobody will drain any more.
  void close() noexcept;

 private:
  std::mutex mutex_;
  std::vector<Operation*> arrived_;
  std::vector<Operation*> batch_;
  int fd_;
  bool closed_ = false;
  std::uint64_t generation_;
};

class Operation {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // All of these with the interpreter's lock.
  bool done() const noexcept { return (state_.load(std::memory_order_acquire) & kDone) != 0; }
  /// Asks the work to stop; it is done soon.
  void cancel() noexcept;
  /// The answer or an exception, once. Lets other threads run, and ends early for a signal: the work is
  /// cancelled then, and the memory given back.
  py::object wait();
  /// The same for an event loop: `waiter` gets the answer.
  void attach(const std::shared_ptr<Completions>& queue, py::object waiter);

  /// Was it answered through an event loop, and its memory given back?
  bool settled() const noexcept { return settled_; }

  /// Destroys what shards let go last.
  static void bury_the_dead() noexcept;
  static void forget_in_child() noexcept;

  void retain() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  /// With the interpreter's lock.
  void release() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy_(*this);
  }
  /// On a shard.
  void release_later() noexcept;

 protected:
  using Convert = py::object (*)(Operation&);
  using Destroy = void (*)(Operation&) noexcept;
  Operation(std::vector<View> lent, Convert convert, Destroy destroy)
      : lent_(std::move(lent)), convert_(convert), destroy_(destroy), generation_(python::generation()) {}
  ~Operation() {
    if (relay_.valid()) relay_.detach();
  }
  /// On the shard, when the result is stored.
  void arrived() noexcept;

  Future<void> relay_;  // empty when done

 private:
  friend class Completions;
  static constexpr std::uint32_t kDone = 1;
  static constexpr std::uint32_t kAttached = 2;
  static constexpr std::uint32_t kWaiting = 4;

  py::object take();
  void answer();
  bool pause() noexcept;
  void stop_and_wait();

  std::atomic<std::uint32_t> state_{0};
  std::atomic<std::uint32_t> refs_{2};
  std::vector<View> lent_;
  std::shared_ptr<Completions> queue_;
  py::object waiter_;
  Convert convert_;
  Destroy destroy_;
  std::uint64_t generation_;
  bool taken_ = false;
  bool settled_ = false;
};

/// Python's reference.
template <class T>
class Ref {
 public:
  Ref() noexcept = default;
  explicit Ref(T* adopted) noexcept : it_(adopted) {}
  Ref(const Ref& other) noexcept : it_(other.it_) {
    if (it_ != nullptr) it_->retain();
  }
  Ref(Ref&& other) noexcept : it_(std::exchange(other.it_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(it_, other.it_);
    return *this;
  }
  ~Ref() {
    if (it_ != nullptr) it_->release();
  }
  T* get() const noexcept { return it_; }
  T* operator->() const noexcept { return it_; }

 private:
  T* it_ = nullptr;
};

namespace detail {

template <class T, class ToPython>
class Work final : public Operation {
 public:
  Work(std::vector<View> lent, ToPython to_python)
      : Operation(std::move(lent), &Work::convert, &Work::destroy), to_python_(std::move(to_python)) {}
  void set_relay(Future<void> relay) noexcept { relay_ = std::move(relay); }
  void finish(Result<T> result) noexcept {
    result_.emplace(std::move(result));
    arrived();
  }

 private:
  static py::object convert(Operation& self) {
    auto& work = static_cast<Work&>(self);
    if constexpr (std::is_void_v<T>) {
      value_or_raise(*work.result_);
      return work.to_python_();
    } else {
      return work.to_python_(value_or_raise(std::move(*work.result_)));
    }
  }
  static void destroy(Operation& self) noexcept { delete &static_cast<Work&>(self); }
  std::optional<Result<T>> result_;
  ToPython to_python_;
};

template <class W, class Begin>
Task<void> perform(W* work, Begin begin, Duration limit) {
  auto future = begin();
  if (limit > Duration::zero()) future = with_deadline(std::move(future), limit);
  auto result = co_await std::move(future);
  work->finish(std::move(result));
  co_return ok();
}

}  // namespace detail

/// What every call takes beside its own arguments.
struct CallOptions {
  Duration timeout = Duration::zero();
};

/// Runs `begin()`, which answers a Future<T> and holds no Python object, on a shard; `to_python(T)` makes a
/// Python object of the answer later. `lent` is held until then.
template <class Begin, class ToPython>
Ref<Operation> start(Duration limit, std::vector<View> lent, Begin begin, ToPython to_python) {
  using T = Unwrapped<std::invoke_result_t<Begin&>>;
  using Work = detail::Work<T, ToPython>;
  Operation::bury_the_dead();
  Shard& shard = next_shard();
  auto* const work = new Work(std::move(lent), std::move(to_python));
  Ref<Operation> operation(work);
  work->set_relay(shard.run_on([work, begin = std::move(begin), limit]() mutable {
    return detail::perform(work, std::move(begin), limit);
  }));
  return operation;
}

inline py::object none() { return py::none(); }

void bind_operation(py::module_& module);

}  // namespace netstor::python

PYBIND11_DECLARE_HOLDER_TYPE(T, netstor::python::Ref<T>, true)
