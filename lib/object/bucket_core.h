// SPDX-License-Identifier: Apache-2.0
#pragma once
// What all handles of a bucket share: who and where it is, and its part on every shard.

#include <netstor/bucket.h>

#include "lib/engine/engine.h"
#include "lib/object/credential_cache.h"
#include "lib/object/endpoint.h"
#include "lib/object/object_shard.h"
#include "lib/proto/tls/context.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace netstor::detail {

class BucketCore {
 public:
  /// On any shard. `name` empty: of the service itself.
  static Task<std::shared_ptr<BucketCore>> open(Engine& engine, std::string name, BucketOptions options);
  static Bucket handle(std::shared_ptr<BucketCore> core) { return Bucket(std::move(core)); }
  static const std::shared_ptr<BucketCore>& of(const Bucket& bucket) { return bucket.core_; }

  const std::string& name() const noexcept { return name_; }
  const BucketOptions& options() const noexcept { return options_; }
  const object::Endpoint& endpoint() const noexcept { return endpoint_; }
  const std::string& region() const noexcept { return region_; }
  /// Of https; null otherwise.
  const std::shared_ptr<const tls::Context>& tls() const noexcept { return tls_; }
  /// The endpoint is Amazon's, and was made of the region.
  bool follows_region() const noexcept { return follows_region_; }
  /// On any shard; see CredentialCache::get.
  Future<object::KnownCredentials> credentials(std::uint64_t refused);
  /// On the home shard, by its end.
  void close_credentials() { credentials_->close(); }
  bool finds_credentials() const noexcept { return credentials_->searching(); }
  /// The part that finds them.
  object::ObjectShard& home() noexcept { return *parts_.front(); }
  /// By the environment, as it was when the bucket was opened.
  Result<std::optional<object::Proxy>> proxy_of(const object::Endpoint& endpoint) const {
    return object::proxy_for(proxies_, endpoint.tls, endpoint.host, endpoint.port);
  }

  std::uint64_t memory_share() const noexcept { return options_.memory_limit_bytes / parts_.size(); }
  /// Closed, or its runtime has ended: nothing runs for it any more.
  bool ended() const noexcept { return live_parts_.load(std::memory_order_acquire) == 0; }

  /// This thread's part; null on foreign threads.
  object::ObjectShard* here() noexcept;
  /// A part for a foreign thread's call: shards in turn.
  object::ObjectShard& next() noexcept;

  /// On any shard.
  Task<void> close();
  void part_closed() noexcept { live_parts_.fetch_sub(1, std::memory_order_acq_rel); }

 private:
  BucketCore(Engine& engine, std::string name, BucketOptions options);
  ~BucketCore() = default;
  static void release(BucketCore* core) noexcept;

  Engine& engine_;
  std::string name_;
  BucketOptions options_;
  object::Endpoint endpoint_;
  std::string region_;
  bool follows_region_ = false;
  std::shared_ptr<const tls::Context> tls_;
  object::ProxySettings proxies_;
  std::optional<object::CredentialCache> credentials_;
  std::vector<std::unique_ptr<object::ObjectShard>> parts_;  // by shard
  std::atomic<unsigned> next_{0};
  std::atomic<unsigned> live_parts_{0};  // not closed; at 0 nothing refers to this any more
};

}  // namespace netstor::detail

namespace netstor::object {

/// What every operation begins with; holds the bucket for as long as it runs.
struct Call {
  std::shared_ptr<detail::BucketCore> core;
  ObjectShard* shard = nullptr;
};

/// Runs `work(Call)`, which answers a Task<T>, on this shard or, from a foreign thread, on the next one; for
/// no longer than operation_timeout.
template <class F>
auto start(const std::shared_ptr<detail::BucketCore>& core, F work)
    -> Future<typename std::invoke_result_t<F, Call>::value_type> {
  const auto limited = [core](ObjectShard& shard, F& function) {
    auto future = spawn(function(Call{core, &shard}));
    const Duration limit = core->options().operation_timeout;
    return limit == Duration::zero() ? std::move(future) : with_deadline(std::move(future), limit);
  };
  if (ObjectShard* const here = core->here()) return limited(*here, work);
  ObjectShard& shard = core->next();
  return shard.loop().shard().run_on(
      [&shard, limited, work = std::move(work)]() mutable { return limited(shard, work); });
}

}  // namespace netstor::object
