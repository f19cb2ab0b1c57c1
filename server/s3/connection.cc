// SPDX-License-Identifier: Apache-2.0

#include "server/s3/connection.h"

#include "lib/wire/s3/error_code.h"
#include "lib/wire/s3/xml.h"
#include "server/s3/endpoint_shard.h"
#include "server/s3/exchange.h"
#include "server/s3/rdma_session.h"

namespace netstor::s3server {

namespace {

s3::ErrorCode code_of_refusal(unsigned status) {
  switch (status) {
    case 408:
      return s3::ErrorCode::request_timeout;
    case 411:
      return s3::ErrorCode::missing_content_length;
    case 413:
      return s3::ErrorCode::entity_too_large;
    case 414:
      return s3::ErrorCode::invalid_uri;
    case 431:
      return s3::ErrorCode::request_header_section_too_large;
    case 501:
      return s3::ErrorCode::not_implemented;
    default:
      return s3::ErrorCode::bad_request;
  }
}

/// What the machine refuses before there is an exchange is said in S3's words, too.
http::ServerOptions with_refusal(EndpointShard& shard) {
  http::ServerOptions options = shard.config().http;
  options.refusal = [&shard](unsigned status) {
    const s3::ErrorFacts& known = s3::facts(code_of_refusal(status));
    s3::ErrorBody body;
    body.code = known.name;
    body.message = known.message;
    body.request_id = shard.next_request_id();
    std::string text;
    s3::encode(body, text);
    return text;
  };
  return options;
}

}  // namespace

Connection::Connection(EndpointShard& shard, std::uint64_t id, std::unique_ptr<Link> link)
    : HttpConnection(shard.context(), with_refusal(shard), std::move(link)), shard_(shard), id_(id) {}

Task<void> Connection::answer() {
  Exchange exchange(*this);
  auto answering = exchange.run();
  auto answered = co_await std::move(answering);
  co_return std::move(answered);
}

void Connection::over() noexcept { shard_.connection_gone(*this); }

void Connection::ends() noexcept {
  if (rdma_ != nullptr) rdma_->end();
}

}  // namespace netstor::s3server
