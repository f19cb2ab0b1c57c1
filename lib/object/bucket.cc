// SPDX-License-Identifier: Apache-2.0
// The calls of bucket.h: copies what the caller may forget, finds the shard, starts the operation.

#include <netstor/bucket.h>
#include <netstor/uri.h>

#include "lib/object/answers.h"
#include "lib/object/operations.h"
#include "lib/object/streams.h"

namespace netstor {

using detail::BucketCore;
using detail::Engine;
using object::Call;
using object::start;

namespace {

/// Runs `open()` on this shard or, from a foreign thread, on one of the runtime's.
template <class F>
auto on_a_shard(Runtime& runtime, F open) {
  Engine& engine = Engine::of(runtime);
  detail::Loop* const here = detail::current_loop;
  const bool ours = here != nullptr && here->index() < engine.shards() && &engine.loop(here->index()) == here;
  detail::ShardLoop& loop = ours ? engine.loop(here->index()) : engine.loop(engine.next_home());
  return loop.shard().run_on([&engine, open = std::move(open)]() mutable { return open(engine); });
}

Task<Bucket> open_bucket(Engine& engine, std::string uri, BucketOptions options) {
  NETSTOR_TRY(const Uri parsed, Uri::parse(uri));
  if (parsed.scheme != "s3" || parsed.host.empty() || parsed.port != 0 ||
      (!parsed.path.empty() && parsed.path != "/")) {
    co_return Error(ErrorKind::invalid_argument,
                    uri + ": s3://BUCKET[?endpoint=URL&region=NAME] is expected");
  }
  for (const auto& [name, value] : parsed.query) {
    if (name == "endpoint") {
      options.endpoint = value;
    } else if (name == "region") {
      options.region = value;
    } else {
      std::string text = uri;
      text.append(": '").append(name).append("' is neither endpoint nor region");
      co_return Error(ErrorKind::invalid_argument, std::move(text));
    }
  }
  auto opening = BucketCore::open(engine, parsed.host, std::move(options));
  NETSTOR_TRY(std::shared_ptr<BucketCore> core, co_await std::move(opening));
  co_return BucketCore::handle(std::move(core));
}

Task<std::vector<BucketInfo>> list_with(Engine& engine, BucketOptions options) {
  auto opening = BucketCore::open(engine, {}, std::move(options));
  NETSTOR_TRY(const std::shared_ptr<BucketCore> core, co_await std::move(opening));
  auto listing = object::list_all_buckets({core, core->here()});
  Result<std::vector<BucketInfo>> listed = co_await std::move(listing);
  auto closing = core->close();
  const Result<void> closed = co_await std::move(closing);
  static_cast<void>(closed);
  co_return listed;
}

}  // namespace

Future<Bucket> Bucket::open(Runtime& runtime, std::string_view uri, BucketOptions options) {
  return on_a_shard(runtime, [uri = std::string(uri), options = std::move(options)](Engine& engine) mutable {
    return open_bucket(engine, std::move(uri), std::move(options));
  });
}

Future<std::vector<BucketInfo>> list_buckets(Runtime& runtime, BucketOptions options) {
  return on_a_shard(runtime, [options = std::move(options)](Engine& engine) mutable {
    return list_with(engine, std::move(options));
  });
}

const std::string& Bucket::name() const noexcept { return core_->name(); }

Future<ObjectInfo> Bucket::head(std::string_view key, GetOptions options) const {
  return start(core_, [key = std::string(key), options = std::move(options)](Call call) mutable {
    return object::head_object(std::move(call), std::move(key), std::move(options));
  });
}

Future<ObjectRead> Bucket::get(std::string_view key, MutableBytes into, GetOptions options) const {
  return start(core_, [key = std::string(key), into, options = std::move(options)](Call call) mutable {
    return object::get_object(std::move(call), std::move(key), object::pieces_of(into), std::move(options));
  });
}

Future<Object> Bucket::get(std::string_view key, GetOptions options) const {
  return start(core_, [key = std::string(key), options = std::move(options)](Call call) mutable {
    return object::get_whole(std::move(call), std::move(key), std::move(options));
  });
}

Future<ObjectInfo> Bucket::get_ranges(std::string_view key, std::span<const RangeRead> ranges,
                                      GetOptions options) const {
  return start(core_, [key = std::string(key), ranges = std::vector<RangeRead>(ranges.begin(), ranges.end()),
                       options = std::move(options)](Call call) mutable {
    return object::get_ranges(std::move(call), std::move(key), std::move(ranges), std::move(options));
  });
}

Future<ObjectInfo> Bucket::put(std::string_view key, Bytes from, PutOptions options) const {
  return start(core_, [key = std::string(key), from, options = std::move(options)](Call call) mutable {
    return object::put_object(std::move(call), std::move(key), object::pieces_of(from), std::move(options));
  });
}

Future<ObjectInfo> Bucket::put(std::string_view key, ConstScatterList from, PutOptions options) const {
  if (from.size() > kScatterPiecesMax) {
    return make_ready<ObjectInfo>(
        Error(ErrorKind::invalid_argument,
              "put: a scatter list of more than " + std::to_string(kScatterPiecesMax) + " pieces"));
  }
  return start(core_, [key = std::string(key), pieces = object::pieces_of(from),
                       options = std::move(options)](Call call) mutable {
    return object::put_object(std::move(call), std::move(key), std::move(pieces), std::move(options));
  });
}

Future<ObjectInfo> Bucket::copy(std::string_view source, std::string_view key, CopyOptions options) const {
  return start(core_, [source = std::string(source), key = std::string(key),
                       options = std::move(options)](Call call) mutable {
    return object::copy_object(std::move(call), std::move(source), std::move(key), std::move(options));
  });
}

Future<void> Bucket::remove(std::string_view key, std::string_view version_id) const {
  return start(core_, [key = std::string(key), version = std::string(version_id)](Call call) mutable {
    return object::remove_object(std::move(call), std::move(key), std::move(version));
  });
}

Future<std::vector<RemoveFailure>> Bucket::remove_many(std::vector<std::string> keys) const {
  return start(core_, [keys = std::move(keys)](Call call) mutable {
    return object::remove_objects(std::move(call), std::move(keys));
  });
}

Future<ListPage> Bucket::list(ListOptions options) const {
  return start(core_, [options = std::move(options)](Call call) mutable {
    return object::list_objects(std::move(call), std::move(options));
  });
}

Future<Pairs> Bucket::tags(std::string_view key, std::string_view version_id) const {
  return start(core_, [key = std::string(key), version = std::string(version_id)](Call call) mutable {
    return object::get_tags(std::move(call), std::move(key), std::move(version));
  });
}

Future<void> Bucket::set_tags(std::string_view key, Pairs tags, std::string_view version_id) const {
  return start(core_, [key = std::string(key), tags = std::move(tags),
                       version = std::string(version_id)](Call call) mutable {
    return object::set_tags(std::move(call), std::move(key), std::move(tags), std::move(version));
  });
}

Future<void> Bucket::remove_tags(std::string_view key, std::string_view version_id) const {
  return start(core_, [key = std::string(key), version = std::string(version_id)](Call call) mutable {
    return object::remove_tags(std::move(call), std::move(key), std::move(version));
  });
}

namespace {

Task<Upload> begin_upload(Call call, std::string key, PutOptions options) {
  const Conditions conditions = std::exchange(options.conditions, {});
  const ChecksumAlgorithm checksum = options.checksum.value_or(call.core->options().checksum);
  const Encryption encryption = options.encryption;
  auto starting = object::start_upload(call, key, std::move(options));
  NETSTOR_TRY(std::string id, co_await std::move(starting));
  co_return detail::UploadCore::handle(std::make_shared<detail::UploadCore>(
      std::move(call.core), std::move(key), std::move(id), conditions, checksum, encryption));
}

Task<ObjectReader> begin_reading(Call call, std::string key, GetOptions options) {
  auto heading = object::head_object(call, key, options);
  NETSTOR_TRY(ObjectInfo info, co_await std::move(heading));
  co_return detail::ReaderCore::handle(
      new detail::ReaderCore(std::move(call), std::move(key), std::move(options), std::move(info)));
}

Task<ObjectWriter> begin_writing(Call call, std::string key, PutOptions options) {
  NETSTOR_CHECK(object::check_key(key));
  co_return detail::WriterCore::handle(
      new detail::WriterCore(std::move(call), std::move(key), std::move(options)));
}

/// On the stream's own shard, whoever asks.
template <class Core, class F>
auto on_its_shard(const std::shared_ptr<Core>& core, F function) {
  return core->call().shard->loop().shard().run_on(
      [core, function = std::move(function)]() mutable { return function(*core); });
}

}  // namespace

Future<Upload> Bucket::start_upload(std::string_view key, PutOptions options) const {
  return start(core_, [key = std::string(key), options = std::move(options)](Call call) mutable {
    return begin_upload(std::move(call), std::move(key), std::move(options));
  });
}

Future<Upload> Bucket::resume_upload(std::string_view key, std::string_view id, PutOptions options) const {
  if (Result<void> sound = object::check_key(key); !sound)
    return make_ready<Upload>(std::move(sound).error());
  if (Result<void> sound = object::check(*core_, options); !sound)
    return make_ready<Upload>(std::move(sound).error());
  const ChecksumAlgorithm checksum = options.checksum.value_or(core_->options().checksum);
  return make_ready<Upload>(detail::UploadCore::handle(std::make_shared<detail::UploadCore>(
      core_, std::string(key), std::string(id), std::move(options.conditions), checksum,
      std::move(options.encryption))));
}

Future<std::vector<UploadInfo>> Bucket::uploads(std::string_view prefix) const {
  return start(core_, [prefix = std::string(prefix)](Call call) mutable {
    return object::list_uploads(std::move(call), std::move(prefix));
  });
}

Future<ObjectReader> Bucket::open_reader(std::string_view key, GetOptions options) const {
  return start(core_, [key = std::string(key), options = std::move(options)](Call call) mutable {
    return begin_reading(std::move(call), std::move(key), std::move(options));
  });
}

Future<ObjectWriter> Bucket::open_writer(std::string_view key, PutOptions options) const {
  return start(core_, [key = std::string(key), options = std::move(options)](Call call) mutable {
    return begin_writing(std::move(call), std::move(key), std::move(options));
  });
}

Future<std::string> Bucket::presign(Method method, std::string_view key,
                                    std::chrono::seconds valid_for) const {
  return start(core_, [method, key = std::string(key), valid_for](Call call) mutable {
    return object::presign(std::move(call), method, std::move(key), valid_for);
  });
}

Future<BucketPath> Bucket::path() const {
  return start(core_, [](Call call) { return object::find_path(std::move(call)); });
}

Future<void> Bucket::create() const {
  return start(core_, [](Call call) { return object::create_bucket(std::move(call)); });
}

Future<void> Bucket::remove_bucket() const {
  return start(core_, [](Call call) { return object::remove_bucket(std::move(call)); });
}

Future<bool> Bucket::versioning() const {
  return start(core_, [](Call call) { return object::get_versioning(std::move(call)); });
}

Future<void> Bucket::set_versioning(bool on) const {
  return start(core_, [on](Call call) { return object::set_versioning(std::move(call), on); });
}

Future<void> Bucket::close() const {
  return start(core_, [](Call call) {
    struct Close {
      static Task<void> run(std::shared_ptr<BucketCore> core) {
        auto closing = core->close();
        co_return co_await std::move(closing);
      }
    };
    return Close::run(std::move(call.core));
  });
}

namespace {
object::PartPlace place_of(const detail::UploadCore& core, unsigned number) {
  return {.key = core.key, .id = core.id, .number = number, .encryption = core.encryption};
}
}  // namespace

const std::string& Upload::key() const noexcept { return core_->key; }
const std::string& Upload::id() const noexcept { return core_->id; }

Future<UploadedPart> Upload::part(unsigned number, Bytes from) const {
  return start(core_->bucket, [core = core_, number, from](Call call) {
    return object::upload_part(std::move(call), place_of(*core, number), object::pieces_of(from),
                               core->checksum);
  });
}

Future<UploadedPart> Upload::part_copy(unsigned number, std::string_view source_key, std::uint64_t offset,
                                       std::uint64_t length, CopyOptions options) const {
  return start(core_->bucket, [core = core_, number, source = std::string(source_key), offset, length,
                               options = std::move(options)](Call call) mutable {
    return object::copy_part(std::move(call), place_of(*core, number), std::move(source), offset, length,
                             std::move(options));
  });
}

Future<std::vector<UploadedPart>> Upload::parts() const {
  return start(core_->bucket, [core = core_](Call call) {
    return object::list_parts(std::move(call), core->key, core->id);
  });
}

Future<ObjectInfo> Upload::complete(std::vector<UploadedPart> parts) const {
  return start(core_->bucket, [core = core_, parts = std::move(parts)](Call call) mutable {
    return object::complete_upload(std::move(call), core->key, core->id, std::move(parts), core->conditions);
  });
}

Future<void> Upload::abort() const {
  return start(core_->bucket, [core = core_](Call call) {
    return object::abort_upload(std::move(call), core->key, core->id);
  });
}

const ObjectInfo& ObjectReader::info() const noexcept { return core_->info(); }

Future<std::uint64_t> ObjectReader::read(MutableBytes into) const {
  return on_its_shard(core_, [into](detail::ReaderCore& core) { return core.read(into); });
}

Future<void> ObjectReader::close() const {
  return on_its_shard(core_, [](detail::ReaderCore& core) { return core.close(); });
}

Future<void> ObjectWriter::write(Bytes from) const {
  return on_its_shard(core_, [from](detail::WriterCore& core) { return core.write(from); });
}

Future<ObjectInfo> ObjectWriter::finish() const {
  return on_its_shard(core_, [](detail::WriterCore& core) { return core.finish(); });
}

Future<void> ObjectWriter::abort() const {
  return on_its_shard(core_, [](detail::WriterCore& core) { return core.abort(); });
}

}  // namespace netstor
