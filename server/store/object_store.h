// SPDX-License-Identifier: Apache-2.0
#pragma once
// The object store: buckets, objects and their versions, multipart uploads; what the S3 endpoint needs of
// storage, and nothing of HTTP, XML or signatures. docs/decisions/0003-object-store.md says how bytes and
// index stay consistent, docs/formats/object-store.md what lies where.
//
//   auto store = *ObjectStore::open(state + "/objects");           // one a process
//   auto shard = store->attach(context);                           // one a shard
//   ObjectPut put = shard->begin_put("photos", size);
//   NETSTOR_CHECK(co_await put.write(pieces, count));              // in order, as often as needed
//   NETSTOR_TRY(auto stored, co_await put.commit("2024/cat.jpg", facts));
//   NETSTOR_TRY(auto reader, co_await shard->open("photos", "2024/cat.jpg"));
//   NETSTOR_CHECK(co_await reader.read(0, into, count));
//
// Durability: what was answered with success by any call that changes something is on stable storage, whole,
// and seen by every call that begins afterwards, on every shard. What was answered with an error whose effect
// is `none`, or was never answered, is not seen, but for the moment of a crash: a change that was under way
// then has happened wholly or not at all. Changes are decided one after the other, in one order for all
// shards.
//
// Names: a bucket's is 1 … 63 bytes, a key 1 … 1,024, any bytes; what S3 allows beyond that is the caller's
// to check. Listings are in the order of raw bytes. Times are milliseconds since 1970 (UTC).
//
// In coroutines: call first, then await (`auto asked = shard->list(…, {}); co_await std::move(asked);`). g++
// 12 destroys twice what is written in braces within an expression that awaits.
//
// Thread rule: ObjectStore's calls from any thread, where not said otherwise. An ObjectShard, and what it
// made, belongs to its shard; nothing there blocks. Arguments are copied during the call, but for pieces.
//
// Bytes: pieces and the list of them are borrowed until the future is ready; dropping it does not give them
// back (drop the ObjectPut and wait for ObjectShard::close(), or wait for the future).
//
// Errors: fault(error) says which of S3's errors it is; others are no_space, exhausted, data_corrupt (the
// index or a file is damaged), device_error, cancelled (the shard was closed).

#include <netstor/future.h>

#include <netstor/ext/driver.h>

#include <sys/uio.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netstor::store {

/// What a caller can have got wrong, or found otherwise than it thought.
enum class ObjectFault : std::uint8_t {
  none,
  no_such_bucket,
  bucket_exists,
  bucket_not_empty,
  no_such_key,
  no_such_version,
  delete_marker,  ///< the key's current version, or the version asked for, is one
  no_such_upload,
  condition_failed,    ///< if_match or if_none_match
  invalid_part,        ///< complete: no such part, or its etag is another
  invalid_part_order,  ///< complete: numbers that do not rise
  part_too_small,      ///< complete: under 5 MiB and not the last
  invalid_argument,    ///< a name's length, a part's number, a range
  too_large,           ///< more than 5 TiB, or tags and headers of more than 64 KiB
};
ObjectFault fault(const Error& error) noexcept;

using NamedValues = std::vector<std::pair<std::string, std::string>>;

struct ObjectChecksum {
  std::uint8_t algorithm = 0;  ///< the caller's number
  bool composite = false;
  std::string value = {};  ///< the caller's form
  friend bool operator==(const ObjectChecksum&, const ObjectChecksum&) = default;
};

/// What the caller tells of an object when it commits it. All of it is kept as it is, and not looked into,
/// but for the etag, by equality.
struct ObjectFacts {
  std::string etag = {};
  NamedValues headers = {};  ///< content-type and the like
  NamedValues user = {};     ///< user metadata
  NamedValues tags = {};
  std::vector<ObjectChecksum> checksums = {};
};

/// A part of a multipart object, as it was numbered.
struct ObjectPart {
  std::uint32_t number = 0;
  std::uint64_t size = 0;
  std::string etag = {};  ///< empty in the parts of a complete object
  std::int64_t modified_ms = 0;
  std::vector<ObjectChecksum> checksums = {};
};

/// A version of an object, or a delete marker.
struct ObjectVersion : ObjectFacts {
  std::string key = {};
  std::string version_id = {};  ///< "null" in a bucket without versions
  std::uint64_t size = 0;
  std::int64_t modified_ms = 0;
  bool latest = true;
  bool delete_marker = false;
  bool versioned = false;              ///< the id is to be told
  std::vector<ObjectPart> parts = {};  ///< of a multipart object; not filled in by listings
};

enum class Versioning : std::uint8_t { off, enabled, suspended };

/// What may be asked of a bucket without a signature.
struct AnonymousAccess {
  bool read = false;
  bool write = false;
  bool list = false;
  friend bool operator==(const AnonymousAccess&, const AnonymousAccess&) = default;
};

struct Bucket {
  std::string name = {};
  std::int64_t created_ms = 0;
  Versioning versioning = Versioning::off;
  AnonymousAccess anonymous = {};
};

/// Decided in the moment of the commit. An etag or "*"; empty: no condition.
struct ObjectConditions {
  std::string if_match = {};       ///< there is a current version, with this etag
  std::string if_none_match = {};  ///< there is none, or none with this etag
};

struct RemovedObject {
  std::string version_id = {};  ///< of what was removed, or of the new delete marker
  bool delete_marker = false;   ///< one was made, or one was removed
  bool versioned = false;
};

/// Asks for a page of a listing. `max` at most 1,000.
struct ListQuery {
  std::string prefix = {};
  std::string delimiter = {};
  std::string after = {};  ///< begin behind this key or common prefix (start-after, a marker, a continuation)
  std::string after_version = {};  ///< versions: and behind this version of it
  unsigned max = 1000;
};

struct ListPage {
  std::vector<ObjectVersion> objects = {};
  std::vector<std::string> common_prefixes = {};
  bool truncated = false;
  std::string next = {};          ///< ListQuery::after for the next page, when truncated
  std::string next_version = {};  ///< ListQuery::after_version, likewise
};

struct Upload {
  std::string key = {};
  std::string id = {};
  std::int64_t created_ms = 0;
  ObjectFacts facts = {};
};

struct UploadPage {
  std::vector<Upload> uploads = {};
  std::vector<std::string> common_prefixes = {};
  bool truncated = false;
  std::string next_key = {};
  std::string next_id = {};
};

struct PartPage {
  Upload upload = {};
  std::vector<ObjectPart> parts = {};
  bool truncated = false;
  std::uint32_t next = 0;  ///< the number of the last part of this page
};

struct WantedPart {
  std::uint32_t number = 0;
  std::string etag = {};
};

/// Where a copy takes its bytes.
struct CopySource {
  std::string bucket = {};
  std::string key = {};
  std::string version_id = {};  ///< empty: the current one
  ObjectConditions conditions = {};
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length = {};  ///< nothing: to the end
};

struct ObjectUsage {
  std::uint64_t buckets = 0;
  std::uint64_t versions = 0;      ///< delete markers too
  std::uint64_t bytes = 0;         ///< their sizes together
  std::uint64_t stored_bytes = 0;  ///< what they and unfinished uploads take in the data files
};

struct ObjectStoreOptions {
  std::size_t inline_bytes_max = 16 << 10;                 ///< smaller ones rest in the index; at most 64 KiB
  std::size_t cache_bytes = 64 << 20;                      ///< of the index
  std::size_t buffer_bytes = 16 << 20;                     ///< of what the index has not sorted yet, twice
  std::uint64_t segment_bytes = std::uint64_t{256} << 30;  ///< of one data file, sparse; 16 MiB …
  unsigned helpers = 2;                                    ///< threads for what has to wait for the disk
  std::uint64_t part_bytes_min = 5 << 20;                  ///< of all parts but the last
  std::function<std::int64_t()> now_ms = {};               ///< empty: the system's clock
  /// For tests: asked before each write of the index; an errno value makes it fail. Any thread.
  std::function<int()> fail_commit = {};
};

class ObjectCore;
class ObjectShard;

class ObjectStore {
 public:
  /// Makes the directory when it is not there. Reads nothing but what it needs to begin, and gives back the
  /// space of whatever had not been finished. Blocks.
  /// Errors: unsupported (written by a newer version), data_corrupt (says what), already_exists (in use),
  /// system errors; in each case nothing there was changed.
  static Result<std::unique_ptr<ObjectStore>> open(const std::string& path, ObjectStoreOptions options = {});
  ObjectStore(const ObjectStore&) = delete;
  ObjectStore& operator=(const ObjectStore&) = delete;
  ~ObjectStore();  ///< after the last shard's close; blocks

  /// This shard's part. `context` is the shard's and outlives it; so does this store. On the shard.
  std::unique_ptr<ObjectShard> attach(PortContext& context);

  /// As of now.
  ObjectUsage usage() const;

 private:
  explicit ObjectStore(std::shared_ptr<ObjectCore> core);
  std::shared_ptr<ObjectCore> core_;
};

/// Bytes on their way into an object or a part. Dropped or aborted without a commit that succeeded, nothing
/// of it remains. Move-only.
class ObjectPut {
 public:
  struct State;
  explicit ObjectPut(std::shared_ptr<State> state);
  ObjectPut(ObjectPut&&) noexcept;
  ObjectPut& operator=(ObjectPut&&) noexcept;
  ~ObjectPut();

  /// Appends; may be called again before the last one is ready, then behind it. After an error only abort().
  /// Errors: no_space; device_error; too_large.
  Future<void> write(const iovec* pieces, unsigned count);
  std::uint64_t written() const noexcept;

  /// Makes all that was written the object. Every write must have been answered. Once.
  /// Errors: no_such_bucket, condition_failed, invalid_argument; no_space, device_error. Answers the version
  /// without its facts.
  Future<ObjectVersion> commit(std::string_view key, ObjectFacts facts, ObjectConditions conditions = {});

  /// Makes it this part of an upload; the last one of a number counts. Facts: etag and checksums.
  /// Errors: no_such_upload, invalid_argument.
  Future<ObjectPart> commit_part(std::string_view key, std::string_view upload_id, std::uint32_t number,
                                 ObjectFacts facts);

  /// The same as dropping it: space is given back when what was under way has ended.
  void abort() noexcept;

 private:
  std::shared_ptr<State> state_;
};

/// An open version. Its bytes stay readable while the reader lives, whatever becomes of the object.
/// Move-only.
class ObjectReader {
 public:
  struct State;
  explicit ObjectReader(std::shared_ptr<State> state);
  ObjectReader(ObjectReader&&) noexcept;
  ObjectReader& operator=(ObjectReader&&) noexcept;
  ~ObjectReader();

  const ObjectVersion& version() const noexcept;
  /// The whole object where it rests in memory (small ones), to be sent from while the reader lives.
  std::optional<std::span<const std::byte>> view() const noexcept;
  /// Fills the pieces from `offset` on. Errors: out_of_range, data_corrupt, device_error.
  Future<void> read(std::uint64_t offset, const iovec* pieces, unsigned count);

 private:
  std::shared_ptr<State> state_;
};

/// The store on one shard.
class ObjectShard {
 public:
  struct Inside;
  explicit ObjectShard(std::unique_ptr<Inside> inside);
  ObjectShard(const ObjectShard&) = delete;
  ObjectShard& operator=(const ObjectShard&) = delete;
  ~ObjectShard();

  // Buckets.
  Future<Bucket> create_bucket(std::string_view name);  ///< bucket_exists
  Future<void> remove_bucket(
      std::string_view name);  ///< no_such_bucket, bucket_not_empty (versions, uploads)
  /// At once, from memory: it is asked with every request.
  Result<Bucket> bucket(std::string_view name);                                 ///< no_such_bucket
  std::vector<Bucket> buckets();                                                ///< by name
  Future<void> set_versioning(std::string_view bucket, Versioning versioning);  ///< never back to off
  Future<void> set_anonymous(std::string_view bucket, AnonymousAccess access);

  // Objects. An empty version id means the current version.
  /// `size`, when known, places the bytes well; it is not a promise. Cheap: nothing is done yet.
  ObjectPut begin_put(std::string_view bucket, std::optional<std::uint64_t> size = std::nullopt);
  /// Errors: no_such_bucket, no_such_key, no_such_version, delete_marker.
  Future<ObjectReader> open(std::string_view bucket, std::string_view key, std::string_view version_id = {});
  /// Without the bytes. A delete marker that is named by its id is answered.
  Future<ObjectVersion> stat(std::string_view bucket, std::string_view key, std::string_view version_id = {});
  /// A key that is not there is removed with success, as S3 does. Many at once share their syncs.
  Future<RemovedObject> remove(std::string_view bucket, std::string_view key,
                               std::string_view version_id = {}, ObjectConditions conditions = {});
  /// Empty: removes them. Answers the version id.
  Future<std::string> set_tags(std::string_view bucket, std::string_view key, std::string_view version_id,
                               NamedValues tags);
  /// Moves no bytes: both then share them. `facts` replaces the source's facts; nothing: keeps them all.
  Future<ObjectVersion> copy(CopySource source, std::string_view bucket, std::string_view key,
                             std::optional<ObjectFacts> facts, ObjectConditions conditions = {});

  // Listings. Without delete markers, or with all versions, the newest of a key first.
  Future<ListPage> list(std::string_view bucket, ListQuery query);
  Future<ListPage> list_versions(std::string_view bucket, ListQuery query);

  // Multipart uploads.
  Future<Upload> create_upload(std::string_view bucket, std::string_view key, ObjectFacts facts);
  Future<ObjectPart> copy_part(CopySource source, std::string_view bucket, std::string_view key,
                               std::string_view upload_id, std::uint32_t number, ObjectFacts facts);
  Future<PartPage> list_parts(std::string_view bucket, std::string_view key, std::string_view upload_id,
                              std::uint32_t after, unsigned max);
  /// Moves no bytes. `facts` may have the etag and checksums, the rest is what the upload was created with.
  /// Errors: no_such_upload, invalid_part, invalid_part_order, part_too_small, condition_failed.
  Future<ObjectVersion> complete_upload(std::string_view bucket, std::string_view key,
                                        std::string_view upload_id, std::vector<WantedPart> parts,
                                        ObjectFacts facts, ObjectConditions conditions = {});
  Future<void> abort_upload(std::string_view bucket, std::string_view key, std::string_view upload_id);
  Future<UploadPage> list_uploads(std::string_view bucket, std::string_view prefix,
                                  std::string_view delimiter, std::string_view after_key,
                                  std::string_view after_id, unsigned max);

  /// Waits for what is under way, refuses what is new, and lets go of the files. Puts and readers must have
  /// been dropped, or be dropped soon. Once, before the destructor.
  Future<void> close();

 private:
  std::unique_ptr<Inside> inside_;
};

}  // namespace netstor::store
