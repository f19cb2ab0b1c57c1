// SPDX-License-Identifier: Apache-2.0
#pragma once
// The rules of buckets, objects, versions and uploads, as changes of the index. One ledger a store, used by
// one thread: changes are decided one after the other against the index as it will be, and then written
// together. What becomes of the bytes in the files is said (freed()), and done elsewhere once the changes are
// durable.

#include "server/store/object_index.h"
#include "server/store/object_record.h"

#include <map>

namespace netstor::store {

/// The error that fault() knows.
Error fault_error(ObjectFault what, std::string text);
Error damaged_index(std::string_view what);

/// Bytes that were staged: in the files, or small and here.
struct Content {
  std::string bytes;
  std::vector<Extent> extents;
  std::uint64_t size = 0;
};

using BucketTable = std::map<std::string, BucketRecord, std::less<>>;

class Ledger {
 public:
  /// Errors: data_corrupt.
  static Result<std::unique_ptr<Ledger>> open(ObjectIndex& index, const ObjectStoreOptions& options);
  explicit Ledger(ObjectIndex& index, const ObjectStoreOptions& options);

  // Between changes.
  void begin();  ///< of one change: what follows is taken back by undo()
  void undo();
  void keep();
  Result<void> commit();  ///< all that was kept, together; forgets it in any case
  std::vector<Extent> take_freed() { return std::exchange(freed_, {}); }
  const BucketTable& buckets() const noexcept { return buckets_; }
  std::uint64_t bucket_changes() const noexcept { return bucket_changes_; }
  const ObjectUsage& usage() const noexcept { return usage_; }

  // Changes. Errors as in object_store.h.
  Result<Bucket> create_bucket(const std::string& name, std::int64_t now_ms);
  Result<void> remove_bucket(const std::string& name);
  Result<void> set_versioning(const std::string& name, Versioning versioning);
  Result<void> set_anonymous(const std::string& name, AnonymousAccess access);

  Result<ObjectVersion> put_object(const std::string& bucket, const std::string& key, ObjectFacts facts,
                                   Content& content, const ObjectConditions& conditions, std::int64_t now_ms);
  Result<RemovedObject> remove_object(const std::string& bucket, const std::string& key,
                                      const std::string& version_id, const ObjectConditions& conditions,
                                      std::int64_t now_ms);
  Result<std::string> set_tags(const std::string& bucket, const std::string& key,
                               const std::string& version_id, NamedValues tags);
  Result<ObjectVersion> copy_object(const CopySource& source, const std::string& bucket,
                                    const std::string& key, std::optional<ObjectFacts> facts,
                                    const ObjectConditions& conditions, std::int64_t now_ms);

  Result<Upload> create_upload(const std::string& bucket, const std::string& key, ObjectFacts facts,
                               std::int64_t now_ms);
  Result<ObjectPart> put_part(const std::string& bucket, const std::string& key, const std::string& upload_id,
                              std::uint32_t number, ObjectFacts facts, Content& content, std::int64_t now_ms);
  Result<ObjectPart> copy_part(const CopySource& source, const std::string& bucket, const std::string& key,
                               const std::string& upload_id, std::uint32_t number, ObjectFacts facts,
                               std::int64_t now_ms);
  Result<ObjectVersion> complete_upload(const std::string& bucket, const std::string& key,
                                        const std::string& upload_id, const std::vector<WantedPart>& parts,
                                        ObjectFacts facts, const ObjectConditions& conditions,
                                        std::int64_t now_ms);
  Result<void> abort_upload(const std::string& bucket, const std::string& key, const std::string& upload_id);

 private:
  enum class Place : std::uint8_t { current, behind };
  struct Located {
    VersionRecord record;
    Place place = Place::current;
  };

  Result<BucketRecord> bucket_of(const std::string& name) const;
  void put_bucket(const BucketRecord& record);
  std::uint64_t next_number() { return ++number_; }

  template <class Record>
  Result<std::optional<Record>> read(Map map, const std::string& key) const;
  Result<std::optional<VersionRecord>> current(const BucketRecord& bucket, const std::string& key) const;
  Result<Located> locate(const BucketRecord& bucket, const std::string& key,
                         const std::string& version_id) const;
  /// The newest behind the current one.
  Result<std::optional<VersionRecord>> newest_behind(const BucketRecord& bucket,
                                                     const std::string& key) const;
  static Result<void> check(const ObjectConditions& conditions, const std::optional<VersionRecord>& current);

  /// Puts `record` in front of what is there, as the bucket's versioning says.
  Result<void> put_in_front(const BucketRecord& bucket, const std::string& key, VersionRecord& record,
                            std::optional<VersionRecord> current);
  Result<ObjectVersion> put_version(const BucketRecord& bucket, const std::string& key, ObjectFacts facts,
                                    Layout layout, const ObjectConditions& conditions, std::int64_t now_ms);
  Result<void> take_out(const BucketRecord& bucket, const std::string& key, const Located& located);
  void store(const std::string& key, const VersionRecord& record);
  Result<void> forget(const VersionRecord& record);

  Result<Layout> layout_of(const VersionRecord& record) const;
  void add_content(Content& content, std::vector<Extent>& extents);
  /// The bytes [offset, offset + length) of `from`, shared.
  Result<std::vector<Extent>> share(const std::vector<Extent>& from, std::uint64_t offset,
                                    std::uint64_t length);
  Result<void> release(const std::vector<Extent>& extents);
  Result<Located> source_of(const CopySource& source, Layout& layout, std::uint64_t& length) const;

  Result<std::pair<std::uint64_t, UploadRecord>> upload_of(const BucketRecord& bucket, const std::string& key,
                                                           const std::string& upload_id) const;
  Result<ObjectPart> store_part(std::uint64_t upload, std::uint32_t number, ObjectFacts facts,
                                std::vector<Extent> extents, std::int64_t now_ms);
  Result<Layout> assemble(std::uint64_t upload, const std::vector<WantedPart>& wanted);

  ObjectIndex& index_;
  const ObjectStoreOptions& options_;
  std::unique_ptr<IndexChange> change_;
  BucketTable buckets_;
  std::uint64_t bucket_changes_ = 0;
  std::uint64_t number_ = 0;
  ObjectUsage usage_;
  std::vector<Extent> freed_;
  // As they were at begin().
  ObjectUsage usage_before_;
  std::size_t freed_before_ = 0;
  std::optional<BucketTable> buckets_before_;
  // As they were at the last commit().
  ObjectUsage usage_kept_;
  std::optional<BucketTable> buckets_kept_;
};

}  // namespace netstor::store
