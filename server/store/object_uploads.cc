// SPDX-License-Identifier: Apache-2.0
// Multipart uploads of object_ledger.h.

#include "server/store/object_ledger.h"

namespace netstor::store {

namespace {

constexpr std::uint32_t kPartsMax = 10000;

Error no_upload() { return fault_error(ObjectFault::no_such_upload, "there is no such upload"); }

}  // namespace

Result<Upload> Ledger::create_upload(const std::string& bucket, const std::string& key, ObjectFacts facts,
                                     std::int64_t now_ms) {
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(bucket));
  if (key.empty() || key.size() > 1024) {
    return fault_error(ObjectFault::invalid_argument, "a key has 1 to 1024 bytes");
  }
  const std::uint64_t id = next_number();
  UploadRecord upload{.created_ms = now_ms, .facts = std::move(facts)};
  change_->put(Map::index, upload_key(record.id, key, id), encode(upload));
  return Upload{
      .key = key, .id = version_id_of(id, false), .created_ms = now_ms, .facts = std::move(upload.facts)};
}

Result<std::pair<std::uint64_t, UploadRecord>> Ledger::upload_of(const BucketRecord& bucket,
                                                                 const std::string& key,
                                                                 const std::string& upload_id) const {
  const std::uint64_t id = sequence_of(upload_id);
  if (id == 0) return no_upload();
  std::optional<UploadRecord> record(std::in_place);
  PinnedValue value;
  const Found found = change_->get(Map::index, upload_key(bucket.id, key, id), value);
  if (found == Found::no) return no_upload();
  if (found != Found::yes || !decode(value.bytes(), *record)) return damaged_index("an upload");
  return std::pair(id, *std::move(record));
}

Result<ObjectPart> Ledger::store_part(std::uint64_t upload, std::uint32_t number, ObjectFacts facts,
                                      std::vector<Extent> extents, std::int64_t now_ms) {
  const std::string key = part_key(upload, number);
  PinnedValue value;
  const Found found = change_->get(Map::index, key, value);
  if (found == Found::yes) {
    PartRecord before;
    if (!decode(value.bytes(), before)) return damaged_index("a part");
    NETSTOR_CHECK_RETURN(release(before.extents));
  } else if (found != Found::no) {
    return damaged_index("a look-up failed");
  }
  PartRecord record;
  record.part.number = number;
  record.part.etag = std::move(facts.etag);
  record.part.checksums = std::move(facts.checksums);
  record.part.modified_ms = now_ms;
  for (const Extent& extent : extents) record.part.size += extent.length;
  record.extents = std::move(extents);
  change_->put(Map::index, key, encode(record));
  return std::move(record.part);
}

Result<ObjectPart> Ledger::put_part(const std::string& bucket, const std::string& key,
                                    const std::string& upload_id, std::uint32_t number, ObjectFacts facts,
                                    Content& content, std::int64_t now_ms) {
  if (number < 1 || number > kPartsMax) {
    return fault_error(ObjectFault::invalid_argument, "a part's number is 1 to 10000");
  }
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(bucket));
  NETSTOR_TRY_RETURN(const auto upload, upload_of(record, key, upload_id));
  std::vector<Extent> extents;
  add_content(content, extents);
  return store_part(upload.first, number, std::move(facts), std::move(extents), now_ms);
}

Result<ObjectPart> Ledger::copy_part(const CopySource& source, const std::string& bucket,
                                     const std::string& key, const std::string& upload_id,
                                     std::uint32_t number, ObjectFacts facts, std::int64_t now_ms) {
  if (number < 1 || number > kPartsMax) {
    return fault_error(ObjectFault::invalid_argument, "a part's number is 1 to 10000");
  }
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(bucket));
  NETSTOR_TRY_RETURN(const auto upload, upload_of(record, key, upload_id));
  Layout layout;
  std::uint64_t length = 0;
  NETSTOR_TRY_RETURN(const Located located, source_of(source, layout, length));
  NETSTOR_TRY_RETURN(auto extents, share(layout.extents, source.offset, length));
  if (facts.etag.empty()) facts.etag = located.record.version.etag;
  return store_part(upload.first, number, std::move(facts), std::move(extents), now_ms);
}

/// Checks the wanted parts, and takes all of the upload out of the index.
Result<Layout> Ledger::assemble(std::uint64_t upload, const std::vector<WantedPart>& wanted) {
  if (wanted.empty()) return fault_error(ObjectFault::invalid_part, "an object of no parts");
  for (std::size_t i = 1; i < wanted.size(); ++i) {
    if (wanted[i].number > wanted[i - 1].number) continue;
    return fault_error(ObjectFault::invalid_part_order, "the numbers of the parts have to rise");
  }
  Layout layout;
  auto next = wanted.begin();
  const std::string prefix = part_key(upload, 0).substr(0, kKeyPrefixBytes);
  const auto walk = change_->walk(Map::index);
  std::vector<std::string> keys;
  std::vector<Extent> unwanted;
  for (walk->seek(prefix); walk->valid() && walk->key().starts_with(prefix); walk->next()) {
    PartRecord record;
    if (!decode(walk->value(), record)) return damaged_index("a part");
    keys.emplace_back(walk->key());
    if (next == wanted.end() || record.part.number < next->number) {
      unwanted.insert(unwanted.end(), record.extents.begin(), record.extents.end());
      continue;
    }
    if (record.part.number > next->number || record.part.etag != next->etag) break;
    if (next + 1 != wanted.end() && record.part.size < options_.part_bytes_min) {
      return fault_error(ObjectFault::part_too_small,
                         "part " + std::to_string(next->number) + " is too small for not being the last");
    }
    layout.extents.insert(layout.extents.end(), record.extents.begin(), record.extents.end());
    record.part.etag.clear();
    layout.parts.push_back(std::move(record.part));
    ++next;
  }
  NETSTOR_CHECK_RETURN(walk->valid() ? Result<void>() : walk->good());
  if (next != wanted.end()) {
    return fault_error(ObjectFault::invalid_part,
                       "part " + std::to_string(next->number) + " is not there, or has another etag");
  }
  for (const std::string& key : keys) change_->erase(Map::index, key);
  NETSTOR_CHECK_RETURN(release(unwanted));
  return layout;
}

Result<ObjectVersion> Ledger::complete_upload(const std::string& bucket, const std::string& key,
                                              const std::string& upload_id,
                                              const std::vector<WantedPart>& parts, ObjectFacts facts,
                                              const ObjectConditions& conditions, std::int64_t now_ms) {
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(bucket));
  NETSTOR_TRY_RETURN(auto upload, upload_of(record, key, upload_id));
  NETSTOR_TRY_RETURN(Layout layout, assemble(upload.first, parts));
  ObjectFacts whole = std::move(upload.second.facts);
  whole.etag = std::move(facts.etag);
  if (!facts.checksums.empty()) whole.checksums = std::move(facts.checksums);
  change_->erase(Map::index, upload_key(record.id, key, upload.first));
  return put_version(record, key, std::move(whole), std::move(layout), conditions, now_ms);
}

Result<void> Ledger::abort_upload(const std::string& bucket, const std::string& key,
                                  const std::string& upload_id) {
  NETSTOR_TRY_RETURN(const BucketRecord record, bucket_of(bucket));
  NETSTOR_TRY_RETURN(const auto upload, upload_of(record, key, upload_id));
  const std::string prefix = part_key(upload.first, 0).substr(0, kKeyPrefixBytes);
  const auto walk = change_->walk(Map::index);
  std::vector<std::string> keys;
  std::vector<Extent> extents;
  for (walk->seek(prefix); walk->valid() && walk->key().starts_with(prefix); walk->next()) {
    PartRecord part;
    if (!decode(walk->value(), part)) return damaged_index("a part");
    keys.emplace_back(walk->key());
    extents.insert(extents.end(), part.extents.begin(), part.extents.end());
  }
  NETSTOR_CHECK_RETURN(walk->good());
  for (const std::string& part : keys) change_->erase(Map::index, part);
  change_->erase(Map::index, upload_key(record.id, key, upload.first));
  return release(extents);
}

}  // namespace netstor::store
