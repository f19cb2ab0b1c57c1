// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the calls of bucket.h do, each on one shard. Keys and options are the coroutine's own; pieces name the
// caller's bytes.

#include <netstor/bucket.h>

#include "lib/object/bucket_core.h"
#include "lib/object/pieces.h"

namespace netstor::object {

// objects.cc
Task<ObjectInfo> head_object(Call call, std::string key, GetOptions options);
Task<ObjectRead> get_object(Call call, std::string key, PieceList into, GetOptions options);
Task<Object> get_whole(Call call, std::string key, GetOptions options);
Task<ObjectInfo> get_ranges(Call call, std::string key, std::vector<RangeRead> ranges, GetOptions options);
Task<ObjectInfo> copy_object(Call call, std::string source, std::string key, CopyOptions options);
Task<void> remove_object(Call call, std::string key, std::string version_id);
Task<std::vector<RemoveFailure>> remove_objects(Call call, std::vector<std::string> keys);
Task<Pairs> get_tags(Call call, std::string key, std::string version_id);
Task<void> set_tags(Call call, std::string key, Pairs tags, std::string version_id);
Task<void> remove_tags(Call call, std::string key, std::string version_id);

// upload.cc
Task<ObjectInfo> put_object(Call call, std::string key, PieceList from, PutOptions options);
Task<std::string> start_upload(Call call, std::string key, PutOptions options);
struct PartPlace {
  std::string key;
  std::string id;
  unsigned number = 0;
  Encryption encryption{};  ///< of the upload
};
Task<UploadedPart> upload_part(Call call, PartPlace place, PieceList from, ChecksumAlgorithm checksum);
Task<UploadedPart> copy_part(Call call, PartPlace place, std::string source, std::uint64_t offset,
                             std::uint64_t length, CopyOptions options);
Task<std::vector<UploadedPart>> list_parts(Call call, std::string key, std::string id);
Task<ObjectInfo> complete_upload(Call call, std::string key, std::string id, std::vector<UploadedPart> parts,
                                 Conditions conditions);
Task<void> abort_upload(Call call, std::string key, std::string id);
/// The same for an operation that failed: what was uploaded is worth nothing. Of one that was cancelled it
/// goes on behind it. Whether the service forgets it changes nothing for the caller.
Task<void> abandon_upload(Call call, std::string key, std::string id);
Task<std::vector<UploadInfo>> list_uploads(Call call, std::string prefix);

// path.cc
Task<BucketPath> find_path(Call call);

// buckets.cc
Task<ListPage> list_objects(Call call, ListOptions options);
Task<void> create_bucket(Call call);
Task<void> remove_bucket(Call call);
Task<bool> get_versioning(Call call);
Task<void> set_versioning(Call call, bool on);
Task<std::vector<BucketInfo>> list_all_buckets(Call call);
Task<std::string> presign(Call call, Bucket::Method method, std::string key, std::chrono::seconds valid_for);

}  // namespace netstor::object
