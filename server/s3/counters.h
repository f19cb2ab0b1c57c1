// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an endpoint counts on one shard, in that shard's memory, and what it tells of it when it is asked
// (Endpoint::observe()). All counts only ever grow; a gauge says so.

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "lib/wire/s3/error_code.h"
#include "server/net/latency.h"
#include "server/s3/route.h"

namespace netstor::s3server {

inline constexpr std::size_t kOperations = static_cast<std::size_t>(Operation::not_implemented) + 1;

/// Refused, and had no signature at all.
inline constexpr std::string_view kUnsigned = "missing";

struct Counters {
  /// Buckets that are counted by name; the others' requests are counted with the rest alone.
  static constexpr std::size_t kBucketsMax = 1000;

  /// From the request's head to the end of its answer, as the shard's clock sees it; refused ones too.
  std::array<net::Latency, kOperations> requests{};
  std::uint64_t bytes_in = 0;   ///< of bodies
  std::uint64_t bytes_out = 0;  ///< likewise
  std::uint64_t in_flight = 0;  ///< gauge
  std::uint64_t lost = 0;       ///< requests whose client went away before the end of the answer
  std::uint64_t accepted = 0;
  std::uint64_t turned_away = 0;  ///< connections beyond the limit
  std::uint64_t rdma_sessions = 0;
  std::uint64_t rdma_reads = 0;     ///< requests whose payload went by RDMA
  std::uint64_t rdma_writes = 0;    ///< and came by it
  std::uint64_t rdma_bytes_in = 0;  ///< also in bytes_in, as its payload
  std::uint64_t rdma_bytes_out = 0;
  std::uint64_t rdma_refused = 0;  ///< sessions and tokens declined or refused, transfers that failed
  /// A kind costs an allocation the first time it happens.
  std::map<s3::ErrorCode, std::uint64_t> errors{};
  /// By the name of the code, and kUnsigned.
  std::map<std::string_view, std::uint64_t> failed_authentications{};
  std::map<std::string, net::Traffic, std::less<>> buckets{};  ///< of those that are there
};

/// One shard's answer.
struct ShardFacts {
  unsigned shard = 0;
  Counters counters{};
  std::size_t connections = 0;
  std::size_t chunks = 0;       ///< of the memory for objects on their way
  std::size_t chunks_lent = 0;  ///< of them
};

/// "GetObject".
std::string_view to_string(Operation operation) noexcept;

}  // namespace netstor::s3server
