// SPDX-License-Identifier: Apache-2.0
// See object_index.h.

#include "server/store/object_index.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include <array>
#include <cerrno>
#include <cstdarg>

namespace netstor::store {

namespace {

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

Error index_error(const rocksdb::Status& status, std::string_view what, Effect effect) {
  ErrorKind kind = ErrorKind::device_error;
  if (status.IsCorruption()) kind = ErrorKind::data_corrupt;
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit) kind = ErrorKind::no_space;
  if (status.IsInvalidArgument()) kind = ErrorKind::data_corrupt;  // another layout of columns
  if (status.IsNotSupported()) kind = ErrorKind::unsupported;
  return {kind, std::string(what) + ": " + status.ToString(), effect};
}

/// RocksDB's own log would be one more file that grows.
class Silent final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

class Walk final : public IndexWalk {
 public:
  Walk(rocksdb::Iterator* at, const std::string& what) : at_(at), what_(what) {}
  void seek(std::string_view key) override { at_->Seek(slice(key)); }
  void seek_before(std::string_view key) override { at_->SeekForPrev(slice(key)); }
  void next() override { at_->Next(); }
  bool valid() const override { return at_->Valid(); }
  std::string_view key() const override { return view(at_->key()); }
  std::string_view value() const override { return view(at_->value()); }
  Result<void> good() const override {
    if (at_->status().ok()) return {};
    return index_error(at_->status(), "read " + what_, Effect::none);
  }

 private:
  std::unique_ptr<rocksdb::Iterator> at_;
  const std::string& what_;
};

Found found(const rocksdb::Status& status) {
  if (status.ok()) return Found::yes;
  if (status.IsNotFound()) return Found::no;
  return status.IsIncomplete() ? Found::not_cached : Found::failed;
}

rocksdb::ColumnFamilyOptions columns(Map map, const ObjectIndex::Options& options,
                                     const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions columns;
  columns.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  columns.compression = rocksdb::kNoCompression;
  columns.write_buffer_size = options.buffer_bytes;
  columns.max_write_buffer_number = 3;
  if (map == Map::data) columns.optimize_filters_for_hits = true;
  return columns;
}

rocksdb::DBOptions database(const ObjectIndex::Options& options) {
  rocksdb::DBOptions database;
  database.create_if_missing = options.create;
  database.create_missing_column_families = options.create;
  // A record that was cut short by a crash was not answered; anything else that is wrong in the log is
  // damage.
  database.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  database.info_log = std::make_shared<Silent>();
  database.max_background_jobs = 2;
  database.max_total_wal_size = 4 * options.buffer_bytes;
  database.stats_dump_period_sec = 0;
  database.stats_persist_period_sec = 0;
  return database;
}

}  // namespace

struct PinnedValue::Inside {
  rocksdb::PinnableSlice slice;
};
PinnedValue::PinnedValue() = default;
PinnedValue::~PinnedValue() = default;
PinnedValue::PinnedValue(PinnedValue&&) noexcept = default;
PinnedValue& PinnedValue::operator=(PinnedValue&&) noexcept = default;
std::string_view PinnedValue::bytes() const noexcept {
  return inside_ == nullptr ? std::string_view() : view(inside_->slice);
}

struct ObjectIndex::Inside {
  std::unique_ptr<rocksdb::DB> db;
  std::array<rocksdb::ColumnFamilyHandle*, 2> maps{};
  std::function<int()> fail_commit;
  std::string what;
  bool refusing = false;  ///< after a write failed: until it can begin a new log

  rocksdb::ColumnFamilyHandle* of(Map map) const { return maps[static_cast<std::size_t>(map)]; }
  ~Inside() {
    for (auto* const map : maps) {
      if (map != nullptr) db->DestroyColumnFamilyHandle(map).PermitUncheckedError();
    }
    if (db != nullptr) db->Close().PermitUncheckedError();
  }
};

ObjectIndex::ObjectIndex(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
ObjectIndex::~ObjectIndex() = default;

Result<std::unique_ptr<ObjectIndex>> ObjectIndex::open(const std::string& path, const Options& options) {
  auto inside = std::make_unique<Inside>();
  inside->fail_commit = options.fail_commit;
  inside->what = options.what;
  const auto cache = rocksdb::NewLRUCache(options.cache_bytes, 4);
  const std::vector<rocksdb::ColumnFamilyDescriptor> wanted{
      {rocksdb::kDefaultColumnFamilyName, columns(Map::index, options, cache)},
      {"data", columns(Map::data, options, cache)}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status = options.read_only
                          ? rocksdb::DB::OpenForReadOnly(database(options), path, wanted, &handles, &db)
                          : rocksdb::DB::Open(database(options), path, wanted, &handles, &db);
  if (!status.ok()) {
    Error error = index_error(status, path + ": " + options.what + " cannot be opened", Effect::none);
    const bool missing = error.kind() == ErrorKind::device_error && !options.create && !status.IsIOError();
    return missing ? Error(ErrorKind::data_corrupt, error.text()) : std::move(error);
  }
  inside->db.reset(db);
  std::copy(handles.begin(), handles.end(), inside->maps.begin());
  return std::unique_ptr<ObjectIndex>(new ObjectIndex(std::move(inside)));
}

Found ObjectIndex::get(Map map, std::string_view key, PinnedValue& value, bool cached) const {
  if (value.inside_ == nullptr) {
    value.inside_ = std::make_unique<PinnedValue::Inside>();
  } else {
    value.inside_->slice.Reset();
  }
  rocksdb::ReadOptions options;
  if (cached) options.read_tier = rocksdb::kBlockCacheTier;
  return found(inside_->db->Get(options, inside_->of(map), slice(key), &value.inside_->slice));
}

std::unique_ptr<IndexWalk> ObjectIndex::walk(Map map) const {
  return std::make_unique<Walk>(inside_->db->NewIterator(rocksdb::ReadOptions(), inside_->of(map)),
                                inside_->what);
}

struct IndexChange::Inside {
  explicit Inside(ObjectIndex::Inside& on) : index(on) {}
  ObjectIndex::Inside& index;
  rocksdb::WriteBatchWithIndex batch{rocksdb::BytewiseComparator(), 0, true};
};

IndexChange::IndexChange(ObjectIndex& index) : inside_(std::make_unique<Inside>(*index.inside_)) {}
IndexChange::~IndexChange() = default;

Found IndexChange::get(Map map, std::string_view key, PinnedValue& value) const {
  if (value.inside_ == nullptr) {
    value.inside_ = std::make_unique<PinnedValue::Inside>();
  } else {
    value.inside_->slice.Reset();
  }
  return found(inside_->batch.GetFromBatchAndDB(inside_->index.db.get(), rocksdb::ReadOptions(),
                                                inside_->index.of(map), slice(key), &value.inside_->slice));
}

// What these answer is about an unknown column only, and those here are our own.
void IndexChange::put(Map map, std::string_view key, std::string_view value) {
  inside_->batch.Put(inside_->index.of(map), slice(key), slice(value)).PermitUncheckedError();
}
void IndexChange::erase(Map map, std::string_view key) {
  inside_->batch.Delete(inside_->index.of(map), slice(key)).PermitUncheckedError();
}

std::unique_ptr<IndexWalk> IndexChange::walk(Map map) const {
  auto* const columns = inside_->index.of(map);
  rocksdb::Iterator* const base = inside_->index.db->NewIterator(rocksdb::ReadOptions(), columns);
  return std::make_unique<Walk>(inside_->batch.NewIteratorWithBase(columns, base), inside_->index.what);
}

bool IndexChange::empty() const { return inside_->batch.GetWriteBatch()->Count() == 0; }
void IndexChange::mark() { inside_->batch.SetSavePoint(); }
void IndexChange::back_to_mark() { inside_->batch.RollbackToSavePoint().PermitUncheckedError(); }
void IndexChange::drop_mark() { inside_->batch.PopSavePoint().PermitUncheckedError(); }

Result<void> ObjectIndex::commit(IndexChange& change) {
  const std::string what = "write " + inside_->what;
  if (inside_->fail_commit) {
    if (const int error = inside_->fail_commit(); error != 0) {
      return Error::system(error, what, Effect::unknown);
    }
  }
  if (inside_->refusing) {
    // What failed may lie in the log, cut short or whole: nothing may follow it there.
    if (const auto resumed = inside_->db->Resume(); !resumed.ok()) {
      return index_error(resumed, what, Effect::none);
    }
    inside_->refusing = false;
  }
  rocksdb::WriteOptions options;
  options.sync = true;
  auto& batch = *change.inside_->batch.GetWriteBatch();
  auto status = inside_->db->Write(options, &batch);
  if (!status.ok()) {
    inside_->refusing = true;
    return index_error(status, what, Effect::unknown);
  }
  return {};
}

}  // namespace netstor::store
