// SPDX-License-Identifier: Apache-2.0
// By what a bucket's payload goes, found out by trying.

#include "lib/object/operations.h"
#include "lib/object/request.h"

namespace netstor::object {
namespace {

/// Where the request went in the end, and what stands there in the way of RDMA on this side.
BucketPath path_to(Request& request) {
  BucketPath path;
  const Endpoint& to = request.pool().endpoint();
  path.transport = to.tls ? "https" : "http";
  path.endpoint = path.transport + "://" + to.authority;
  path.rdma_obstacle = request.pool().rdma_obstacle().value_or("");
  return path;
}

}  // namespace

Task<BucketPath> find_path(Call call) {
  Request joining(*call.shard, "POST", {});
  joining.session_only = true;
  BucketPath path = path_to(joining);
  if (!path.rdma_obstacle.empty()) co_return path;
  auto trying = perform(joining);
  const Result<void> joined = co_await std::move(trying);
  path = path_to(joining);  // redirects may have led elsewhere
  path.rdma_offered = joining.rdma_offered;
  path.rdma = joined.ok();
  if (joined) {
    path.rdma_obstacle.clear();
    co_return path;
  }
  if (joined.error().kind() == ErrorKind::cancelled) co_return joined.error();
  if (!path.rdma_obstacle.empty()) co_return path;
  using Outcome = Exchange::Outcome;
  if (joining.outcome == Outcome::declined || (joining.rdma_missing && joining.rdma_offered)) {
    path.rdma_obstacle = joining.why;
  } else if (joining.outcome == Outcome::answered || joining.rdma_missing) {
    path.rdma_obstacle = "the endpoint did not say: " + joined.error().text();
  } else {
    co_return joined.error();
  }
  co_return path;
}

}  // namespace netstor::object
