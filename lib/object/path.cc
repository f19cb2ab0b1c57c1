// SPDX-License-Identifier: Apache-2.0
// By what a bucket's payload goes, found out by trying.

#include "lib/object/operations.h"
#include "lib/object/request.h"
#include "lib/wire/s3/rdma.h"

namespace netstor::object {
namespace {

/// Whether the endpoint gives sessions to who asks. Errors: it could not be asked.
Task<bool> is_offered(Call call) {
  Request request(*call.shard, "POST", {});
  request.query(s3::kRdmaQuery);
  bool offered = false;
  request.on_head([&](const http::ResponseHead& head) {
    offered = s3::decode_rdma_offer(head.fields.value(s3::kRdmaSessionHeader)).has_value();
  });
  auto asking = perform(request);
  const Result<void> asked = co_await std::move(asking);
  if (!asked && asked.error().origin() != Origin::s3) co_return asked.error();
  co_return offered;
}

}  // namespace

Task<BucketPath> find_path(Call call) {
  BucketPath path;
  const Pool& pool = call.shard->pool();
  path.transport = pool.endpoint().tls ? "https" : "http";
  path.endpoint = path.transport + "://" + pool.endpoint().authority;
  const BucketOptions& options = call.core->options();
  const auto obstacle = call.shard->pool().rdma_obstacle();
  path.rdma_obstacle = obstacle.value_or("");
  if (options.rdma == RdmaUse::never || options.anonymous || pool.endpoint().proxy) co_return path;
  auto asking = is_offered(call);
  NETSTOR_TRY(path.rdma_offered, co_await std::move(asking));
  if (!path.rdma_offered) path.rdma_obstacle = "the endpoint does not offer it";
  if (!path.rdma_obstacle.empty()) co_return path;
  Request joining(*call.shard, "POST", {});
  joining.session_only = true;
  const Result<void> joined = co_await call.shard->pool().exchange(joining);
  static_cast<void>(joined);  // the exchange says how
  if (joining.outcome == Exchange::Outcome::cancelled) co_return joining.error();
  path.rdma = joining.outcome == Exchange::Outcome::answered;
  if (!path.rdma) path.rdma_obstacle = joining.why;
  co_return path;
}

}  // namespace netstor::object
