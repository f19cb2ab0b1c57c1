// SPDX-License-Identifier: Apache-2.0
#pragma once
// A server's parts, one on each shard, from its home shard: all of them at once, and their end.

#include <netstor/shard.h>
#include <netstor/task.h>

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "server/net/acceptor.h"

namespace netstor::net {

/// Asks `function(part)` of every part's shard, all at once; null parts are left out.
template <class Part, class F>
auto ask_all_shards(Runtime& runtime, const std::vector<Part*>& parts, const F& function) {
  const auto ask = [&](Part* part) {
    return runtime.shard(part->index()).run_on([part, function] { return function(*part); });
  };
  std::vector<std::invoke_result_t<decltype(ask), Part*>> asked;
  for (Part* const part : parts) {
    if (part != nullptr) asked.push_back(ask(part));
  }
  return asked;
}

/// `function(part)` on every part's shard. Waits for all of them,
/// whatever one answers; then the first error, if there was one.
template <class Part, class F>
Task<void> on_all_shards(Runtime& runtime, std::vector<Part*> parts, F function) {
  auto waiting = when_all(ask_all_shards(runtime, parts, function));
  Result<std::vector<Result<void>>> answers = co_await std::move(waiting);
  if (!answers) co_return std::move(answers).error();
  for (Result<void>& each : *answers) {
    if (!each) co_return std::move(each).error();
  }
  co_return ok();
}

/// What `function(part)` answers on every part's shard; the first error ends it.
template <class Part, class F>
auto from_all_shards(Runtime& runtime, std::vector<Part*> parts, F function)
    -> Task<std::vector<std::invoke_result_t<F, Part&>>> {
  using Answer = std::invoke_result_t<F, Part&>;
  auto waiting = when_all(ask_all_shards(runtime, parts, function));
  Result<std::vector<Result<Answer>>> answers = co_await std::move(waiting);
  if (!answers) co_return std::move(answers).error();
  std::vector<Answer> all;
  for (Result<Answer>& each : *answers) {
    if (!each) co_return std::move(each).error();
    all.push_back(*std::move(each));
  }
  co_return all;
}

/// The last message to each part: what was sent to it before has arrived, and `parts` names it to nobody
/// from the moment it is sent.
template <class Part>
Task<void> free_on_shards(Runtime& runtime, std::vector<Part*>& parts) {
  for (Part*& part : parts) {
    if (part == nullptr) continue;
    Part* const last = std::exchange(part, nullptr);
    auto freeing = runtime.shard(last->index()).run_on([last] { delete last; });
    auto freed = co_await std::move(freeing);
    static_cast<void>(freed);
  }
  co_return ok();
}

/// Ready when none of them deals out any more.
Task<void> close_all(std::vector<std::unique_ptr<Acceptor>>& acceptors);

}  // namespace netstor::net
