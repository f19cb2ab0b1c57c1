// SPDX-License-Identifier: Apache-2.0
// See netstord_buckets.h.

#include "server/netstord_buckets.h"

#include "lib/base/hash.h"
#include "lib/proto/tls/certificate.h"
#include "server/store/safe_file.h"

namespace netstor::server {

namespace {

constexpr std::size_t kKeyBytesMax = 1 << 20;

/// OpenSSL reads the key by itself; who else may is ours to look at.
Result<void> check_key_file(const ServerOptions& options) {
  if (options.s3_certificate_key.empty()) return ok();
  auto text = store::read_secret_file(options.s3_certificate_key, kKeyBytesMax, options.credentials);
  if (!text) return std::move(text).error().with_context("--s3-key");
  wipe(std::as_writable_bytes(std::span(*text)));
  return ok();
}

}  // namespace

Result<void> BucketServer::open(const std::string& state, const ServerOptions& options) {
  keys_file_ = keys_file_of(state, options);
  auto keys = s3server::Keys::read(keys_file_, options.credentials);
  if (!keys && keys.error().kind() == ErrorKind::not_found && options.s3_keys.empty()) {
    NETSTOR_CHECK_RETURN(s3server::Keys::make(keys_file_));
    keys_made_ = true;
    keys = s3server::Keys::read(keys_file_, options.credentials);
  }
  if (!keys) return std::move(keys).error();
  keys_.emplace(*std::move(keys));
  NETSTOR_TRY_RETURN(tls_, tls_of(options));
  if (tls_ != nullptr) complaint_ = tls::certificate_complaint(options.s3_certificate);
  NETSTOR_TRY_RETURN(store_, store::ObjectStore::open(state + "/objects"));
  return ok();
}

std::string BucketServer::keys_file_of(const std::string& state, const ServerOptions& options) {
  return options.s3_keys.empty() ? state + "/s3-keys" : options.s3_keys;
}

Result<std::shared_ptr<const tls::Context>> BucketServer::tls_of(const ServerOptions& options) {
  if (options.s3_certificate.empty() && options.s3_certificate_key.empty())
    return std::shared_ptr<const tls::Context>();
  NETSTOR_CHECK_RETURN(check_key_file(options));
  auto made = tls::Context::make({.role = tls::Role::server,
                                  .certificate_file = options.s3_certificate,
                                  .key_file = options.s3_certificate_key});
  if (!made) return std::move(made).error().with_context("--s3-cert, --s3-key");
  return std::shared_ptr<const tls::Context>(*std::move(made));
}

Result<void> BucketServer::start(Runtime& runtime, const ServerOptions& options, net::Warnings& warnings,
                                 s3server::Keys keys) {
  runtime_ = &runtime;
  s3server::EndpointConfig config;
  config.connections_max = (options.connections_max + options.shards - 1) / options.shards;
  config.domain = options.s3_domain;
  config.tls = tls_;
  config.warnings = &warnings;
  config.slow_limit = slow_limit_of(options);
  if (options.memory_bytes) config.buffer_bytes = *options.memory_bytes / options.shards;
  NETSTOR_TRY_RETURN(endpoint_, s3server::Endpoint::start(runtime, config, *store_, std::move(keys)));
  for (const BucketFlag& bucket : options.buckets) {
    auto prepared = endpoint_->prepare_bucket(bucket.name, bucket.anonymous).get();
    if (!prepared) return std::move(prepared).error().with_context("bucket '" + bucket.name + "'");
  }
  return ok();
}

Result<Address> BucketServer::listen(const Address& address) { return endpoint_->listen(address).get(); }

Result<Address> BucketServer::listen_rdma(const Address& address) {
  return endpoint_->listen_rdma(address).get();
}

std::vector<std::string> BucketServer::names() {
  std::vector<std::string> names;
  if (endpoint_ == nullptr) return names;
  for (const store::Bucket& bucket : endpoint_->buckets().get().value_or({})) names.push_back(bucket.name);
  return names;
}

void BucketServer::release() {
  endpoint_.reset();
  store_.reset();
}

}  // namespace netstor::server
