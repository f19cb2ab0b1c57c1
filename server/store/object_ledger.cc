// SPDX-License-Identifier: Apache-2.0
// Buckets, objects and their versions of object_ledger.h; uploads are in object_uploads.cc.

#include "server/store/object_ledger.h"

#include "lib/base/assert.h"

#include <algorithm>

namespace netstor::store {

namespace {

constexpr std::uint64_t kObjectBytesMax = std::uint64_t{5} << 40;
constexpr std::size_t kFactsBytesMax = 64 << 10;
constexpr std::size_t kLayoutInsideMax = 8;  // extents and parts that are kept with the version itself

Error no_bucket(const std::string& name) {
  return fault_error(ObjectFault::no_such_bucket, "there is no bucket '" + name + "'");
}

std::size_t bytes_of(const NamedValues& values) {
  std::size_t sum = 0;
  for (const auto& [name, value] : values) sum += name.size() + value.size();
  return sum;
}

Result<void> check_name(const std::string& name, std::size_t max, std::string_view what) {
  if (!name.empty() && name.size() <= max) return {};
  return fault_error(ObjectFault::invalid_argument, std::string(what) + " of " + std::to_string(name.size()) +
                                                        " bytes; 1 to " + std::to_string(max) +
                                                        " are possible");
}

Result<void> check_facts(const ObjectFacts& facts) {
  std::size_t sum = facts.etag.size() + bytes_of(facts.headers) + bytes_of(facts.user) + bytes_of(facts.tags);
  for (const ObjectChecksum& checksum : facts.checksums) sum += checksum.value.size();
  if (sum <= kFactsBytesMax) return {};
  return fault_error(ObjectFault::too_large,
                     "headers, metadata and tags of " + std::to_string(sum) + " bytes");
}

}  // namespace

Error fault_error(ObjectFault what, std::string text) {
  ErrorKind kind = ErrorKind::not_found;
  switch (what) {
    case ObjectFault::bucket_exists:
    case ObjectFault::bucket_not_empty:
      kind = ErrorKind::already_exists;
      break;
    case ObjectFault::condition_failed:
      kind = ErrorKind::compare_failed;
      break;
    case ObjectFault::invalid_part:
    case ObjectFault::invalid_part_order:
    case ObjectFault::part_too_small:
    case ObjectFault::invalid_argument:
    case ObjectFault::too_large:
      kind = ErrorKind::invalid_argument;
      break;
    default:
      break;
  }
  return {kind, std::move(text), Effect::none, Origin::library, static_cast<std::int32_t>(what)};
}

ObjectFault fault(const Error& error) noexcept {
  const std::int32_t native = error.origin() == Origin::library ? error.native() : 0;
  const bool known = native > 0 && native <= static_cast<std::int32_t>(ObjectFault::too_large);
  return known ? static_cast<ObjectFault>(native) : ObjectFault::none;
}

Error damaged_index(std::string_view what) {
  return {ErrorKind::data_corrupt, "the index of the objects is damaged: " + std::string(what)};
}

Ledger::Ledger(ObjectIndex& index, const ObjectStoreOptions& options) : index_(index), options_(options) {
  change_ = std::make_unique<IndexChange>(index_);
}

Result<std::unique_ptr<Ledger>> Ledger::open(ObjectIndex& index, const ObjectStoreOptions& options) {
  auto ledger = std::make_unique<Ledger>(index, options);
  PinnedValue value;
  if (index.get(Map::index, kCounterKey, value, false) == Found::yes) {
    ledger->number_ = decode_number(value.bytes());
  }
  if (index.get(Map::index, kUsageKey, value, false) == Found::yes &&
      !decode_usage(value.bytes(), ledger->usage_)) {
    return damaged_index("its statistics");
  }
  const auto walk = index.walk(Map::index);
  for (walk->seek("B"); walk->valid() && walk->key().starts_with('B'); walk->next()) {
    BucketRecord record;
    if (!decode(walk->value(), record)) return damaged_index("a bucket");
    ledger->buckets_.emplace(record.name, std::move(record));
  }
  NETSTOR_CHECK_RETURN(walk->good());
  ledger->usage_kept_ = ledger->usage_;
  return ledger;
}

void Ledger::begin() {
  change_->mark();
  usage_before_ = usage_;
  freed_before_ = freed_.size();
  buckets_before_.reset();
}

void Ledger::undo() {
  change_->back_to_mark();
  usage_ = usage_before_;
  freed_.resize(freed_before_);
  if (buckets_before_) buckets_ = *std::exchange(buckets_before_, std::nullopt);
}

void Ledger::keep() { change_->drop_mark(); }

Result<void> Ledger::commit() {
  Result<void> done;
  if (!change_->empty()) {
    change_->put(Map::index, kCounterKey, number_key(number_));
    change_->put(Map::index, kUsageKey, encode_usage(usage_));
    done = index_.commit(*change_);
  }
  if (!done) {
    usage_ = usage_kept_;
    // Nothing is given back: what failed may still turn out to have happened, at the next start.
    freed_.clear();
    if (buckets_kept_) buckets_ = *buckets_kept_;
  }
  usage_kept_ = usage_;
  buckets_kept_.reset();
  change_ = std::make_unique<IndexChange>(index_);
  return done;
}

template <class Record>
Result<std::optional<Record>> Ledger::read(Map map, const std::string& key) const {
  PinnedValue value;
  switch (change_->get(map, key, value)) {
    case Found::yes: {
      std::optional<Record> record(std::in_place);
      if (!decode(value.bytes(), *record)) return damaged_index("a value that cannot be read");
      return record;
    }
    case Found::no:
      return std::optional<Record>();
    default:
      return damaged_index("a look-up failed");
  }
}

// --- buckets ------------------------------------------------------------------------------------------

Result<BucketRecord> Ledger::bucket_of(const std::string& name) const {
  const auto at = buckets_.find(name);
  if (at == buckets_.end()) return no_bucket(name);
  return at->second;
}

void Ledger::put_bucket(const BucketRecord& record) {
  if (!buckets_kept_) buckets_kept_ = buckets_;
  if (!buckets_before_) buckets_before_ = buckets_;
  buckets_.insert_or_assign(record.name, record);
  change_->put(Map::index, bucket_key(record.name), encode(record));
  ++bucket_changes_;
}

Result<Bucket> Ledger::create_bucket(const std::string& name, std::int64_t now_ms) {
  NETSTOR_CHECK_RETURN(check_name(name, 63, "a bucket's name"));
  if (buckets_.contains(name)) {
    return fault_error(ObjectFault::bucket_exists, "there is a bucket '" + name + "' already");
  }
  BucketRecord record;
  record.name = name;
  record.created_ms = now_ms;
  record.id = next_number();
  put_bucket(record);
  ++usage_.buckets;
  return static_cast<const Bucket&>(record);
}

Result<void> Ledger::remove_bucket(const std::string& name) {
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(name));
  const auto walk = change_->walk(Map::index);
  for (const char kind : {'O', 'U'}) {
    std::string prefix = object_key(record.id, {});
    prefix[0] = kind;
    walk->seek(prefix);
    if (walk->valid() && walk->key().starts_with(prefix)) {
      return fault_error(ObjectFault::bucket_not_empty, "the bucket '" + name + "' is not empty");
    }
    NETSTOR_CHECK_RETURN(walk->good());
  }
  if (!buckets_kept_) buckets_kept_ = buckets_;
  if (!buckets_before_) buckets_before_ = buckets_;
  buckets_.erase(name);
  change_->erase(Map::index, bucket_key(name));
  ++bucket_changes_;
  --usage_.buckets;
  return {};
}

Result<void> Ledger::set_versioning(const std::string& name, Versioning versioning) {
  NETSTOR_TRY_RETURN(BucketRecord record, bucket_of(name));
  if (versioning == Versioning::off && record.versioning != Versioning::off) {
    return fault_error(ObjectFault::invalid_argument,
                       "versions can be suspended, but not switched off again");
  }
  record.versioning = versioning;
  put_bucket(record);
  return {};
}

Result<void> Ledger::set_anonymous(const std::string& name, AnonymousAccess access) {
  NETSTOR_TRY_RETURN(BucketRecord record, bucket_of(name));
  record.anonymous = access;
  put_bucket(record);
  return {};
}

// --- versions -----------------------------------------------------------------------------------------

Result<std::optional<VersionRecord>> Ledger::current(const BucketRecord& bucket,
                                                     const std::string& key) const {
  return read<VersionRecord>(Map::index, object_key(bucket.id, key));
}

Result<std::optional<VersionRecord>> Ledger::newest_behind(const BucketRecord& bucket,
                                                           const std::string& key) const {
  const std::string prefix = versions_key(bucket.id, key);
  const auto walk = change_->walk(Map::index);
  walk->seek(prefix);
  if (!walk->valid() || !walk->key().starts_with(prefix)) {
    NETSTOR_CHECK_RETURN(walk->good());
    return std::optional<VersionRecord>();
  }
  std::optional<VersionRecord> record(std::in_place);
  if (!decode(walk->value(), *record)) return damaged_index("a version");
  return record;
}

Result<Ledger::Located> Ledger::locate(const BucketRecord& bucket, const std::string& key,
                                       const std::string& version_id) const {
  NETSTOR_TRY_RETURN(auto front, current(bucket, key));
  const bool wants_null = version_id == "null";
  const std::uint64_t wanted = wants_null ? 0 : sequence_of(version_id);
  if (!front || (!version_id.empty() && !wants_null && wanted == 0)) {
    return fault_error(version_id.empty() ? ObjectFault::no_such_key : ObjectFault::no_such_version,
                       "no such object or version");
  }
  const bool is_front = wants_null ? front->null : wanted == front->sequence && !front->null;
  if (version_id.empty() || is_front) return Located{*std::move(front), Place::current};
  const std::uint64_t sequence = wants_null ? front->null_sequence : wanted;
  if (sequence != 0) {
    NETSTOR_TRY_RETURN(auto record, read<VersionRecord>(Map::index, version_key(bucket.id, key, sequence)));
    if (record && record->null == wants_null) return Located{*std::move(record), Place::behind};
  }
  return fault_error(ObjectFault::no_such_version, "no such version");
}

Result<void> Ledger::check(const ObjectConditions& conditions, const std::optional<VersionRecord>& current) {
  const bool there = current && !current->version.delete_marker;
  const auto matches = [&](const std::string& etag) {
    return there && (etag == "*" || etag == current->version.etag);
  };
  if (!conditions.if_match.empty() && !there) {
    return fault_error(ObjectFault::no_such_key, "there is no object that could match");
  }
  if (!conditions.if_match.empty() && !matches(conditions.if_match)) {
    return fault_error(ObjectFault::condition_failed, "the object's etag is another");
  }
  if (!conditions.if_none_match.empty() && matches(conditions.if_none_match)) {
    return fault_error(ObjectFault::condition_failed, "there is such an object");
  }
  return {};
}

void Ledger::store(const std::string& key, const VersionRecord& record) {
  change_->put(Map::index, key, encode(record));
}

/// The version's bytes, and what else was kept of it; its own record is the caller's.
Result<void> Ledger::forget(const VersionRecord& record) {
  NETSTOR_TRY_RETURN(const Layout layout, layout_of(record));
  NETSTOR_CHECK_RETURN(release(layout.extents));
  if (record.layout_id != 0) change_->erase(Map::data, number_key(record.layout_id));
  --usage_.versions;
  usage_.bytes -= record.version.size;
  return {};
}

Result<void> Ledger::put_in_front(const BucketRecord& bucket, const std::string& key, VersionRecord& record,
                                  std::optional<VersionRecord> front) {
  record.sequence = next_number();
  record.null = bucket.versioning != Versioning::enabled;
  record.version.versioned = bucket.versioning != Versioning::off;
  if (front && record.null && front->null) {
    NETSTOR_CHECK_RETURN(forget(*front));
    record.older = front->older;
  } else if (front) {
    record.older = true;
    record.null_sequence = front->null ? front->sequence : front->null_sequence;
    if (record.null && record.null_sequence != 0) {
      const std::string place = version_key(bucket.id, key, record.null_sequence);
      NETSTOR_TRY_RETURN(const auto replaced, read<VersionRecord>(Map::index, place));
      if (!replaced) return damaged_index("a version is missing");
      NETSTOR_CHECK_RETURN(forget(*replaced));
      change_->erase(Map::index, place);
      record.null_sequence = 0;
    }
    front->older = false;
    front->null_sequence = 0;
    store(version_key(bucket.id, key, front->sequence), *front);
  }
  ++usage_.versions;
  usage_.bytes += record.version.size;
  store(object_key(bucket.id, key), record);
  return {};
}

Result<ObjectVersion> Ledger::put_version(const BucketRecord& bucket, const std::string& key,
                                          ObjectFacts facts, Layout layout,
                                          const ObjectConditions& conditions, std::int64_t now_ms) {
  NETSTOR_CHECK_RETURN(check_name(key, 1024, "a key"));
  NETSTOR_CHECK_RETURN(check_facts(facts));
  NETSTOR_TRY_RETURN(auto front, current(bucket, key));
  NETSTOR_CHECK_RETURN(check(conditions, front));
  VersionRecord record;
  static_cast<ObjectFacts&>(record.version) = std::move(facts);
  for (const Extent& extent : layout.extents) record.version.size += extent.length;
  if (record.version.size > kObjectBytesMax) {
    return fault_error(ObjectFault::too_large, "an object of more than 5 TiB");
  }
  record.version.modified_ms = now_ms;
  if (layout.extents.size() + layout.parts.size() > kLayoutInsideMax) {
    record.layout_id = next_number();
    change_->put(Map::data, number_key(record.layout_id), encode(layout));
  } else {
    record.layout = std::move(layout);
  }
  NETSTOR_CHECK_RETURN(put_in_front(bucket, key, record, std::move(front)));
  record.version.key = key;
  record.version.version_id = version_id_of(record.sequence, record.null);
  return std::move(record.version);
}

Result<ObjectVersion> Ledger::put_object(const std::string& bucket, const std::string& key, ObjectFacts facts,
                                         Content& content, const ObjectConditions& conditions,
                                         std::int64_t now_ms) {
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(bucket));
  Layout layout;
  add_content(content, layout.extents);
  return put_version(record, key, std::move(facts), std::move(layout), conditions, now_ms);
}

Result<void> Ledger::take_out(const BucketRecord& bucket, const std::string& key, const Located& located) {
  const VersionRecord& record = located.record;
  NETSTOR_CHECK_RETURN(forget(record));
  const std::string front_key = object_key(bucket.id, key);
  if (located.place == Place::behind) {
    change_->erase(Map::index, version_key(bucket.id, key, record.sequence));
    if (!record.null) return {};
    NETSTOR_TRY_RETURN(auto front, current(bucket, key));
    if (!front) return damaged_index("versions without a current one");
    front->null_sequence = 0;
    store(front_key, *front);
    return {};
  }
  if (record.older) {
    NETSTOR_TRY_RETURN(auto next, newest_behind(bucket, key));
    if (next) {
      change_->erase(Map::index, version_key(bucket.id, key, next->sequence));
      next->older = true;  // or not: then a look behind it finds nothing
      next->null_sequence = next->null ? 0 : record.null_sequence;
      store(front_key, *next);
      return {};
    }
  }
  change_->erase(Map::index, front_key);
  return {};
}

Result<RemovedObject> Ledger::remove_object(const std::string& bucket, const std::string& key,
                                            const std::string& version_id, const ObjectConditions& conditions,
                                            std::int64_t now_ms) {
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(bucket));
  NETSTOR_CHECK_RETURN(check_name(key, 1024, "a key"));
  NETSTOR_TRY_RETURN(auto front, current(record, key));
  NETSTOR_CHECK_RETURN(check(conditions, front));
  RemovedObject removed;
  removed.versioned = record.versioning != Versioning::off;
  if (version_id.empty() && record.versioning != Versioning::off) {
    VersionRecord marker;
    marker.version.delete_marker = true;
    marker.version.modified_ms = now_ms;
    NETSTOR_CHECK_RETURN(put_in_front(record, key, marker, std::move(front)));
    removed.version_id = version_id_of(marker.sequence, marker.null);
    removed.delete_marker = true;
    return removed;
  }
  auto located = locate(record, key, version_id);
  if (!located) {
    // Removing what is not there is no error, S3 says.
    const ObjectFault what = fault(located.error());
    if (what != ObjectFault::no_such_key && what != ObjectFault::no_such_version) {
      return std::move(located).error();
    }
    removed.version_id = version_id;
    return removed;
  }
  removed.version_id = located->record.version.version_id;
  removed.delete_marker = located->record.version.delete_marker;
  NETSTOR_CHECK_RETURN(take_out(record, key, *located));
  return removed;
}

Result<std::string> Ledger::set_tags(const std::string& bucket, const std::string& key,
                                     const std::string& version_id, NamedValues tags) {
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(bucket));
  NETSTOR_TRY_RETURN(Located located, locate(record, key, version_id));
  if (located.record.version.delete_marker) {
    return fault_error(ObjectFault::delete_marker, "a delete marker has no tags");
  }
  located.record.version.tags = std::move(tags);
  NETSTOR_CHECK_RETURN(check_facts(located.record.version));
  const bool front = located.place == Place::current;
  store(front ? object_key(record.id, key) : version_key(record.id, key, located.record.sequence),
        located.record);
  return located.record.version.version_id;
}

// --- bytes --------------------------------------------------------------------------------------------

Result<Layout> Ledger::layout_of(const VersionRecord& record) const {
  if (record.layout_id == 0) return record.layout;
  NETSTOR_TRY_RETURN(auto layout, read<Layout>(Map::data, number_key(record.layout_id)));
  if (!layout) return damaged_index("it does not know where an object's bytes are");
  return *std::move(layout);
}

void Ledger::add_content(Content& content, std::vector<Extent>& extents) {
  for (const Extent& extent : content.extents) {
    change_->put(Map::index, extent_key(extent.segment, extent.base),
                 encode(ExtentRecord{.length = extent.length, .references = 1}));
    usage_.stored_bytes += extent.length;
    extents.push_back(extent);
  }
  if (content.bytes.empty()) return;
  const std::uint64_t id = next_number();
  change_->put(Map::data, number_key(id), content.bytes);
  extents.push_back({.segment = 0, .base = id, .offset = id, .length = content.bytes.size()});
}

Result<std::vector<Extent>> Ledger::share(const std::vector<Extent>& from, std::uint64_t offset,
                                          std::uint64_t length) {
  std::vector<Extent> shared;
  for (const Extent& extent : from) {
    if (offset >= extent.length) {
      offset -= extent.length;
      continue;
    }
    const std::uint64_t take = std::min(extent.length - offset, length);
    if (take == 0) break;
    if (extent.segment == 0) {
      PinnedValue value;
      if (change_->get(Map::data, number_key(extent.base), value) != Found::yes ||
          value.bytes().size() != extent.length) {
        return damaged_index("the bytes of a small object");
      }
      const std::uint64_t id = next_number();
      change_->put(Map::data, number_key(id), value.bytes().substr(offset, take));
      shared.push_back({.segment = 0, .base = id, .offset = id, .length = take});
    } else {
      const std::string key = extent_key(extent.segment, extent.base);
      NETSTOR_TRY_RETURN(auto record, read<ExtentRecord>(Map::index, key));
      if (!record) return damaged_index("an extent that nobody has");
      ++record->references;
      change_->put(Map::index, key, encode(*record));
      shared.push_back(
          {.segment = extent.segment, .base = extent.base, .offset = extent.offset + offset, .length = take});
    }
    length -= take;
    offset = 0;
  }
  return shared;
}

Result<void> Ledger::release(const std::vector<Extent>& extents) {
  for (const Extent& extent : extents) {
    if (extent.segment == 0) {
      change_->erase(Map::data, number_key(extent.base));
      continue;
    }
    const std::string key = extent_key(extent.segment, extent.base);
    NETSTOR_TRY_RETURN(auto record, read<ExtentRecord>(Map::index, key));
    if (!record || record->references == 0) return damaged_index("an extent that nobody has");
    if (--record->references > 0) {
      change_->put(Map::index, key, encode(*record));
      continue;
    }
    change_->erase(Map::index, key);
    usage_.stored_bytes -= record->length;
    freed_.push_back({extent.segment, extent.base, extent.base, record->length});
  }
  return {};
}

Result<Ledger::Located> Ledger::source_of(const CopySource& source, Layout& layout,
                                          std::uint64_t& length) const {
  NETSTOR_TRY_RETURN(const BucketRecord bucket, bucket_of(source.bucket));
  NETSTOR_TRY_RETURN(Located located, locate(bucket, source.key, source.version_id));
  if (located.record.version.delete_marker) {
    return fault_error(ObjectFault::delete_marker, "a delete marker cannot be copied");
  }
  NETSTOR_CHECK_RETURN(check(source.conditions, located.record));
  const std::uint64_t size = located.record.version.size;
  length = source.length.value_or(source.offset > size ? 0 : size - source.offset);
  if (source.offset > size || length > size - source.offset) {
    return fault_error(ObjectFault::invalid_argument, "a range beyond the end of the source");
  }
  NETSTOR_TRY_RETURN(layout, layout_of(located.record));
  return located;
}

Result<ObjectVersion> Ledger::copy_object(const CopySource& source, const std::string& bucket,
                                          const std::string& key, std::optional<ObjectFacts> facts,
                                          const ObjectConditions& conditions, std::int64_t now_ms) {
  NETSTOR_TRY_RETURN(const BucketRecord to, bucket_of(bucket));
  Layout layout;
  std::uint64_t length = 0;
  NETSTOR_TRY_RETURN(const Located located, source_of(source, layout, length));
  Layout shared;
  NETSTOR_TRY_RETURN(shared.extents, share(layout.extents, source.offset, length));
  if (!facts) facts = static_cast<const ObjectFacts&>(located.record.version);
  return put_version(to, key, *std::move(facts), std::move(shared), conditions, now_ms);
}

}  // namespace netstor::store
