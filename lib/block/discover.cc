// SPDX-License-Identifier: Apache-2.0
// Asking a discovery service.

#include <netstor/uri.h>
#include <netstor/volume.h>

#include "lib/engine/completion.h"
#include "lib/engine/engine.h"
#include "lib/engine/stop_asks.h"

namespace netstor {
namespace {

Task<std::vector<DiscoveredSubsystem>> ask(std::string uri, VolumeOptions options) {
  NETSTOR_TRY(const Uri parsed, Uri::parse(uri));
  detail::ShardLoop& loop = detail::this_shard_loop();
  const auto ending = [&uri] {
    return Error(ErrorKind::cancelled, "discover " + uri + ": the runtime is ending");
  };
  if (loop.stopping()) co_return ending();
  NETSTOR_TRY(Port * port, loop.port(parsed.scheme));
  std::vector<DiscoveredSubsystem> found;
  DiscoverOp op;
  op.uri = uri;
  op.options = &options;
  op.found = &found;
  CancellableCompletion done(op, [&] { port->cancel_discover(op); });
  const detail::StopAsks stopping(loop, done);
  port->discover(op);
  co_await done;
  if (op.result.ok) co_return std::move(found);
  // The end of the runtime rings every alarm, that of the connect among them.
  if (loop.stopping()) co_return ending();
  Error error = op.result.error("discover " + uri);
  if (op.detail.empty()) co_return std::move(error);
  co_return Error(error.kind(), "discover " + uri + ": " + op.detail, error.effect(), error.origin(),
                  error.native());
}

}  // namespace

Future<std::vector<DiscoveredSubsystem>> discover(Runtime& runtime, std::string_view uri,
                                                  VolumeOptions options) {
  return runtime.shard(0).run_on([uri = std::string(uri), options = std::move(options)]() mutable {
    return ask(std::move(uri), std::move(options));
  });
}

}  // namespace netstor
