// SPDX-License-Identifier: Apache-2.0
#pragma once
// The inside of an ObjectPut.

#include "server/store/object_shard.h"

namespace netstor::store {

struct ObjectPut::State {
  State(ObjectShard::Inside& shard, std::string_view its_bucket, std::optional<std::uint64_t> expected)
      : busy(shard), bucket(its_bucket), size(expected) {}
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static Task<void> append(std::shared_ptr<State> self, const iovec* pieces, unsigned count,
                           std::uint64_t length);
  static Task<void> place(std::shared_ptr<State> self, Cutter& cutter, std::uint64_t length,
                          std::vector<Transfer>& transfers);
  static Task<void> flush(std::shared_ptr<State> self);
  bool fits_inside(std::uint64_t more) const noexcept;
  std::uint64_t next_chunk() const noexcept;

  Busy busy;
  std::string bucket;
  std::optional<std::uint64_t> size;
  std::uint64_t taken = 0;  ///< of all writes
  Content content;          ///< of those that have a place
  std::uint64_t room = 0;   ///< reserved behind the last extent
  Turn placing;
  std::optional<Error> failed;
  bool settled = false;  ///< the extents are the index's
};

}  // namespace netstor::store
