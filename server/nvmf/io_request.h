// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the server keeps with each request of a queue, in a table beside the queue's own nodes: the store's
// operation, and the memory that the payload uses.

#include <memory>

#include "lib/proto/nvme/target_request.h"
#include "server/net/chunk_pool.h"
#include "server/nvmf/counters.h"
#include "server/store/block_store.h"

namespace netstor::nvmf {

class Connection;
class ShardNamespace;

inline constexpr unsigned kRequestPiecesMax = 17;  // 1 MiB in chunks, and one to spare

struct IoRequest {
  store::StoreOp op;
  Connection* connection = nullptr;
  nvme::TargetRequest* request = nullptr;
  ShardNamespace* space = nullptr;  ///< in use by this request
  IoRequest* next = nullptr;        ///< of the list of those that wait for memory, or for room in the store
  unsigned chunks = 0;              ///< pieces that belong to the shard's pool
  unsigned step = 0;                ///< deallocate: the range that is being done; flush of all: the namespace
  std::uint64_t step_offset = 0;    ///< bytes of that range that are done
  Timing timing;
  iovec pieces[kRequestPiecesMax];
  std::unique_ptr<std::byte[]> admin_data;  ///< answers of admin commands
};

}  // namespace netstor::nvmf
