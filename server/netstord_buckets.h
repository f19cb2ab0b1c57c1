// SPDX-License-Identifier: Apache-2.0
#pragma once
// The buckets of netstord: the object store under the state directory, the keys, the endpoint. Nothing of it
// is touched when S3 is not served.

#include "server/netstord_options.h"
#include "server/s3/endpoint.h"

#include <memory>
#include <string>
#include <vector>

namespace netstor::server {

class BucketServer {
 public:
  /// The keys (made when there are none and the options name no file) and the object store. Errors:
  /// what s3server::Keys, store::ObjectStore and, of the certificate, tls::Context answer.
  Result<void> open(const std::string& state, const ServerOptions& options);
  bool opened() const noexcept { return store_ != nullptr; }
  /// After the runtime's start. Errors: invalid_argument (--max-memory), those of the store.
  /// `keys`: who may do what from the start on.
  Result<void> start(Runtime& runtime, const ServerOptions& options, net::Warnings& warnings,
                     s3server::Keys keys);
  /// Of the keys file, as open() read it.
  const s3server::Keys& file_keys() const noexcept { return *keys_; }
  static std::string keys_file_of(const std::string& state, const ServerOptions& options);
  Result<Address> listen(const Address& address);
  Result<Address> listen_rdma(const Address& address);
  bool started() const noexcept { return endpoint_ != nullptr; }
  /// Ready when nothing is served any more; then release(), before the runtime goes.
  Future<void> stop(Duration grace) { return endpoint_->stop(grace); }
  void release();

  /// By name; for the report.
  std::vector<std::string> names();
  const std::string& keys_file() const noexcept { return keys_file_; }
  bool keys_made() const noexcept { return keys_made_; }
  bool secure() const noexcept { return tls_ != nullptr; }
  /// What is wrong with the certificate that is served all the same; empty: nothing.
  const std::string& complaint() const noexcept { return complaint_; }
  /// What open() makes of --s3-cert and --s3-key; null without them.
  static Result<std::shared_ptr<const tls::Context>> tls_of(const ServerOptions& options);
  /// Null when nothing is served.
  s3server::Endpoint* endpoint() noexcept { return endpoint_.get(); }
  const store::ObjectStore* objects() const noexcept { return store_.get(); }

 private:
  Runtime* runtime_ = nullptr;
  std::unique_ptr<store::ObjectStore> store_;
  std::unique_ptr<s3server::Endpoint> endpoint_;
  std::optional<s3server::Keys> keys_;
  std::shared_ptr<const tls::Context> tls_;
  std::string keys_file_;
  std::string complaint_;
  bool keys_made_ = false;
};

}  // namespace netstor::server
