// SPDX-License-Identifier: Apache-2.0
#pragma once
// One connection of an S3 client: each request is an Exchange, and what HTTP itself refuses is said in S3's
// words.

#include <string>

#include "server/net/http_connection.h"

namespace netstor::s3server {

class EndpointShard;
class RdmaSession;

/// A connection as an operator sees it.
struct ConnectionFacts {
  unsigned shard = 0;
  std::string peer = {};
};

class Connection final : public net::HttpConnection {
 public:
  Connection(EndpointShard& shard, std::uint64_t id, std::unique_ptr<Link> link);

  std::uint64_t id() const noexcept { return id_; }
  EndpointShard& shard() noexcept { return shard_; }
  /// Over which payload may go; null where there is none (any more). It belongs to the shard.
  RdmaSession* rdma() noexcept { return rdma_; }
  void use_rdma(RdmaSession& session) noexcept { rdma_ = &session; }
  void forget_rdma() noexcept { rdma_ = nullptr; }

 private:
  Task<void> answer() override;
  void over() noexcept override;
  void ends() noexcept override;

  EndpointShard& shard_;
  const std::uint64_t id_;
  RdmaSession* rdma_ = nullptr;
};

}  // namespace netstor::s3server
