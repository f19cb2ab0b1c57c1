// SPDX-License-Identifier: Apache-2.0
#pragma once
// Following requests through the library: a hook that is told of each room that a request passes, with the
// time.
//
//   void print(void*, const netstor::TracePoint& at) noexcept { … }
//   netstor::trace(runtime, print, nullptr);      // from now on
//   netstor::trace(runtime, nullptr, nullptr);    // no more
//
// Off it costs one look at a pointer a request; on, one call and one look at the clock a point, and no
// allocation. Today volumes are followed; requests to buckets are not yet.
//
// Thread rule: trace() on foreign threads, it waits for each shard; the hook is called on the shards, on
// several at once. It must not block, and what it is given is good during the call alone, but for the
// constants `room` and `what`. Error rule: none.

#include <netstor/shard.h>

#include <cstdint>
#include <string_view>

namespace netstor {

struct TracePoint {
  unsigned shard = 0;
  std::uint64_t request = 0;  ///< the same at all points of a request; unique on its shard
  Time at{};
  /// Who has it: "volume" (lib/block: split, queued, replayed), "device" (the driver behind `path`).
  const char* room = "";
  /// What happened: "asked", "waits for room", "waits for a path", "submitted", "answered",
  /// "failed", "replays", "done".
  const char* what = "";
  const char* verb = "";     ///< "read", …
  std::uint64_t offset = 0;  ///< bytes; of the slice, where the request was split
  std::uint64_t length = 0;
  std::string_view path;  ///< the scheme that says which driver: "nvme+tcp", "file", …
};

using TraceHook = void (*)(void* user, const TracePoint& at) noexcept;

/// Tells `hook` of requests that begin from now on; null: nobody any more, and when this returns no call is
/// under way.
void trace(Runtime& runtime, TraceHook hook, void* user);

}  // namespace netstor
