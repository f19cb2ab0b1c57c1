// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a coroutine has begun and the runtime must not end in the middle of: the runtime's end cancels what it
// awaits, if that is not there yet, and waits until this is gone.
//
//   CancellableCompletion opened(op, [&] { port->cancel_open(op); });
//   const StopAsks stopping(loop, opened);

#include "lib/engine/arrival.h"
#include "lib/engine/shard_loop.h"

namespace netstor::detail {

template <class Ask>
class StopAsks final : StopHook {
 public:
  /// On the loop's shard, which is not stopping yet.
  StopAsks(ShardLoop& loop, Arrival<Ask>& awaited) : loop_(loop), awaited_(awaited) {
    loop_.add_stop_hook(*this);
  }
  StopAsks(const StopAsks&) = delete;
  StopAsks& operator=(const StopAsks&) = delete;
  ~StopAsks() {
    loop_.remove_stop_hook(*this);
    if (ended_ != nullptr) ended_->run(*ended_);
  }

 private:
  void stop(Runnable& ended) noexcept override {
    ended_ = &ended;
    awaited_.cancel();
  }

  ShardLoop& loop_;
  Arrival<Ask>& awaited_;
  Runnable* ended_ = nullptr;
};

}  // namespace netstor::detail
