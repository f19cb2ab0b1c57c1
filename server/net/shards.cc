// SPDX-License-Identifier: Apache-2.0

#include "server/net/shards.h"

#include <algorithm>

namespace netstor::net {

Task<void> close_all(std::vector<std::unique_ptr<Acceptor>>& acceptors) {
  for (const auto& acceptor : acceptors) acceptor->close();
  while (!std::ranges::all_of(acceptors, [](const auto& each) { return each->closed(); })) {
    auto pause = sleep(std::chrono::milliseconds(1));
    auto paused = co_await std::move(pause);
    static_cast<void>(paused);
  }
  acceptors.clear();
  co_return ok();
}

}  // namespace netstor::net
