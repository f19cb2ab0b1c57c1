// SPDX-License-Identifier: Apache-2.0
#pragma once
// Following requests through the library: a hook that is told of each room that a request passes, with the
// time.
//
//   void print(void*, const netstor::TracePoint& at) noexcept { … }
//   netstor::trace(runtime, print, nullptr);      // from now on
//   netstor::trace(runtime, nullptr, nullptr);    // no more
//
// Off it costs one look at a pointer a request; on, one call and one look at the clock a point. Only a
// bucket's requests allocate for it: once each, and for the texts of errors and of why RDMA is not used. A
// call on a bucket is as many requests as it sends to the service: each part of a large object is one, with
// all its tries.
//
// Thread rule: trace() on foreign threads, it waits for each shard; the hook is called on the shards, on
// several at once. It must not block, and what it is given is good during the call alone, but for the
// constants `room`, `what` and `verb`. Error rule: none.

#include <netstor/shard.h>

#include <cstdint>
#include <string_view>

namespace netstor {

struct TracePoint {
  unsigned shard = 0;
  std::uint64_t request = 0;  ///< the same at all points of a request; unique on its shard
  Time at{};
  /// Who has it. Of volumes: "volume" (lib/block: split, queued, replayed), "device" (the driver behind
  /// `path`). Of buckets: "bucket" (lib/object: queued, repeated), "connection" (to the service), "rdma" (the
  /// session beside it).
  const char* room = "";
  /// What happened. Of volumes: "asked", "waits for room", "waits for a path", "submitted", "answered",
  /// "failed", "replays", "done".
  /// Of buckets, bucket: "asked", "waits for a connection", "goes by http" (instead of by RDMA),
  /// "redirected", "repeats", "done", "failed"; connection: "new" or "kept" (which it got), "head sent",
  /// "body sent", "answered" (the head is here), "body received"; rdma: "asks for a session", "connects",
  /// "connected", "opened" (the caller's memory), "moved" (the payload), "declined", "closed" (the memory).
  const char* what = "";
  const char* verb = "";     ///< "read", …; of buckets "GET", …
  std::uint64_t offset = 0;  ///< bytes; of the slice, where the request was split
  std::uint64_t length = 0;  ///< of a GET what is asked for, and when it is done what came
  /// Of volumes the scheme that says which driver: "nvme+tcp", "file", …; of buckets by what the payload
  /// goes: "http", "https", "rdma".
  std::string_view path;
  std::string_view bucket;  ///< of buckets its name
  std::string_view key;     ///< of buckets; empty: of the bucket itself
  /// Of buckets: the peer, the answer's status, or why, which is the error's text less `verb`, `bucket` and
  /// `key` in front of it.
  std::string_view detail;
};

using TraceHook = void (*)(void* user, const TracePoint& at) noexcept;

/// Tells `hook` of requests that begin from now on; null: nobody any more, and when this returns no call is
/// under way.
void trace(Runtime& runtime, TraceHook hook, void* user);

}  // namespace netstor
