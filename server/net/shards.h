// SPDX-License-Identifier: Apache-2.0
#pragma once
// A server's parts, one on each shard, from its home shard: all of them at once, and their end.

#include <netstor/shard.h>
#include <netstor/task.h>

#include <memory>
#include <utility>
#include <vector>

#include "server/net/acceptor.h"

namespace netstor::net {

/// `function(part)` on every part's shard, all at once; null parts are left out. Waits for all of them,
/// whatever one answers; then the first error, if there was one.
template <class Part, class F>
Task<void> on_all_shards(Runtime& runtime, std::vector<Part*> parts, F function) {
  std::vector<Future<void>> asked;
  for (Part* const part : parts) {
    if (part == nullptr) continue;
    asked.push_back(runtime.shard(part->index()).run_on([part, function] { return function(*part); }));
  }
  auto waiting = when_all(std::move(asked));
  Result<std::vector<Result<void>>> answers = co_await std::move(waiting);
  if (!answers) co_return std::move(answers).error();
  for (Result<void>& each : *answers) {
    if (!each) co_return std::move(each).error();
  }
  co_return ok();
}

/// The last message to each part: what was sent to it before has arrived.
template <class Part>
Task<void> free_on_shards(Runtime& runtime, std::vector<Part*>& parts) {
  for (Part*& part : parts) {
    if (part == nullptr) continue;
    auto freeing = runtime.shard(part->index()).run_on([gone = part] { delete gone; });
    auto freed = co_await std::move(freeing);
    static_cast<void>(freed);
    part = nullptr;
  }
  co_return ok();
}

/// Ready when none of them deals out any more.
Task<void> close_all(std::vector<std::unique_ptr<Acceptor>>& acceptors);

}  // namespace netstor::net
