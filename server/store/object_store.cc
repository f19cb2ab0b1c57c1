// SPDX-License-Identifier: Apache-2.0
// ObjectStore and the calls of ObjectShard that are one change, or one page, each.

#include "server/store/object_store.h"

#include "server/store/object_put.h"

namespace netstor::store {

ObjectStore::ObjectStore(std::shared_ptr<ObjectCore> core) : core_(std::move(core)) {}
ObjectStore::~ObjectStore() = default;

Result<std::unique_ptr<ObjectStore>> ObjectStore::open(const std::string& path, ObjectStoreOptions options) {
  NETSTOR_TRY_RETURN(auto core, ObjectCore::open(path, std::move(options)));
  return std::unique_ptr<ObjectStore>(new ObjectStore(std::move(core)));
}

std::unique_ptr<ObjectShard> ObjectStore::attach(PortContext& context) {
  return std::make_unique<ObjectShard>(std::make_unique<ObjectShard::Inside>(context, core_));
}

ObjectUsage ObjectStore::usage() const { return core_->usage(); }

ObjectShard::ObjectShard(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
ObjectShard::~ObjectShard() = default;

namespace {

/// One change of the index: what `function` answers, once it is durable. The function owns its arguments.
template <class F, class T = typename std::invoke_result_t<F&, Ledger&>::value_type>
Task<T> change(ObjectShard::Inside* shard, F function) {
  if (shard->closing) co_return shard_closed();
  const Busy busy(*shard);
  auto answer = co_await Committing(*shard->core, std::ref(function));
  co_return answer;
}

/// One page of the index, read by a helper.
template <class F, class T = typename std::invoke_result_t<F&, const ObjectIndex&>::value_type>
Task<T> look(ObjectShard::Inside* shard, F function) {
  if (shard->closing) co_return shard_closed();
  const Busy busy(*shard);
  auto answer = co_await Helped(*shard->core, [&] { return function(shard->core->index()); });
  co_return answer;
}

Task<void> close_shard(ObjectShard::Inside* shard) {
  auto closing = shard->close();
  Result<void> result = co_await std::move(closing);
  co_return result;
}

}  // namespace

// --- buckets ------------------------------------------------------------------------------------------

Future<Bucket> ObjectShard::create_bucket(std::string_view name) {
  return spawn(change(inside_.get(), [name = std::string(name), now = inside_->core->now_ms()](
                                         Ledger& ledger) { return ledger.create_bucket(name, now); }));
}

Future<void> ObjectShard::remove_bucket(std::string_view name) {
  return spawn(change(inside_.get(),
                      [name = std::string(name)](Ledger& ledger) { return ledger.remove_bucket(name); }));
}

Result<Bucket> ObjectShard::bucket(std::string_view name) {
  NETSTOR_TRY_RETURN(const BucketRecord record, inside_->bucket(name));
  return static_cast<const Bucket&>(record);
}

std::vector<Bucket> ObjectShard::buckets() {
  std::vector<Bucket> buckets;
  for (const auto& [name, record] : inside_->buckets()) buckets.push_back(record);
  return buckets;
}

Future<void> ObjectShard::set_versioning(std::string_view bucket, Versioning versioning) {
  return spawn(change(inside_.get(), [name = std::string(bucket), versioning](Ledger& ledger) {
    return ledger.set_versioning(name, versioning);
  }));
}

Future<void> ObjectShard::set_anonymous(std::string_view bucket, AnonymousAccess access) {
  return spawn(change(inside_.get(), [name = std::string(bucket), access](Ledger& ledger) {
    return ledger.set_anonymous(name, access);
  }));
}

// --- objects ------------------------------------------------------------------------------------------

ObjectPut ObjectShard::begin_put(std::string_view bucket, std::optional<std::uint64_t> size) {
  return ObjectPut(std::make_shared<ObjectPut::State>(*inside_, bucket, size));
}

Future<RemovedObject> ObjectShard::remove(std::string_view bucket, std::string_view key,
                                          std::string_view version_id, ObjectConditions conditions) {
  return spawn(
      change(inside_.get(),
             [bucket = std::string(bucket), key = std::string(key), version_id = std::string(version_id),
              conditions = std::move(conditions), now = inside_->core->now_ms()](Ledger& ledger) {
               return ledger.remove_object(bucket, key, version_id, conditions, now);
             }));
}

Future<std::string> ObjectShard::set_tags(std::string_view bucket, std::string_view key,
                                          std::string_view version_id, NamedValues tags) {
  return spawn(change(
      inside_.get(),
      [bucket = std::string(bucket), key = std::string(key), version_id = std::string(version_id),
       tags = std::move(tags)](Ledger& ledger) { return ledger.set_tags(bucket, key, version_id, tags); }));
}

Future<ObjectVersion> ObjectShard::copy(CopySource source, std::string_view bucket, std::string_view key,
                                        std::optional<ObjectFacts> facts, ObjectConditions conditions) {
  return spawn(
      change(inside_.get(), [source = std::move(source), bucket = std::string(bucket), key = std::string(key),
                             facts = std::move(facts), conditions = std::move(conditions),
                             now = inside_->core->now_ms()](Ledger& ledger) {
        return ledger.copy_object(source, bucket, key, facts, conditions, now);
      }));
}

// --- listings -----------------------------------------------------------------------------------------

Future<ListPage> ObjectShard::list(std::string_view bucket, ListQuery query) {
  auto record = inside_->bucket(bucket);
  if (!record) return make_ready<ListPage>(std::move(record).error());
  return spawn(
      look(inside_.get(), [bucket = *std::move(record), query = std::move(query)](const ObjectIndex& index) {
        return list_objects(index, bucket, query);
      }));
}

Future<ListPage> ObjectShard::list_versions(std::string_view bucket, ListQuery query) {
  auto record = inside_->bucket(bucket);
  if (!record) return make_ready<ListPage>(std::move(record).error());
  return spawn(
      look(inside_.get(), [bucket = *std::move(record), query = std::move(query)](const ObjectIndex& index) {
        return store::list_versions(index, bucket, query);
      }));
}

// --- multipart uploads --------------------------------------------------------------------------------

Future<Upload> ObjectShard::create_upload(std::string_view bucket, std::string_view key, ObjectFacts facts) {
  return spawn(
      change(inside_.get(), [bucket = std::string(bucket), key = std::string(key), facts = std::move(facts),
                             now = inside_->core->now_ms()](Ledger& ledger) {
        return ledger.create_upload(bucket, key, facts, now);
      }));
}

Future<ObjectPart> ObjectShard::copy_part(CopySource source, std::string_view bucket, std::string_view key,
                                          std::string_view upload_id, std::uint32_t number,
                                          ObjectFacts facts) {
  return spawn(
      change(inside_.get(), [source = std::move(source), bucket = std::string(bucket), key = std::string(key),
                             upload_id = std::string(upload_id), number, facts = std::move(facts),
                             now = inside_->core->now_ms()](Ledger& ledger) {
        return ledger.copy_part(source, bucket, key, upload_id, number, facts, now);
      }));
}

Future<PartPage> ObjectShard::list_parts(std::string_view bucket, std::string_view key,
                                         std::string_view upload_id, std::uint32_t after, unsigned max) {
  auto record = inside_->bucket(bucket);
  if (!record) return make_ready<PartPage>(std::move(record).error());
  return spawn(
      look(inside_.get(), [bucket = *std::move(record), key = std::string(key),
                           upload_id = std::string(upload_id), after, max](const ObjectIndex& index) {
        return store::list_parts(index, bucket, key, upload_id, after, max);
      }));
}

Future<ObjectVersion> ObjectShard::complete_upload(std::string_view bucket, std::string_view key,
                                                   std::string_view upload_id, std::vector<WantedPart> parts,
                                                   ObjectFacts facts, ObjectConditions conditions) {
  return spawn(change(inside_.get(),
                      [bucket = std::string(bucket), key = std::string(key),
                       upload_id = std::string(upload_id), parts = std::move(parts), facts = std::move(facts),
                       conditions = std::move(conditions), now = inside_->core->now_ms()](Ledger& ledger) {
                        return ledger.complete_upload(bucket, key, upload_id, parts, facts, conditions, now);
                      }));
}

Future<void> ObjectShard::abort_upload(std::string_view bucket, std::string_view key,
                                       std::string_view upload_id) {
  return spawn(change(inside_.get(), [bucket = std::string(bucket), key = std::string(key),
                                      upload_id = std::string(upload_id)](Ledger& ledger) {
    return ledger.abort_upload(bucket, key, upload_id);
  }));
}

Future<UploadPage> ObjectShard::list_uploads(std::string_view bucket, std::string_view prefix,
                                             std::string_view delimiter, std::string_view after_key,
                                             std::string_view after_id, unsigned max) {
  auto record = inside_->bucket(bucket);
  if (!record) return make_ready<UploadPage>(std::move(record).error());
  UploadQuery query{.prefix = std::string(prefix),
                    .delimiter = std::string(delimiter),
                    .after_key = std::string(after_key),
                    .after_id = std::string(after_id),
                    .max = max};
  return spawn(
      look(inside_.get(), [bucket = *std::move(record), query = std::move(query)](const ObjectIndex& index) {
        return store::list_uploads(index, bucket, query);
      }));
}

Future<void> ObjectShard::close() { return spawn(close_shard(inside_.get())); }

}  // namespace netstor::store
