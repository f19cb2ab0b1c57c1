// SPDX-License-Identifier: Apache-2.0
// See object_list.h. A common prefix costs one seek, however much lies below it.

#include "server/store/object_list.h"

#include <algorithm>

namespace netstor::store {

namespace {

constexpr unsigned kPageMax = 1000;

/// The common prefix that a key falls under; empty: none.
std::string common_prefix(std::string_view key, std::string_view prefix, std::string_view delimiter) {
  if (delimiter.empty()) return {};
  const auto at = key.find(delimiter, prefix.size());
  return at == std::string_view::npos ? std::string() : std::string(key.substr(0, at + delimiter.size()));
}

/// Goes through the current versions of a bucket's keys.
class KeyWalk {
 public:
  KeyWalk(const ObjectIndex& index, const BucketRecord& bucket, std::string_view prefix)
      : bucket_(bucket.id), walk_(index.walk(Map::index)), prefix_(object_key(bucket.id, prefix)) {}
  void begin(std::string_view after) {
    const std::string from = object_key(bucket_, after);
    walk_->seek(std::max(prefix_, from));
  }
  bool valid() const { return walk_->valid() && walk_->key().starts_with(prefix_); }
  Result<void> good() const { return walk_->valid() ? Result<void>() : walk_->good(); }
  std::string_view key() const { return walk_->key().substr(kKeyPrefixBytes); }
  Result<VersionRecord> record() const {
    VersionRecord record;
    if (!decode(walk_->value(), record)) return damaged_index("a version");
    record.version.key = key();
    record.version.parts.clear();
    return record;
  }
  void next() { walk_->next(); }
  void skip(const std::string& common) { walk_->seek(behind_prefix(object_key(bucket_, common))); }

 private:
  std::uint64_t bucket_;
  std::unique_ptr<IndexWalk> walk_;
  std::string prefix_;
};

/// Counts what a page has, and where the next one begins.
class PageFill {
 public:
  PageFill(ListPage& page, unsigned max) : page_(page), max_(std::min(max, kPageMax)) {}
  /// False: the page is full, and this would be one more.
  bool room() {
    if (page_.objects.size() + page_.common_prefixes.size() < max_) return true;
    page_.truncated = max_ > 0;
    if (!page_.truncated) page_.next.clear();
    return false;
  }
  void add(ObjectVersion version) {
    page_.next = version.key;
    page_.next_version = version.version_id;
    page_.objects.push_back(std::move(version));
  }
  void add_prefix(std::string prefix) {
    page_.next = prefix;
    page_.next_version.clear();
    page_.common_prefixes.push_back(std::move(prefix));
  }
  void end() {
    if (page_.truncated) return;
    page_.next.clear();
    page_.next_version.clear();
  }

 private:
  ListPage& page_;
  std::size_t max_;
};

/// The versions behind the current one, from `below` (a sequence) on down. False when the page is full.
Result<bool> add_behind(const ObjectIndex& index, const BucketRecord& bucket, const std::string& key,
                        std::uint64_t below, PageFill& fill) {
  const std::string prefix = versions_key(bucket.id, key);
  const auto walk = index.walk(Map::index);
  walk->seek(below == 0 ? prefix : version_key(bucket.id, key, below - 1));
  for (; walk->valid() && walk->key().starts_with(prefix); walk->next()) {
    if (!fill.room()) return false;
    VersionRecord record;
    if (!decode(walk->value(), record)) return damaged_index("a version");
    record.version.key = key;
    record.version.latest = false;
    fill.add(std::move(record.version));
  }
  NETSTOR_CHECK_RETURN(walk->valid() ? Result<void>() : walk->good());
  return true;
}

}  // namespace

Result<ListPage> list_objects(const ObjectIndex& index, const BucketRecord& bucket, const ListQuery& query) {
  ListPage page;
  PageFill fill(page, query.max);
  KeyWalk walk(index, bucket, query.prefix);
  walk.begin(query.after);
  const bool behind_common = !query.after.empty() && query.after.starts_with(query.prefix) &&
                             common_prefix(query.after, query.prefix, query.delimiter) == query.after;
  if (behind_common) walk.skip(std::max(query.prefix, query.after));
  while (walk.valid()) {
    NETSTOR_TRY_RETURN(VersionRecord record, walk.record());
    if (record.version.delete_marker || walk.key() == query.after) {
      walk.next();
      continue;
    }
    if (!fill.room()) break;
    const std::string common = common_prefix(walk.key(), query.prefix, query.delimiter);
    if (common.empty()) {
      fill.add(std::move(record.version));
      walk.next();
    } else {
      fill.add_prefix(common);
      walk.skip(common);
    }
  }
  NETSTOR_CHECK_RETURN(walk.good());
  page.next_version.clear();
  fill.end();
  return page;
}

Result<ListPage> list_versions(const ObjectIndex& index, const BucketRecord& bucket, const ListQuery& query) {
  ListPage page;
  PageFill fill(page, query.max);
  KeyWalk walk(index, bucket, query.prefix);
  walk.begin(query.after);
  const bool behind_common = !query.after.empty() && query.after.starts_with(query.prefix) &&
                             common_prefix(query.after, query.prefix, query.delimiter) == query.after;
  if (behind_common) walk.skip(query.after);
  while (walk.valid()) {
    NETSTOR_TRY_RETURN(VersionRecord record, walk.record());
    const std::string key(walk.key());
    const bool resumed = !query.after.empty() && key == query.after;
    if (resumed && query.after_version.empty()) {
      walk.next();
      continue;
    }
    const std::string common = common_prefix(key, query.prefix, query.delimiter);
    if (!common.empty() && !resumed) {
      if (!fill.room()) break;
      fill.add_prefix(common);
      walk.skip(common);
      continue;
    }
    std::uint64_t below = 0;
    if (resumed) {
      const bool null = query.after_version == "null";
      below =
          null ? (record.null ? record.sequence : record.null_sequence) : sequence_of(query.after_version);
    }
    const bool more = record.older;
    if (!resumed) {
      if (!fill.room()) break;
      fill.add(std::move(record.version));
    }
    if (more) {
      NETSTOR_TRY_RETURN(const bool all, add_behind(index, bucket, key, below, fill));
      if (!all) break;
    }
    walk.next();
  }
  NETSTOR_CHECK_RETURN(walk.good());
  fill.end();
  return page;
}

Result<UploadPage> list_uploads(const ObjectIndex& index, const BucketRecord& bucket,
                                const UploadQuery& query) {
  UploadPage page;
  std::string first = uploads_key(bucket.id, {});
  first.resize(kKeyPrefixBytes);
  const std::string prefix = first + escaped(query.prefix);
  const auto walk = index.walk(Map::index);
  std::string from = prefix;
  if (!query.after_key.empty()) {
    const std::uint64_t id = sequence_of(query.after_id);
    // Behind this upload, or behind all of this key.
    from = std::max(from, upload_key(bucket.id, query.after_key, id == 0 ? ~std::uint64_t{0} : id) + '\0');
    if (common_prefix(query.after_key, query.prefix, query.delimiter) == query.after_key) {
      from = std::max(from, behind_prefix(first + escaped(query.after_key)));
    }
  }
  const std::size_t max = std::min(query.max, kPageMax);
  for (walk->seek(from); walk->valid() && walk->key().starts_with(prefix);) {
    Upload upload;
    std::uint64_t id = 0;
    UploadRecord record;
    if (!split_key(walk->key().substr(kKeyPrefixBytes), upload.key, id) || !decode(walk->value(), record)) {
      return damaged_index("an upload");
    }
    if (page.uploads.size() + page.common_prefixes.size() >= max) {
      page.truncated = max > 0;
      break;
    }
    std::string common = common_prefix(upload.key, query.prefix, query.delimiter);
    if (!common.empty()) {
      page.next_key = common;
      page.next_id.clear();
      walk->seek(behind_prefix(first + escaped(common)));
      page.common_prefixes.push_back(std::move(common));
      continue;
    }
    upload.id = version_id_of(id, false);
    upload.created_ms = record.created_ms;
    upload.facts = std::move(record.facts);
    page.next_key = upload.key;
    page.next_id = upload.id;
    page.uploads.push_back(std::move(upload));
    walk->next();
  }
  NETSTOR_CHECK_RETURN(walk->valid() ? Result<void>() : walk->good());
  if (!page.truncated) {
    page.next_key.clear();
    page.next_id.clear();
  }
  return page;
}

Result<PartPage> list_parts(const ObjectIndex& index, const BucketRecord& bucket, const std::string& key,
                            const std::string& upload_id, std::uint32_t after, unsigned max) {
  const std::uint64_t id = sequence_of(upload_id);
  PinnedValue value;
  const Found found =
      id == 0 ? Found::no : index.get(Map::index, upload_key(bucket.id, key, id), value, false);
  if (found == Found::no) return fault_error(ObjectFault::no_such_upload, "there is no such upload");
  UploadRecord upload;
  if (found != Found::yes || !decode(value.bytes(), upload)) return damaged_index("an upload");
  PartPage page;
  page.upload = {
      .key = key, .id = upload_id, .created_ms = upload.created_ms, .facts = std::move(upload.facts)};
  const std::string prefix = part_key(id, 0).substr(0, kKeyPrefixBytes);
  const auto walk = index.walk(Map::index);
  for (walk->seek(part_key(id, after + 1)); walk->valid() && walk->key().starts_with(prefix); walk->next()) {
    if (page.parts.size() >= std::min(max, kPageMax)) {
      page.truncated = max > 0;
      break;
    }
    PartRecord record;
    if (!decode(walk->value(), record)) return damaged_index("a part");
    page.next = record.part.number;
    page.parts.push_back(std::move(record.part));
  }
  NETSTOR_CHECK_RETURN(walk->valid() ? Result<void>() : walk->good());
  return page;
}

// --- one version --------------------------------------------------------------------------------------

namespace {

enum class Read : std::uint8_t { done, gone, not_cached };

template <class Record>
Result<Read> read(const ObjectIndex& index, Map map, const std::string& key, bool cached, Record& into) {
  PinnedValue value;
  switch (index.get(map, key, value, cached)) {
    case Found::yes:
      if (!decode(value.bytes(), into)) return damaged_index("a value that cannot be read");
      return Read::done;
    case Found::no:
      return Read::gone;
    case Found::not_cached:
      return Read::not_cached;
    case Found::failed:
      break;
  }
  return damaged_index("a look-up failed");
}

Error no_version(std::string_view version_id) {
  return version_id.empty() ? fault_error(ObjectFault::no_such_key, "there is no such object")
                            : fault_error(ObjectFault::no_such_version, "there is no such version");
}

Result<Read> read_record(const ObjectIndex& index, const BucketRecord& bucket, std::string_view key,
                         std::string_view version_id, bool cached, VersionRecord& record) {
  NETSTOR_TRY_RETURN(const Read front, read(index, Map::index, object_key(bucket.id, key), cached, record));
  if (front == Read::not_cached) return front;
  if (front == Read::gone) return no_version(version_id);
  const bool null = version_id == "null";
  const std::uint64_t wanted = null ? 0 : sequence_of(version_id);
  if (version_id.empty() || (null ? record.null : wanted == record.sequence && !record.null))
    return Read::done;
  const std::uint64_t sequence = null ? record.null_sequence : wanted;
  if (sequence == 0) return no_version(version_id);
  NETSTOR_TRY_RETURN(const Read behind,
                     read(index, Map::index, version_key(bucket.id, key, sequence), cached, record));
  if (behind == Read::gone || (behind == Read::done && record.null != null)) return no_version(version_id);
  record.version.latest = false;
  return behind;
}

/// The bytes that rest in the index.
Result<Read> read_inside(const ObjectIndex& index, Lookup& found, bool cached) {
  found.inside.resize(found.layout.extents.size());
  for (std::size_t i = 0; i < found.inside.size(); ++i) {
    const Extent& extent = found.layout.extents[i];
    if (extent.segment != 0) continue;
    const Found got = index.get(Map::data, number_key(extent.base), found.inside[i], cached);
    if (got == Found::not_cached) return Read::not_cached;
    if (got == Found::no) return Read::gone;
    if (got != Found::yes || found.inside[i].bytes().size() != extent.length) {
      return damaged_index("the bytes of a small object");
    }
  }
  return Read::done;
}

}  // namespace

Result<std::optional<Lookup>> look_up(const ObjectIndex& index, const BucketRecord& bucket,
                                      std::string_view key, std::string_view version_id, bool with_bytes,
                                      bool cached) {
  std::uint64_t gone_before = 0;
  for (;;) {
    std::optional<Lookup> found(std::in_place);
    NETSTOR_TRY_RETURN(Read got, read_record(index, bucket, key, version_id, cached, found->record));
    if (got == Read::not_cached) return std::optional<Lookup>();
    found->record.version.key = key;
    if (found->record.layout_id == 0) {
      found->layout = std::move(found->record.layout);
    } else {
      NETSTOR_TRY_RETURN(got,
                         read(index, Map::data, number_key(found->record.layout_id), cached, found->layout));
    }
    if (got == Read::done && with_bytes) {
      NETSTOR_TRY_RETURN(got, read_inside(index, *found, cached));
    }
    if (got == Read::not_cached) return std::optional<Lookup>();
    if (got == Read::done) {
      found->record.version.parts = std::move(found->layout.parts);
      return found;
    }
    // Replaced in between: look again. The same version once more cannot be.
    if (found->record.sequence == gone_before) return damaged_index("the bytes of an object are missing");
    gone_before = found->record.sequence;
  }
}

}  // namespace netstor::store
