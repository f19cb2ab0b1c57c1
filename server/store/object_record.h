// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the index of the object store holds: keys and values, to and from bytes. docs/formats/object-store.md
// is the same in prose. Values are bounded and checked before they are believed; what is wrong with them is
// data_corrupt.

#include "server/store/object_store.h"

namespace netstor::store {

/// Bytes of an object. In the files: [offset, offset + length) of a segment. In the index: segment 0, and
/// `offset` is the number under which they are kept. `base` is where the extent began that was written as one
/// and is given back as one: a copy of a range has a part of it.
struct Extent {
  std::uint32_t segment = 0;
  std::uint64_t base = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};

/// Where an object's bytes lie, in order, and which parts it was made of.
struct Layout {
  std::vector<Extent> extents;
  std::vector<ObjectPart> parts;
};

struct BucketRecord : Bucket {
  std::uint64_t id = 0;
};

/// A version as it is kept. The first of a key carries what has to be known of the ones behind it.
struct VersionRecord {
  ObjectVersion version;  ///< key and latest are the place's to say
  std::uint64_t sequence = 0;
  bool null = false;                ///< its id is "null"
  bool older = false;               ///< of the current one: there may be others behind it
  std::uint64_t null_sequence = 0;  ///< of the current one: where the null version is behind it; 0: nowhere
  std::uint64_t layout_id = 0;      ///< not 0: the layout is kept apart, under this number
  Layout layout;                    ///< otherwise
};

struct UploadRecord {
  std::int64_t created_ms = 0;
  ObjectFacts facts;
};

struct PartRecord {
  ObjectPart part;
  std::vector<Extent> extents;
};

/// Of an extent that begins at its key: how long, and how many objects have some of it.
struct ExtentRecord {
  std::uint64_t length = 0;
  std::uint64_t references = 0;
};

std::string encode(const BucketRecord& record);
std::string encode(const VersionRecord& record);
std::string encode(const Layout& layout);
std::string encode(const UploadRecord& record);
std::string encode(const PartRecord& record);
std::string encode(const ExtentRecord& record);
bool decode(std::string_view bytes, BucketRecord& record);
bool decode(std::string_view bytes, VersionRecord& record);
bool decode(std::string_view bytes, Layout& layout);
bool decode(std::string_view bytes, UploadRecord& record);
bool decode(std::string_view bytes, PartRecord& record);
bool decode(std::string_view bytes, ExtentRecord& record);

/// "null", or 16 hexadecimal digits.
std::string version_id_of(std::uint64_t sequence, bool null);
/// 0: no version can have this id.
std::uint64_t sequence_of(std::string_view version_id) noexcept;

// Keys. The first letter is the kind; numbers are big-endian, so that their order is that of the bytes.
std::string number_key(std::uint64_t number);
std::string bucket_key(std::string_view name);                         ///< 'B' name
std::string object_key(std::uint64_t bucket, std::string_view key);    ///< 'O' bucket key
std::string versions_key(std::uint64_t bucket, std::string_view key);  ///< 'V' bucket key end
std::string version_key(std::uint64_t bucket, std::string_view key,
                        std::uint64_t sequence);                      ///< newest first
std::string uploads_key(std::uint64_t bucket, std::string_view key);  ///< 'U' bucket key end
std::string upload_key(std::uint64_t bucket, std::string_view key, std::uint64_t upload);
std::string part_key(std::uint64_t upload, std::uint32_t number);     ///< 'P' upload number
std::string extent_key(std::uint32_t segment, std::uint64_t offset);  ///< 'X' segment offset
inline constexpr std::string_view kCounterKey = "N";  ///< the highest number that was ever given
inline constexpr std::string_view kUsageKey = "S";

/// The kind and the bucket of 'O', 'V' and 'U' keys.
inline constexpr std::size_t kKeyPrefixBytes = 9;
/// What follows the prefix in 'V' and 'U' keys; false when it is no such key.
bool split_key(std::string_view rest, std::string& key, std::uint64_t& number);
Extent extent_at(std::string_view index_key) noexcept;
/// The part of an 'U' or 'V' key that all keys beginning with `prefix` have in common.
std::string escaped(std::string_view prefix);
/// The first key behind all that begin with `prefix`; empty when there is none.
std::string behind_prefix(std::string prefix);

std::string encode_usage(const ObjectUsage& usage);
bool decode_usage(std::string_view bytes, ObjectUsage& usage);
std::uint64_t decode_number(std::string_view bytes) noexcept;

}  // namespace netstor::store
