// SPDX-License-Identifier: Apache-2.0
#include "lib/object/bucket_core.h"

#include "lib/object/credentials.h"
#include "lib/object/helper_thread.h"
#include "lib/object/plan.h"

namespace netstor::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

Error invalid(std::string text) { return {ErrorKind::invalid_argument, "BucketOptions::" + std::move(text)}; }

Result<void> check(const BucketOptions& options) {
  const auto timeout = [](Duration value) { return value >= milliseconds(1) && value <= minutes(10); };
  if (options.connections < 1 || options.connections > 1024) return invalid("connections must be 1 to 1,024");
  if (options.part_bytes < object::kPartBytesLeast || options.part_bytes > object::kPartBytesMost) {
    return invalid("part_bytes must be 5 MiB to 5 GiB");
  }
  if (options.rdma_from_bytes < 1) return invalid("rdma_from_bytes must be at least 1");
  if (options.rdma == RdmaUse::required && options.anonymous)
    return invalid("rdma: required needs credentials, and anonymous has none");
  if (options.rdma == RdmaUse::required && options.payload_signing == PayloadSigning::always)
    return invalid("rdma: required leaves payloads unsigned, and payload_signing: always does not");
  if (options.parallel < 1 || options.parallel > 64) return invalid("parallel must be 1 to 64");
  if (options.memory_limit_bytes < (1u << 20)) return invalid("memory_limit_bytes must be at least 1 MiB");
  if (!timeout(options.connect_timeout)) return invalid("connect_timeout: 1 ms to 10 min");
  if (!timeout(options.first_byte_timeout)) return invalid("first_byte_timeout: 1 ms to 10 min");
  if (!timeout(options.idle_timeout)) return invalid("idle_timeout: 1 ms to 10 min");
  if (options.hedge_after != Duration::zero() && !timeout(options.hedge_after))
    return invalid("hedge_after: 0, or 1 ms to 10 min");
  if (options.operation_timeout < Duration::zero()) return invalid("operation_timeout must not be negative");
  if (options.retries > 20) return invalid("retries must be at most 20");
  if (options.retry_delay <= Duration::zero() || options.retry_delay_max < options.retry_delay) {
    return invalid("retry_delay must be more than 0 and at most retry_delay_max");
  }
  return {};
}

}  // namespace

BucketCore::BucketCore(Engine& engine, std::string name, BucketOptions options)
    : engine_(engine), name_(std::move(name)), options_(std::move(options)) {}

Task<std::shared_ptr<BucketCore>> BucketCore::open(Engine& engine, std::string name, BucketOptions options) {
  NETSTOR_CHECK(check(options));
  std::unique_ptr<BucketCore, void (*)(BucketCore*)> core(
      new BucketCore(engine, std::move(name), std::move(options)), [](BucketCore* made) { delete made; });
  auto looking =
      object::on_helper_thread(this_shard_loop(), [&core] { return object::look_around(core->options_); });
  NETSTOR_TRY(object::Surroundings around, co_await std::move(looking));
  core->region_ = std::move(around.region);
  core->follows_region_ = around.endpoint.empty();
  NETSTOR_TRY(core->endpoint_,
              object::make_endpoint(around.endpoint, core->region_, core->options_.addressing, core->name_));
  core->proxies_ = std::move(around.proxies);
  NETSTOR_TRY(core->endpoint_.proxy, core->proxy_of(core->endpoint_));
  if (core->endpoint_.tls) {
    auto reading = object::on_helper_thread(this_shard_loop(), [&core, &around] {
      return tls::Context::make({.ca_file = around.ca_file,
                                 .certificate_file = core->options_.client_certificate_file,
                                 .key_file = core->options_.client_key_file});
    });
    NETSTOR_TRY(core->tls_, co_await std::move(reading));
  }
  core->credentials_.emplace(engine.loop(0), core->options_);
  for (unsigned i = 0; i < engine.shards(); ++i) {
    core->parts_.push_back(std::make_unique<object::ObjectShard>(*core, engine.loop(i)));
  }
  for (auto& part : core->parts_) {
    ++core->live_parts_;
    auto joined = part->loop().shard().run_on([&part] { return part->open(); });
    const Result<void> opened = co_await std::move(joined);
    if (!opened) {
      auto closing = core->close();
      const Result<void> closed = co_await std::move(closing);
      co_return opened.error();
    }
  }
  auto refreshing = core->here()->refresh_credentials();
  if (Result<void> found = co_await std::move(refreshing); !found) {
    auto closing = core->close();
    NETSTOR_CHECK(co_await std::move(closing));
    co_return std::move(found).error();
  }
  co_return std::shared_ptr<BucketCore>(core.release(), &BucketCore::release);
}

Future<object::KnownCredentials> BucketCore::credentials(std::uint64_t refused) {
  return home().loop().shard().run_on([this, refused] { return credentials_->get(refused); });
}

object::ObjectShard* BucketCore::here() noexcept {
  Loop* const loop = current_loop;
  if (loop == nullptr || loop->index() >= parts_.size() || &engine_.loop(loop->index()) != loop)
    return nullptr;
  return parts_[loop->index()].get();
}

object::ObjectShard& BucketCore::next() noexcept {
  return *parts_[next_.fetch_add(1, std::memory_order_relaxed) % parts_.size()];
}

Task<void> BucketCore::close() {
  std::vector<Future<void>> ends;
  for (auto& part : parts_) {
    ends.push_back(part->loop().shard().run_on([&part] { return part->close(); }));
  }
  auto all = co_await when_all(std::move(ends));
  static_cast<void>(all);
  co_return ok();
}

void BucketCore::release(BucketCore* core) noexcept {
  struct End {
    static Task<void> run(BucketCore* ended) {
      auto closing = ended->close();
      Result<void> closed = co_await std::move(closing);
      // The end of the runtime may be closing it, too.
      for (auto& part : ended->parts_) {
        auto unused = part->loop().shard().run_on([&part] { return part->users().none(); });
        NETSTOR_CHECK(co_await std::move(unused));
      }
      delete ended;
      co_return closed;
    }
  };
  if (core->ended()) {
    delete core;  // closed, or its runtime has ended
  } else {
    core->parts_.front()->loop().shard().run_on([core] { return End::run(core); }).detach();
  }
}

}  // namespace netstor::detail
