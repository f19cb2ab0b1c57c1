// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whom the shards of a bucket sign as: found when it is first wanted, found anew before it ends, once for all
// of them.

#include "lib/engine/shard_loop.h"
#include "lib/object/credentials.h"
#include "lib/object/joint.h"

#include <cstdint>
#include <optional>

namespace netstor::object {

struct KnownCredentials {
  Credentials credentials;
  std::uint64_t number = 0;  ///< grows with each that was found; from 1
  /// Five minutes before their end, and later when they are for little more. Set when they end.
  std::optional<WallTime> renew_at{};
};

/// When those that end then, and came now, are to be found anew.
[[nodiscard]] WallTime renewal_time(WallTime now, WallTime end) noexcept;

/// On one shard, the bucket's home.
class CredentialCache {
 public:
  CredentialCache(detail::ShardLoop& loop, const BucketOptions& options) noexcept
      : loop_(loop), options_(options) {}

  /// Those known, when they are newer than number `refused` and their time to be renewed has not come.
  Task<KnownCredentials> get(std::uint64_t refused);
  /// Cancels a search; nothing is found from then on. Freed when it does not search any more.
  void close();
  bool searching() const noexcept { return finding_.running(); }

 private:
  Task<KnownCredentials> find();

  detail::ShardLoop& loop_;
  const BucketOptions& options_;
  Joint<KnownCredentials> finding_;
  std::optional<KnownCredentials> known_;
  bool closed_ = false;
};

}  // namespace netstor::object
