// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/bucket_ends.h"

#include "tools/netstor/endpoints.h"
#include "tools/netstor/failure.h"
#include "tools/netstor/hash.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace netstor::tool {
namespace {

constexpr std::uint64_t kPartBytes = 8 << 20;
constexpr std::uint64_t kPartsMost = 10'000;
constexpr std::uint64_t kCopyMost = std::uint64_t{5} << 30;
constexpr std::uint64_t kCopyPart = std::uint64_t{512} << 20;
constexpr std::size_t kStreamChunk = 1 << 20;

Task<void> get_range(Bucket bucket, std::string key, MutableBytes into, GetOptions options) {
  auto coming = bucket.get(key, into, std::move(options));
  NETSTOR_TRY(const ObjectRead read, co_await std::move(coming));
  if (read.bytes == into.size()) co_return ok();
  co_return Error(ErrorKind::protocol, "s3://" + bucket.name() + "/" + key + " came short");
}

Task<void> put_whole(Bucket bucket, std::string key, Bytes from, PutOptions options) {
  auto putting = bucket.put(key, from, std::move(options));
  const Result<ObjectInfo> put = co_await std::move(putting);
  if (!put) co_return Error(put.error());
  co_return ok();
}

Task<void> send_part(Upload upload, unsigned number, Bytes from, UploadedPart* sent) {
  auto sending = upload.part(number, from);
  NETSTOR_TRY(*sent, co_await std::move(sending));
  co_return ok();
}

Result<void> write_all(const OutputFile& to, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(to.file.fd(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Error::system(errno, "writing " + to.name);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return ok();
}

}  // namespace

std::uint64_t part_bytes_for(std::uint64_t size_bytes) {
  const std::uint64_t least = (size_bytes + kPartsMost - 1) / kPartsMost;
  return std::max(kPartBytes, round_up(least, 1 << 20));
}

Result<std::size_t> BucketSource::read(std::uint64_t position, MutableBytes into, Future<void>& done) {
  if (position >= length_) return 0;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), length_ - position));
  GetOptions options;
  options.offset = position;
  options.conditions.if_match = info_.etag;
  options.version_id = info_.version_id;
  Shard& shard = runtime_.shard(next_shard_++ % runtime_.shards());
  done = shard.run_on([bucket = bucket_, key = info_.key, into = into.first(wanted),
                       options = std::move(options)] { return get_range(bucket, key, into, options); });
  return wanted;
}

BucketSink::~BucketSink() {
  // What could not be given up now is the service's to tidy, as after any client that died.
  if (upload_) static_cast<void>(upload_->abort().get().ok());
}

Future<void> BucketSink::write(std::uint64_t position, MutableBytes room, std::size_t length) {
  const Bytes bytes(room.first(length));
  const std::uint64_t number = position / chunk_bytes_;
  Shard& shard = runtime_.shard(static_cast<unsigned>(number % runtime_.shards()));
  if (position == 0 && length < chunk_bytes_) {
    put_ = true;
    return shard.run_on([bucket = bucket_, key = key_, bytes, options = options_] {
      return put_whole(bucket, key, bytes, options);
    });
  }
  if (!upload_) {
    Result<Upload> started = bucket_.start_upload(key_, options_).get();
    if (!started) return make_ready<void>(std::move(started).error());
    upload_.emplace(*std::move(started));
  }
  parts_.emplace_back();
  return shard.run_on([upload = *upload_, number = static_cast<unsigned>(number) + 1, bytes,
                       part = &parts_.back()] { return send_part(upload, number, bytes, part); });
}

Result<void> BucketSink::finish() {
  if (upload_) {
    const Result<ObjectInfo> stored = upload_->complete({parts_.begin(), parts_.end()}).get();
    if (!stored) return stored.error();
    upload_.reset();
  } else if (!put_) {
    const Result<ObjectInfo> stored = bucket_.put(key_, Bytes(), options_).get();
    if (!stored) return stored.error();
  }
  return ok();
}

Result<std::uint64_t> put_stream(const InputFile& from, const Bucket& bucket, const std::string& key,
                                 const PutOptions& options, const Tell& tell, Sha256* hash) {
  NETSTOR_TRY_RETURN(const ObjectWriter writer, bucket.open_writer(key, options).get());
  NETSTOR_TRY_RETURN(Buffer buffer, Buffer::allocate(kStreamChunk));
  FileSource source(from);
  std::uint64_t total = 0;
  for (;;) {
    Future<void> read;
    NETSTOR_TRY_RETURN(const std::size_t had, source.read(total, buffer.bytes(), read));
    if (had == 0) break;
    const Bytes bytes = Bytes(buffer.bytes()).first(had);
    if (hash != nullptr) hash->update(bytes);
    NETSTOR_CHECK_RETURN(writer.write(bytes).get());
    tell(total += had);
  }
  const Result<ObjectInfo> stored = writer.finish().get();
  if (!stored) return stored.error();
  return total;
}

Result<std::uint64_t> get_stream(const Bucket& bucket, const std::string& key, const GetOptions& get,
                                 std::uint64_t length, const OutputFile& to, const Tell& tell) {
  NETSTOR_TRY_RETURN(const ObjectReader reader, bucket.open_reader(key, get).get());
  NETSTOR_TRY_RETURN(Buffer buffer, Buffer::allocate(kStreamChunk));
  std::uint64_t total = 0;
  while (total < length) {
    const MutableBytes room =
        buffer.bytes().first(static_cast<std::size_t>(std::min<std::uint64_t>(kStreamChunk, length - total)));
    NETSTOR_TRY_RETURN(const std::uint64_t had, reader.read(room).get());
    if (had == 0) break;
    NETSTOR_CHECK_RETURN(write_all(to, Bytes(room).first(static_cast<std::size_t>(had))));
    tell(total += had);
  }
  NETSTOR_CHECK_RETURN(reader.close().get());
  return total;
}

namespace {

/// Of a large object, `kParallel` parts at a time.
Result<std::vector<UploadedPart>> copy_parts(const Upload& upload, const Bucket& from,
                                             const ObjectInfo& source) {
  constexpr std::size_t kParallel = 8;
  const std::uint64_t size_bytes = source.size_bytes;
  const std::uint64_t part = std::max(kCopyPart, part_bytes_for(size_bytes));
  netstor::CopyOptions options;
  options.source_bucket = from.name();
  options.source_conditions.if_match = source.etag;  // one version, whatever is put meanwhile
  std::deque<Future<UploadedPart>> pending;
  std::vector<UploadedPart> parts;
  unsigned number = 0;
  std::uint64_t at = 0;
  while (at < size_bytes || !pending.empty()) {
    if (at < size_bytes && pending.size() < kParallel) {
      const std::uint64_t length = std::min(part, size_bytes - at);
      pending.push_back(upload.part_copy(++number, source.key, at, length, options));
      at += length;
      continue;
    }
    NETSTOR_TRY_RETURN(UploadedPart copied, pending.front().get());
    pending.pop_front();
    parts.push_back(std::move(copied));
  }
  return parts;
}

}  // namespace

Result<void> copy_object(const Bucket& from, const std::string& source, std::uint64_t size_bytes,
                         const Bucket& to, const std::string& key) {
  if (size_bytes <= kCopyMost) {
    netstor::CopyOptions options;
    options.source_bucket = from.name();
    const Result<ObjectInfo> copied = to.copy(source, key, options).get();
    if (!copied) return copied.error();
    return ok();
  }
  // In parts, what the source says of itself is not copied along.
  NETSTOR_TRY_RETURN(const ObjectInfo info, from.head(source).get());
  PutOptions options;
  options.content_type = info.content_type;
  options.cache_control = info.cache_control;
  options.content_encoding = info.content_encoding;
  options.metadata = info.metadata;
  NETSTOR_TRY_RETURN(const Upload upload, to.start_upload(key, options).get());
  Result<std::vector<UploadedPart>> parts = copy_parts(upload, from, info);
  if (parts) {
    const Result<ObjectInfo> stored = upload.complete(*std::move(parts)).get();
    if (stored) return ok();
    static_cast<void>(upload.abort().get().ok());
    return stored.error();
  }
  static_cast<void>(upload.abort().get().ok());
  return parts.error();
}

std::string content_type_of(const std::string& name) {
  using Known = std::pair<std::string_view, std::string_view>;
  constexpr std::array kKnown = {
      Known{"avif", "image/avif"},       Known{"bin", "application/octet-stream"},
      Known{"bmp", "image/bmp"},         Known{"bz2", "application/x-bzip2"},
      Known{"css", "text/css"},          Known{"csv", "text/csv"},
      Known{"gif", "image/gif"},         Known{"gz", "application/gzip"},
      Known{"htm", "text/html"},         Known{"html", "text/html"},
      Known{"ico", "image/x-icon"},      Known{"jpeg", "image/jpeg"},
      Known{"jpg", "image/jpeg"},        Known{"js", "text/javascript"},
      Known{"json", "application/json"}, Known{"md", "text/markdown"},
      Known{"mjs", "text/javascript"},   Known{"mp3", "audio/mpeg"},
      Known{"mp4", "video/mp4"},         Known{"ogg", "audio/ogg"},
      Known{"pdf", "application/pdf"},   Known{"png", "image/png"},
      Known{"svg", "image/svg+xml"},     Known{"tar", "application/x-tar"},
      Known{"tif", "image/tiff"},        Known{"tiff", "image/tiff"},
      Known{"txt", "text/plain"},        Known{"wasm", "application/wasm"},
      Known{"wav", "audio/wav"},         Known{"webm", "video/webm"},
      Known{"webp", "image/webp"},       Known{"woff2", "font/woff2"},
      Known{"xml", "application/xml"},   Known{"zip", "application/zip"},
      Known{"zst", "application/zstd"},
  };
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || name.find('/', dot) != std::string::npos) return {};
  std::string ending = name.substr(dot + 1);
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char each) { return each >= 'A' && each <= 'Z' ? static_cast<char>(each + 32) : each; });
  const auto* const found =
      std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& each) { return each.first == ending; });
  return found == kKnown.end() ? std::string() : std::string(found->second);
}

}  // namespace netstor::tool
