// SPDX-License-Identifier: Apache-2.0
#pragma once
// Work that many wait for and that runs once: who joins while it runs gets the same answer.

#include <netstor/task.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace netstor::object {

/// Of one shard. Nothing runs when it is destroyed: cancel(), and wait until it does not.
template <class T>
class Joint {
 public:
  Joint() = default;
  Joint(const Joint&) = delete;
  Joint& operator=(const Joint&) = delete;

  bool running() const noexcept { return running_; }
  /// Begins `work()`, which answers a Task<T>, unless it runs. Cancelling the future ends its waiting alone.
  template <class F>
  Future<T> join(F work) {
    auto* const state = detail::make_state<Waiter>(*this);
    state->retain();
    waiting_.push_back(state);
    Future<T> answer(state);
    begin(std::move(work));
    return answer;
  }
  /// The same for nobody.
  template <class F>
  void begin(F work) {
    if (running_) return;
    running_ = true;
    work_ = spawn(run(work()));
  }
  void cancel() {
    if (running_ && work_.valid()) work_.cancel();
  }

 private:
  struct Waiter final : detail::State<T> {
    explicit Waiter(Joint& of) noexcept : joint(of) {
      this->destroy = [](detail::StateBase& self) noexcept {
        detail::State<T>::dispose(static_cast<Waiter&>(self));
      };
      this->on_cancel = [](detail::StateBase& self) noexcept {
        auto& waiter = static_cast<Waiter&>(self);
        if (std::erase(waiter.joint.waiting_, &waiter) == 0) return;
        waiter.set(Error(ErrorKind::cancelled, "cancelled"));
        waiter.release();
      };
    }
    Joint& joint;
  };

  Task<void> run(Task<T> work) {
    const Result<T> answer = co_await std::move(work);
    running_ = false;
    for (Waiter* const one : std::exchange(waiting_, {})) {
      one->set(answer);
      one->release();
    }
    co_return ok();
  }

  std::vector<Waiter*> waiting_;
  Future<void> work_;
  bool running_ = false;
};

}  // namespace netstor::object
