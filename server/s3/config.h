// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an endpoint is told: its limits, and how it is called.

#include <netstor/ext/driver.h>

#include <memory>
#include <string>

#include "lib/proto/http/server.h"
#include "lib/proto/tls/context.h"
#include "server/net/warnings.h"

namespace netstor::s3server {

struct EndpointConfig {
  /// On each shard. Further ones are closed at once.
  unsigned connections_max = 4096;
  /// Memory on each shard for objects on their way. Requests wait in order when it is out.
  std::size_t buffer_bytes = 64 << 20;
  /// Heads, deadlines, the size of a body.
  http::ServerOptions http = {};
  /// The region that signatures have to name.
  std::string region = "us-east-1";
  /// Not empty: "BUCKET.domain" as Host names a bucket, beside the path style.
  std::string domain = {};
  /// Set: TLS with this certificate on every connection, and nothing else.
  std::shared_ptr<const tls::Context> tls = {};
  /// Requests that take so long are told of (`warnings`). Duration::max(): none.
  Duration slow_limit = Duration::max();
  /// Told what goes wrong; outlives the endpoint. Nothing: nobody is.
  net::Warnings* warnings = nullptr;
};

}  // namespace netstor::s3server
