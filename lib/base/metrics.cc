// SPDX-License-Identifier: Apache-2.0
// Adding shards up.

#include <netstor/metrics.h>

namespace netstor {

Metrics& Metrics::operator+=(const Metrics& other_shard) noexcept {
  reads += other_shard.reads;
  writes += other_shard.writes;
  other += other_shard.other;
  errors += other_shard.errors;
  read_bytes += other_shard.read_bytes;
  write_bytes += other_shard.write_bytes;
  copied_bytes += other_shard.copied_bytes;
  replays += other_shard.replays;
  reconnects += other_shard.reconnects;
  registrations_degraded += other_shard.registrations_degraded;
  rdma_requests += other_shard.rdma_requests;
  rdma_bytes += other_shard.rdma_bytes;
  busy_ns += other_shard.busy_ns;
  polling_ns += other_shard.polling_ns;
  sleeping_ns += other_shard.sleeping_ns;
  turns += other_shard.turns;
  sleeps += other_shard.sleeps;
  system_calls += other_shard.system_calls;
  return *this;
}

}  // namespace netstor
