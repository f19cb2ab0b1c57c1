// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pages of the index: objects, versions, uploads, parts. They may wait for the disk: for helper threads. Each
// page is one moment of the index.

#include "server/store/object_ledger.h"

namespace netstor::store {

struct UploadQuery {
  std::string prefix = {};
  std::string delimiter = {};
  std::string after_key = {};
  std::string after_id = {};
  unsigned max = 1000;
};

Result<ListPage> list_objects(const ObjectIndex& index, const BucketRecord& bucket, const ListQuery& query);
Result<ListPage> list_versions(const ObjectIndex& index, const BucketRecord& bucket, const ListQuery& query);
Result<UploadPage> list_uploads(const ObjectIndex& index, const BucketRecord& bucket,
                                const UploadQuery& query);
Result<PartPage> list_parts(const ObjectIndex& index, const BucketRecord& bucket, const std::string& key,
                            const std::string& upload_id, std::uint32_t after, unsigned max);

/// One version, as an object_store.h's open() and stat() look for it.
struct Lookup {
  VersionRecord record;
  Layout layout;                    ///< when wanted
  std::vector<PinnedValue> inside;  ///< the bytes of extents that rest in the index; the others are empty
};
/// Nothing: it is not cached, and `cached` was asked.
Result<std::optional<Lookup>> look_up(const ObjectIndex& index, const BucketRecord& bucket,
                                      std::string_view key, std::string_view version_id, bool with_bytes,
                                      bool cached);

}  // namespace netstor::store
