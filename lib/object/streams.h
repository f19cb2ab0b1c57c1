// SPDX-License-Identifier: Apache-2.0
#pragma once
// What stands behind Upload, ObjectReader and ObjectWriter.

#include <netstor/bucket.h>

#include "lib/object/operations.h"
#include "lib/object/verify.h"

#include <deque>
#include <memory>
#include <string>

namespace netstor::detail {

class UploadCore {
 public:
  UploadCore(std::shared_ptr<BucketCore> of, std::string its_key, std::string its_id, Conditions when,
             ChecksumAlgorithm with, Encryption by)
      : bucket(std::move(of)),
        key(std::move(its_key)),
        id(std::move(its_id)),
        conditions(std::move(when)),
        checksum(with),
        encryption(std::move(by)) {}
  static Upload handle(std::shared_ptr<UploadCore> core) { return Upload(std::move(core)); }

  const std::shared_ptr<BucketCore> bucket;
  const std::string key;
  const std::string id;
  const Conditions conditions;
  const ChecksumAlgorithm checksum;
  const Encryption encryption;
};

/// Some parts ahead of the reader, each in a buffer of its own. Lives on the shard that opened it.
class ReaderCore {
 public:
  ReaderCore(object::Call call, std::string key, GetOptions options, ObjectInfo info);
  /// Its last handle ends it on its shard: the parts that come are its own memory.
  static ObjectReader handle(ReaderCore* core) { return ObjectReader({core, &ReaderCore::release}); }

  const ObjectInfo& info() const noexcept { return info_; }
  object::Call& call() noexcept { return call_; }
  Task<std::uint64_t> read(MutableBytes into);
  Task<void> close();
  static void release(ReaderCore* core) noexcept;

 private:
  Task<std::uint64_t> fill_in(MutableBytes into);
  struct Part {
    Buffer data;
    object::Reservation memory;
    Future<std::uint64_t> coming;
    std::uint64_t bytes = 0;
    std::uint64_t read = 0;
    bool here = false;
  };
  Task<void> look_ahead();

  object::Call call_;
  std::string key_;
  GetOptions options_;
  ObjectInfo info_;
  std::uint64_t planned_;  // offset behind the last part that was asked for
  std::deque<Part> parts_;
  std::optional<s3::Checksum> kept_;  // of a reader of all bytes
  s3::Checksummer sum_;               // of what was read
  std::optional<Error> failed_;       // what was lost with a read cannot be read again
  bool busy_ = false;                 // with a call
  bool closed_ = false;
};

/// Fills one part after the other and sends each when it is full; a small object goes in one request.
class WriterCore {
 public:
  WriterCore(object::Call call, std::string key, PutOptions options);
  /// Its last handle aborts it on its shard, if it is not finished.
  static ObjectWriter handle(WriterCore* core) { return ObjectWriter({core, &WriterCore::release}); }

  object::Call& call() noexcept { return call_; }
  Task<void> write(Bytes from);
  Task<ObjectInfo> finish();
  Task<void> abort();
  static void release(WriterCore* core) noexcept;

 private:
  Task<void> take(Bytes from);
  Task<ObjectInfo> store();
  Task<void> let_go();
  struct Sending {
    Buffer data;
    object::Reservation memory;
    Future<UploadedPart> done;
  };
  Task<void> send_full();
  Task<void> take_oldest();

  object::Call call_;
  std::string key_;
  PutOptions options_;
  std::string upload_;
  Buffer filling_;
  object::Reservation filling_memory_;
  std::uint64_t filled_ = 0;
  std::deque<Sending> sending_;
  std::vector<UploadedPart> parts_;
  std::optional<Error> failed_;  // bytes are missing: there is nothing to finish any more
  bool busy_ = false;            // with a call
  bool ended_ = false;
};

}  // namespace netstor::detail
