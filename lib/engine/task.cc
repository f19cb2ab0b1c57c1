// SPDX-License-Identifier: Apache-2.0
// The bodies of task.h: waiting for time and for the next turn, and what an exception becomes.

#include <netstor/task.h>

#include "lib/engine/shard_loop.h"

namespace netstor {
namespace {

using detail::State;

/// A sleeping future: the alarm lives in its state, so a sleep allocates nothing of its own.
class SleepState final : public State<void> {
 public:
  SleepState() noexcept {
    destroy = [](detail::StateBase& self) noexcept { dispose(static_cast<SleepState&>(self)); };
    on_cancel = [](detail::StateBase& self) noexcept {
      auto& sleeper = static_cast<SleepState&>(self);
      detail::current_loop->disarm(sleeper.alarm);
      sleeper.end(Error(ErrorKind::cancelled, "a sleep was cancelled"));
    };
    alarm.state = this;
    alarm.fire = [](detail::Timer& timer) noexcept { static_cast<Alarm&>(timer).state->ring(); };
    pushed.state = this;
    pushed.run = [](detail::Runnable& self) noexcept { static_cast<Pushed&>(self).state->end({}); };
  }
  void ring() noexcept {
    if (detail::this_shard_loop().stopping()) {
      end(Error(ErrorKind::cancelled, "the runtime is ending"));
    } else {
      end({});
    }
  }
  void end(Result<void> result) noexcept {
    on_cancel = nullptr;
    set(std::move(result));
    release();
  }
  struct Alarm : detail::Timer {
    SleepState* state = nullptr;
  } alarm;
  struct Pushed : detail::Runnable {
    SleepState* state = nullptr;
  } pushed;
};

}  // namespace

Future<void> sleep(Duration pause) {
  auto* state = detail::make_state<SleepState>();
  state->retain();
  Future<void> future(state);
  detail::ShardLoop& loop = detail::this_shard_loop();
  if (loop.stopping()) {
    state->ring();
  } else {
    const Time now = loop.now();
    loop.arm(state->alarm,
             pause >= Time::max() - now ? Time::max() : now + std::max(pause, Duration::zero()));
  }
  return future;
}

Future<void> yield() {
  auto* state = detail::make_state<SleepState>();
  state->retain();
  Future<void> future(state);
  state->on_cancel = nullptr;
  detail::current_loop->push(state->pushed);
  return future;
}

Error detail::exception_error(std::exception_ptr exception) noexcept {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const std::exception& thrown) {
    return {ErrorKind::internal, std::string("an exception left a coroutine: ") + thrown.what()};
  } catch (...) {
    return {ErrorKind::internal, "an exception left a coroutine"};
  }
}

}  // namespace netstor
