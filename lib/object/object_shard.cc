// SPDX-License-Identifier: Apache-2.0
#include "lib/object/object_shard.h"

#include "lib/base/assert.h"
#include "lib/object/bucket_core.h"

#include <algorithm>

namespace netstor::object {

namespace {
constexpr std::size_t kPoolsMost = 16;
}  // namespace

ObjectShard::ObjectShard(detail::BucketCore& core, detail::ShardLoop& loop)
    : core_(core),
      loop_(loop),
      signer_(core.region()),
      users_([](void* self) noexcept { static_cast<ObjectShard*>(self)->unused(); }, this) {}

ObjectShard::~ObjectShard() {
  for (const auto& pool : pools_) NETSTOR_ASSERT(pool->empty());
}

const BucketOptions& ObjectShard::options() const noexcept { return core_.options(); }

Result<Pool*> ObjectShard::pool_of(const Endpoint& endpoint) {
  for (const auto& pool : pools_) {
    const Endpoint& to = pool->endpoint();
    if (to.authority == endpoint.authority && to.path_prefix == endpoint.path_prefix) return pool.get();
  }
  if (pools_.size() == kPoolsMost)
    return Error(ErrorKind::protocol, "the service redirects to more and more places");
  Endpoint to = endpoint;
  NETSTOR_TRY_RETURN(to.proxy, core_.proxy_of(to));
  pools_.push_back(std::make_unique<Pool>(loop_, *port_, options(), std::move(to), core_.tls()));
  if (closed_) pools_.back()->close();
  return pools_.back().get();
}

Reservation ObjectShard::try_reserve(std::uint64_t bytes) noexcept {
  const std::uint64_t share = core_.memory_share();
  return held_.bytes + bytes <= share ? Reservation(&held_, bytes) : Reservation();
}

Task<Reservation> ObjectShard::reserve(std::uint64_t bytes) {
  if (const std::uint64_t share = core_.memory_share(); bytes > share) {
    co_return Error(ErrorKind::exhausted, std::to_string(bytes) +
                                              " bytes are more than this shard's share of "
                                              "BucketOptions::memory_limit_bytes, " +
                                              std::to_string(share) +
                                              "; read into memory of your own, or raise the limit");
  }
  Time since = loop_.now();
  for (std::uint64_t seen = held_.given_back;;) {
    if (Reservation reserved = try_reserve(bytes)) co_return reserved;
    if (seen != held_.given_back) {
      seen = held_.given_back;
      since = loop_.now();
    } else if (loop_.now() - since > options().first_byte_timeout) {
      co_return Error(ErrorKind::exhausted,
                      "BucketOptions::memory_limit_bytes is held by readers and writers that nobody goes on "
                      "with: read, finish or close them, or raise it");
    }
    // Who waits for memory waits for transfers: looking again every millisecond is nothing beside them.
    NETSTOR_CHECK(co_await sleep(std::chrono::milliseconds(1)));
  }
}

Task<void> ObjectShard::open() {
  loop_.add_stop_hook(*this);
  NETSTOR_TRY(port_, loop_.port("tcp"));
  pools_.push_back(std::make_unique<Pool>(loop_, *port_, options(), core_.endpoint(), core_.tls()));
  current_ = pools_.front().get();
  co_return ok();
}

bool ObjectShard::wants_credentials() const noexcept {
  if (options().anonymous) return false;
  if (credentials_ == 0) return true;
  if (!credentials_end_) return false;
  const auto now = std::chrono::system_clock::now();
  return now >= *credentials_end_ || (now >= *renew_at_ && !renewal_.running());
}

Task<void> ObjectShard::refresh_credentials() {
  if (!wants_credentials()) co_return ok();
  const auto now = std::chrono::system_clock::now();
  if (credentials_ != 0 && now < *credentials_end_) {
    renewal_.begin([this] { return renew(0); });
    co_return ok();
  }
  auto renewing = renewal_.join([this] { return renew(0); });
  co_return co_await std::move(renewing);
}

Task<void> ObjectShard::replace_credentials() {
  auto renewing = renewal_.join([this] { return renew(credentials_); });
  co_return co_await std::move(renewing);
}

Task<void> ObjectShard::renew(std::uint64_t refused) {
  auto asking = core_.credentials(refused);
  Result<KnownCredentials> found = co_await std::move(asking);
  if (!found) co_return std::move(found).error();
  const Credentials& credentials = found->credentials;
  signer_.set_identity({.access_key_id = credentials.access_key_id,
                        .secret_access_key = credentials.secret_access_key,
                        .session_token = credentials.session_token});
  credentials_ = found->number;
  credentials_end_ = credentials.expires;
  renew_at_ = found->renew_at;
  co_return ok();
}

Task<void> ObjectShard::close() {
  const detail::UseCount::Use use(users_);
  if (std::exchange(closed_, true)) {
    while (!finished_) NETSTOR_CHECK(co_await yield());
    co_return ok();
  }
  for (const auto& pool : pools_) pool->close();
  renewal_.cancel();
  if (&core_.home() == this) core_.close_credentials();
  const auto busy = [this] {
    return renewal_.running() || (&core_.home() == this && core_.finds_credentials()) ||
           std::ranges::any_of(pools_, [](const auto& pool) { return !pool->empty(); });
  };
  while (busy()) NETSTOR_CHECK(co_await yield());
  loop_.remove_stop_hook(*this);
  finished_ = true;
  co_return ok();
}

// From then on the core may be freed by any thread.
void ObjectShard::unused() noexcept {
  if (finished_ && !std::exchange(told_, true)) core_.part_closed();
}

void ObjectShard::stop(detail::Runnable& ended) noexcept {
  spawn(close()).then([&ended](Result<void>) { ended.run(ended); }).detach();
}

}  // namespace netstor::object
