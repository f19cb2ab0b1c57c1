// SPDX-License-Identifier: Apache-2.0
#pragma once
// Counters. Each shard counts for itself, without atomics; Runtime::metrics() adds them up.
//
// Thread rule: a Metrics is a plain value, a snapshot.

#include <cstdint>

namespace netstor {

struct Metrics {
  std::uint64_t reads = 0;        ///< finished reads of volumes, failed ones too
  std::uint64_t writes = 0;       ///< finished writes
  std::uint64_t other = 0;        ///< finished flushes, compares, …
  std::uint64_t errors = 0;       ///< operations that answered an error
  std::uint64_t read_bytes = 0;   ///< payload given to callers
  std::uint64_t write_bytes = 0;  ///< payload taken from callers
  /// Payload bytes copied in user space on the way: 0 for all writes, and for reads of 16 KiB and more. What
  /// has to be copied counts: over TLS all that is sent and received, and memory that a file opened for
  /// direct I/O cannot take as it is aligned (DeviceLimits::memory_alignment; Buffer's always is).
  std::uint64_t copied_bytes = 0;
  std::uint64_t replays = 0;                 ///< operations sent again after a lost path
  std::uint64_t reconnects = 0;              ///< paths brought up again
  std::uint64_t registrations_degraded = 0;  ///< registrations that met the limit of locked memory
  std::uint64_t rdma_requests = 0;           ///< of buckets, whose payload went by RDMA
  std::uint64_t rdma_bytes = 0;              ///< that payload
  /// The time of the shards' threads, by what they did in it: turns that found work, turns that found none
  /// (RuntimeOptions::poll_budget), sleep on the kernel. A turn's time is known when the next one looks at
  /// the clock; while a shard polls that is every 16 turns.
  std::uint64_t busy_ns = 0;
  std::uint64_t polling_ns = 0;
  std::uint64_t sleeping_ns = 0;
  std::uint64_t turns = 0;         ///< turns of the loop
  std::uint64_t sleeps = 0;        ///< times that the loop slept on the kernel
  std::uint64_t system_calls = 0;  ///< made by the drivers, where they can count them

  Metrics& operator+=(const Metrics& other_shard) noexcept;
};

}  // namespace netstor
