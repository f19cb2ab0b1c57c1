// SPDX-License-Identifier: Apache-2.0
#pragma once
// Objects as ends of a copy. What is read and written goes straight between the chunks' memory and the
// service: several ranges, and several parts of one upload, at a time. Streams, whose length nobody knows,
// go through the library's reader and writer instead.

#include <netstor/bucket.h>

#include "tools/netstor/copy.h"

#include <deque>
#include <optional>
#include <string>

namespace netstor::tool {

/// What one request moves: large enough for S3's rule on parts (5 MiB), and for 10,000 of them to hold
/// `size`.
std::uint64_t part_bytes_for(std::uint64_t size_bytes);

/// `length` bytes of one version of an object, from its start.
class BucketSource final : public Source {
 public:
  BucketSource(Runtime& runtime, Bucket bucket, const ObjectInfo& info, std::uint64_t length)
      : runtime_(runtime), bucket_(std::move(bucket)), info_(info), length_(length) {}
  Result<std::size_t> read(std::uint64_t position, MutableBytes into, Future<void>& done) override;

 private:
  Runtime& runtime_;
  Bucket bucket_;
  ObjectInfo info_;
  std::uint64_t length_;
  unsigned next_shard_ = 0;
};

/// One object, visible when all of it is there. What fits into a chunk goes in one request.
class BucketSink final : public Sink {
 public:
  BucketSink(Runtime& runtime, Bucket bucket, std::string key, PutOptions options, std::size_t chunk_bytes)
      : runtime_(runtime),
        bucket_(std::move(bucket)),
        key_(std::move(key)),
        options_(std::move(options)),
        chunk_bytes_(chunk_bytes) {}
  /// An upload that was not finished is given up, so that nobody pays for its parts.
  ~BucketSink() override;
  BucketSink(const BucketSink&) = delete;
  BucketSink& operator=(const BucketSink&) = delete;

  Future<void> write(std::uint64_t position, MutableBytes room, std::size_t length) override;
  Result<void> finish() override;

 private:
  Runtime& runtime_;
  Bucket bucket_;
  std::string key_;
  PutOptions options_;
  std::size_t chunk_bytes_;
  std::optional<Upload> upload_;
  std::deque<UploadedPart> parts_;  // written to by shards, each its own
  bool put_ = false;
};

struct InputFile;
struct OutputFile;
using Tell = std::function<void(std::uint64_t bytes)>;

/// A stream of unknown length becomes an object; answers how many bytes.
Result<std::uint64_t> put_stream(const InputFile& from, const Bucket& bucket, const std::string& key,
                                 const PutOptions& options, const Tell& tell, Sha256* hash);
/// An object, from `get.offset`, at most `length` bytes of it, becomes a stream.
Result<std::uint64_t> get_stream(const Bucket& bucket, const std::string& key, const GetOptions& get,
                                 std::uint64_t length, const OutputFile& to, const Tell& tell);

/// Copies within the service, in parts where S3 wants that (from 5 GiB on).
Result<void> copy_object(const Bucket& from, const std::string& source, std::uint64_t size_bytes,
                         const Bucket& to, const std::string& key);

/// The media type that a name's ending stands for; empty where nobody knows.
std::string content_type_of(const std::string& name);

}  // namespace netstor::tool
