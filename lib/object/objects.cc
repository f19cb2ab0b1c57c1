// SPDX-License-Identifier: Apache-2.0
// Reading, copying and removing objects.

#include "lib/base/hash.h"
#include "lib/object/answers.h"
#include "lib/object/operations.h"
#include "lib/object/parallel.h"
#include "lib/object/plan.h"
#include "lib/object/request.h"
#include "lib/object/verify.h"
#include "lib/wire/http/range.h"
#include "lib/wire/s3/checksum.h"

#include <netstor/metrics.h>

#include <array>
#include <cstring>

namespace netstor::object {
namespace {

constexpr std::uint64_t kJoinGap = 64 << 10;  // asking for them costs less than one more request
constexpr int kRangeNotSatisfiable = 416;

std::string name_of(const Call& call, const std::string& key) {
  return "s3://" + call.core->name() + "/" + key;
}

/// Services tell what they keep only when they are asked.
void ask_for_checksum(const Call& call, Request& request) {
  if (call.core->options().verify_checksums) request.header("x-amz-checksum-mode", "ENABLED");
}

/// What a GET tells about its object.
struct Told {
  ObjectInfo info;                                   ///< of the answer, when all of it came
  std::function<void(const ObjectInfo&)> on_head{};  ///< that says of which size the object is; each try's
};

/// One GET of a range, into its place. Answers how many bytes came.
Task<std::uint64_t> get_once(Call call, const std::string& key, std::uint64_t offset, PieceList into,
                             const GetOptions& options, Told* told) {
  const std::uint64_t length = bytes_in(into);
  Request request(*call.shard, "GET", key);
  OptionHeaders headers;
  if (!options.version_id.empty()) request.query("versionId", options.version_id);
  const std::string& expected = options.conditions.if_match;
  Conditions conditions = options.conditions;
  if (is_weak(expected)) conditions.if_match.clear();  // what comes is compared with it
  headers.add(request, conditions);
  headers.add_key(request, options.encryption);
  headers.add_range(request, offset, length);
  if (offset == 0 && told != nullptr) ask_for_checksum(call, request);
  request.offset = offset;
  request.into = into.data();
  request.into_pieces = static_cast<unsigned>(into.size());
  request.into_bytes = length;
  request.expected_body = length;
  NETSTOR_CHECK(request.use_rdma(into, true));
  bool as_asked = false;
  bool sized = false;
  ObjectInfo answered;
  answered.key = key;
  request.on_head([&](const http::ResponseHead& head) {
    // All of the object is a range, too, if it begins where the range was to begin.
    const auto range = http::decode_content_range(head.fields.value("content-range"));
    as_asked = head.status == 206 ? range && range->range && range->range->offset == offset : offset == 0;
    sized = head.status == 206 ? range && range->size : head.content_length.has_value();
    read_info(head, answered);
    if (head.status == 200 && request.rdma_reply != 0) {
      // Its body is empty: what was moved is all that there is.
      answered.size_bytes = request.received;
      sized = false;
    }
    if (as_asked && sized && told != nullptr && told->on_head) told->on_head(answered);
  });
  auto performing = perform(request);
  NETSTOR_CHECK(co_await std::move(performing));
  // Some answer a range in part: taken for the object's end, the rest would be missing without a word.
  const std::uint64_t left = answered.size_bytes > offset ? answered.size_bytes - offset : 0;
  if (!as_asked || (sized && request.received != std::min(length, left))) {
    co_return Error(ErrorKind::protocol,
                    "GET " + name_of(call, key) + ": the service did not send the range that was asked for");
  }
  if (!expected.empty() && expected != "*" && !answered.etag.empty() &&
      without_quotes(expected) != answered.etag) {
    co_return Error(ErrorKind::compare_failed, "GET " + name_of(call, key) + ": the object was replaced");
  }
  if (told != nullptr) told->info = std::move(answered);
  co_return request.received;
}

/// A GET that may be asked for twice: the second time into a buffer of its own, when the first takes long.
/// The first that has an answer ends the other, and waits until it has let go of its bytes.
struct Hedge {
  Task<void> first() {
    auto getting = get_once(call, key, offset, into, options, &told[0]);
    results[0].emplace(co_await std::move(getting));
    // Without a second one under way there is nothing more to wait for.
    if ((results[0]->ok() || buffer.size() == 0) && workers[1].valid()) workers[1].cancel();
    co_return ok();
  }
  Task<void> second() {
    NETSTOR_CHECK(co_await sleep(call.core->options().hedge_after));
    const std::uint64_t length = bytes_in(into);
    memory = call.shard->try_reserve(length);
    if (!memory || !call.shard->budget().take()) co_return ok();
    NETSTOR_TRY(buffer, Buffer::allocate(length));
    auto getting = get_once(call, key, offset, pieces_of(buffer.bytes()), options, &told[1]);
    results[1].emplace(co_await std::move(getting));
    if (results[1]->ok() && workers[0].valid()) workers[0].cancel();
    co_return ok();
  }
  /// Of the one that was faster; its bytes are in place.
  Result<std::uint64_t> result(Told* into_told) {
    const bool by_second = !results[0]->ok() && results[1] && results[1]->ok();
    const Result<std::uint64_t>& result = *results[by_second ? 1 : 0];
    if (into_told != nullptr && result) into_told->info = told[by_second ? 1 : 0].info;
    if (!by_second) return result;
    std::uint64_t done = 0;
    for (const iovec& piece : slice(into, 0, *result)) {
      std::memcpy(piece.iov_base, buffer.data() + done, piece.iov_len);
      done += piece.iov_len;
    }
    call.shard->loop().metrics().copied_bytes += done;
    return result;
  }

  Call call;
  const std::string& key;
  std::uint64_t offset;
  PieceList into;
  const GetOptions& options;
  Reservation memory{};
  Buffer buffer{};
  std::array<Told, 2> told{};
  std::array<std::optional<Result<std::uint64_t>>, 2> results{};
  std::array<Future<void>, 2> workers{};
};

Task<std::uint64_t> get_part(Call call, const std::string& key, std::uint64_t offset, PieceList into,
                             const GetOptions& options, Told* told) {
  if (call.core->options().hedge_after == Duration::zero()) {
    auto getting = get_once(call, key, offset, std::move(into), options, told);
    co_return co_await std::move(getting);
  }
  Hedge hedge{.call = call, .key = key, .offset = offset, .into = std::move(into), .options = options};
  if (told != nullptr) hedge.told.fill(*told);
  hedge.workers[1] = spawn(hedge.second());
  hedge.workers[0] = spawn(hedge.first());
  for (Future<void>& worker : hedge.workers) {
    const Result<void> ended = co_await worker.join();
    static_cast<void>(ended);  // the results say it
  }
  co_return hedge.result(told);
}

Task<void> get_exactly(Call call, const std::string& key, std::uint64_t offset, PieceList into,
                       const GetOptions& options) {
  const std::uint64_t wanted = bytes_in(into);
  auto getting = get_part(call, key, offset, std::move(into), options, nullptr);
  NETSTOR_TRY(const std::uint64_t got, co_await std::move(getting));
  if (got == wanted) co_return ok();
  co_return Error(ErrorKind::out_of_range, "GET s3://" + call.core->name() + "/" + key + ": " +
                                               std::to_string(wanted) + " bytes at " +
                                               std::to_string(offset) + " end beyond the object");
}

/// An object of several parts: the head of the first says how much there is, and of which version; the
/// others begin then.
class InParts {
 public:
  InParts(Call call, const std::string& key, const PieceList& into, const GetOptions& options)
      : call_(call), key_(key), into_(into), options_(options) {
    first_told_.on_head = [this](const ObjectInfo& info) { heard(info); };
  }

  /// Answers how many bytes came.
  Task<std::uint64_t> get() {
    const std::uint64_t part = call_.core->options().part_bytes;
    auto others = spawn(get_others(head_.future()));
    first_ = spawn(get_part(call_, key_, options_.offset, slice(into_, 0, part), options_, &first_told_));
    Result<std::uint64_t> got = co_await first_.join();
    if (!known_) head_.set(Error(ErrorKind::cancelled, "nobody said how large the object is"));
    first_ended_.set(got ? ok() : Result<void>(got.error()));
    Result<void> all = co_await others.join();
    if (known_ && !all) {
      // What failed before the rest was cancelled. It had bytes there: a shorter one took its place.
      if (all.error().native() == kRangeNotSatisfiable) co_return replaced();
      co_return std::move(all).error();
    }
    if (!got || !known_) co_return got;
    const ObjectInfo& last = first_told_.info;
    // Of the first part another try may have got another version.
    if (last.etag != version_.etag || last.version_id != version_.version_id ||
        *got != std::min(part, wanted_)) {
      co_return replaced();
    }
    co_return wanted_;
  }
  /// Somebody said how large the object is.
  bool known() const noexcept { return known_; }
  const ObjectInfo& info() const noexcept { return first_told_.info; }

 private:
  Error replaced() const {
    return {ErrorKind::compare_failed, "GET " + name_of(call_, key_) + ": the object was replaced"};
  }
  void heard(const ObjectInfo& info) {
    if (known_) return;
    known_ = true;
    version_ = info;
    const std::uint64_t left = info.size_bytes > options_.offset ? info.size_bytes - options_.offset : 0;
    wanted_ = std::min(bytes_in(into_), left);
    head_.set(ok());
  }
  Task<void> get_others(Future<void> head) {
    NETSTOR_CHECK(co_await std::move(head));
    const std::uint64_t part = call_.core->options().part_bytes;
    GetOptions options = options_;
    options.conditions = same_version(version_);
    if (!version_.version_id.empty()) options.version_id = version_.version_id;
    const std::uint64_t count = (wanted_ + part - 1) / part;
    // The first has one of the places until it ends; if it fails, the others end, too.
    auto all = in_parallel(count, call_.core->options().parallel, [&](std::size_t i) {
      return i == 0 ? until(first_ended_.future()) : get_other(i * part, part, options);
    });
    co_return co_await std::move(all);
  }
  Task<void> get_other(std::uint64_t at, std::uint64_t part, const GetOptions& options) {
    PieceList piece = slice(into_, at, std::min(part, wanted_ - at));
    auto getting = get_exactly(call_, key_, options.offset + at, std::move(piece), options);
    Result<void> got = co_await std::move(getting);
    if (!got && first_.valid() && !first_.ready()) first_.cancel();
    co_return got;
  }
  static Task<void> until(Future<void> ended) { co_return co_await std::move(ended); }

  Call call_;
  const std::string& key_;
  const PieceList& into_;
  const GetOptions& options_;
  Told first_told_;
  ObjectInfo version_;
  std::uint64_t wanted_ = 0;
  bool known_ = false;
  Promise<void> head_;
  Future<std::uint64_t> first_;
  Promise<void> first_ended_;
};

/// get_object(), but for the comparison.
Task<ObjectRead> fill(Call call, const std::string& key, const PieceList& into, const GetOptions& options) {
  ObjectRead read;
  read.info.key = key;
  const std::uint64_t room = bytes_in(into);
  if (room == 0) {
    auto heading = head_object(call, key, options);
    NETSTOR_TRY(read.info, co_await std::move(heading));
    co_return read;
  }
  Result<std::uint64_t> got = std::uint64_t{0};
  if (room <= call.core->options().part_bytes) {
    Told told{.info = read.info};
    auto getting = get_part(call, key, options.offset, into, options, &told);
    got = co_await std::move(getting);
    read.info = std::move(told.info);
  } else {
    InParts parts(call, key, into, options);
    auto getting = parts.get();
    got = co_await std::move(getting);
    if (!got && parts.known()) co_return std::move(got).error();
    read.info = parts.info();
  }
  if (!got) {
    // No range of an empty object can be satisfied, not even all of it.
    if (options.offset != 0 || got.error().native() != kRangeNotSatisfiable) co_return std::move(got).error();
    auto heading = head_object(call, key, options);
    NETSTOR_TRY(read.info, co_await std::move(heading));
    co_return read;
  }
  read.bytes = *got;
  co_return read;
}

}  // namespace

Task<ObjectInfo> head_object(Call call, std::string key, GetOptions options) {
  NETSTOR_CHECK(check_key(key));
  NETSTOR_CHECK(check(*call.core, options.encryption));
  Request request(*call.shard, "HEAD", key);
  OptionHeaders headers;
  if (!options.version_id.empty()) request.query("versionId", options.version_id);
  headers.add(request, options.conditions);
  headers.add_key(request, options.encryption);
  ask_for_checksum(call, request);
  ObjectInfo info;
  info.key = key;
  request.on_head([&](const http::ResponseHead& head) { read_info(head, info); });
  auto performing = perform(request);
  NETSTOR_CHECK(co_await std::move(performing));
  co_return info;
}

Task<ObjectRead> get_object(Call call, std::string key, PieceList into, GetOptions options) {
  NETSTOR_CHECK(check_key(key));
  NETSTOR_CHECK(check(*call.core, options.encryption));
  auto filling = fill(call, key, into, options);
  NETSTOR_TRY(const ObjectRead read, co_await std::move(filling));
  if (options.offset == 0 && read.bytes == read.info.size_bytes && call.core->options().verify_checksums) {
    const PieceList bytes = slice(into, 0, read.bytes);
    auto verifying = verify(call, key, bytes, read.info);
    NETSTOR_CHECK(co_await std::move(verifying));
  }
  co_return read;
}

Task<Object> get_whole(Call call, std::string key, GetOptions options) {
  NETSTOR_CHECK(check_key(key));
  NETSTOR_CHECK(check(*call.core, options.encryption));
  auto heading = head_object(call, key, options);
  Object object;
  NETSTOR_TRY(object.info, co_await std::move(heading));
  const std::uint64_t size =
      object.info.size_bytes > options.offset ? object.info.size_bytes - options.offset : 0;
  auto reserving = call.shard->reserve(size);
  NETSTOR_TRY(const Reservation reserved, co_await std::move(reserving));
  if (size == 0) co_return object;
  NETSTOR_TRY(object.data, Buffer::allocate(size));
  // The version that was looked at, whatever is put meanwhile.
  options.conditions = same_version(object.info);
  const PieceList into = pieces_of(object.data.bytes());
  auto getting = fill(call, key, into, options);
  NETSTOR_TRY(const ObjectRead read, co_await std::move(getting));
  if (read.bytes != size) {
    co_return Error(ErrorKind::protocol, "GET " + name_of(call, key) + ": " + std::to_string(read.bytes) +
                                             " bytes came of " + std::to_string(size));
  }
  if (object.info.checksum.empty()) object.info.checksum_algorithm = read.info.checksum_algorithm;
  if (object.info.checksum.empty()) object.info.checksum = read.info.checksum;
  if (options.offset == 0 && call.core->options().verify_checksums) {
    auto verifying = verify(call, key, into, object.info);
    NETSTOR_CHECK(co_await std::move(verifying));
  }
  co_return object;
}

Task<ObjectInfo> get_ranges(Call call, std::string key, std::vector<RangeRead> ranges, GetOptions options) {
  NETSTOR_CHECK(check_key(key));
  NETSTOR_CHECK(check(*call.core, options.encryption));
  const auto groups = join_ranges(ranges, kJoinGap, call.core->options().part_bytes);
  std::uint64_t widest_gap = 0;
  for (const RangeGroup& group : groups) {
    std::uint64_t end = group.offset;
    for (const std::uint32_t member : group.members) {
      widest_gap = std::max(widest_gap, ranges[member].offset - end);
      end = ranges[member].offset + ranges[member].into.size();
    }
  }
  // What lies between the ranges of a group is received into one place, and never looked at.
  Buffer between;
  if (widest_gap != 0) {
    NETSTOR_TRY(between, Buffer::allocate(widest_gap));
  }
  const auto get_group = [&](const RangeGroup& group, Told* into_told) {
    PieceList into;
    std::uint64_t end = group.offset;
    for (const std::uint32_t member : group.members) {
      const RangeRead& range = ranges[member];
      if (range.offset > end) into.push_back({between.data(), range.offset - end});
      into.push_back({range.into.data(), range.into.size()});
      end = range.offset + range.into.size();
    }
    return get_part(call, key, group.offset, std::move(into), options, into_told);
  };
  if (groups.empty()) {
    auto heading = head_object(call, key, options);
    co_return co_await std::move(heading);
  }
  Told told;
  auto first = get_group(groups.front(), &told);
  NETSTOR_TRY(const std::uint64_t got, co_await std::move(first));
  const ObjectInfo& info = told.info;
  if (got != groups.front().length) {
    co_return Error(ErrorKind::out_of_range,
                    "GET " + name_of(call, key) + ": a range ends beyond the object");
  }
  options.conditions = same_version(info);
  struct One {
    static Task<void> run(Task<std::uint64_t> getting, std::uint64_t wanted, std::string name) {
      NETSTOR_TRY(const std::uint64_t bytes, co_await std::move(getting));
      if (bytes == wanted) co_return ok();
      co_return Error(ErrorKind::out_of_range, "GET " + name + ": a range ends beyond the object");
    }
  };
  auto rest = in_parallel(groups.size() - 1, call.core->options().parallel, [&](std::size_t i) {
    const RangeGroup& group = groups[i + 1];
    return One::run(get_group(group, nullptr), group.length, name_of(call, key));
  });
  NETSTOR_CHECK(co_await std::move(rest));
  co_return info;
}

Task<ObjectInfo> copy_object(Call call, std::string source, std::string key, CopyOptions options) {
  NETSTOR_CHECK(check_key(source));
  NETSTOR_CHECK(check_key(key));
  NETSTOR_CHECK(check(*call.core, options.put));
  NETSTOR_CHECK(check(*call.core, options.source_encryption));
  Request request(*call.shard, "PUT", key);
  OptionHeaders headers;
  const std::string bucket = options.source_bucket.empty() ? call.core->name() : options.source_bucket;
  headers.add_copy_source(request, bucket, source, options);
  if (options.replace_metadata) {
    request.header("x-amz-metadata-directive", "REPLACE");
    headers.add(request, options.put, options.put.checksum.value_or(ChecksumAlgorithm::none));
  } else {
    request.header("x-amz-storage-class", options.put.storage_class);
    headers.add_tags(request, options.put.tags);
    headers.add(request, options.put.encryption);
  }
  if (!options.put.tags.empty()) request.header("x-amz-tagging-directive", "REPLACE");
  headers.add(request, options.put.conditions);
  note_condition(request, options.put.conditions);
  request.changes = true;
  request.may_hide_error = true;
  ObjectInfo info;
  info.key = key;
  request.on_head(
      [&](const http::ResponseHead& head) { info.version_id = head.fields.value("x-amz-version-id"); });
  auto performing = perform(request);
  NETSTOR_CHECK(co_await std::move(performing));
  NETSTOR_TRY(const auto answer, s3::decode_copy_result(request.text));
  if (const auto* copied = std::get_if<s3::CopyResult>(&answer)) {
    info.etag = copied->etag;
    info.modified = copied->modified;
  }
  co_return info;
}

Task<void> remove_object(Call call, std::string key, std::string version_id) {
  NETSTOR_CHECK(check_key(key));
  Request request(*call.shard, "DELETE", key);
  if (!version_id.empty()) request.query("versionId", version_id);
  request.changes = true;
  auto performing = perform(request);
  co_return co_await std::move(performing);
}

Task<std::vector<RemoveFailure>> remove_objects(Call call, std::vector<std::string> keys) {
  std::vector<RemoveFailure> failures;
  std::size_t removed = 0;
  for (const std::string& key : keys) NETSTOR_CHECK(check_key(key));
  const std::size_t batches = (keys.size() + s3::kDeleteMax - 1) / s3::kDeleteMax;
  struct Batch {
    static Task<void> run(Call call, std::span<const std::string> keys, std::vector<RemoveFailure>* failures,
                          std::size_t* removed) {
      s3::DeleteRequest body{.objects = {}, .quiet = true};
      for (const std::string& key : keys) body.objects.push_back({.key = key, .version_id = {}});
      std::string text;
      s3::encode(body, text);
      Request request(*call.shard, "POST", {});
      request.query("delete");
      const std::string content_md5 = s3::content_md5(md5(std::as_bytes(std::span(text))));
      request.header("content-md5", content_md5);
      request.header("content-type", "application/xml");
      request.payload(std::move(text));
      request.changes = true;
      auto performing = perform(request);
      NETSTOR_CHECK(co_await std::move(performing));
      NETSTOR_TRY(const s3::DeleteResult result, s3::decode_delete_result(request.text));
      for (const auto& failed : result.failed) {
        failures->push_back({failed.key, failed.version_id, failed.code, failed.message});
      }
      *removed += keys.size() - result.failed.size();
      co_return ok();
    }
  };
  auto all = in_parallel(batches, call.core->options().parallel, [&](std::size_t i) {
    const auto rest = std::span<const std::string>(keys).subspan(i * s3::kDeleteMax);
    return Batch::run(call, rest.first(std::min(rest.size(), s3::kDeleteMax)), &failures, &removed);
  });
  if (Result<void> done = co_await std::move(all); !done) {
    if (removed == 0) co_return std::move(done).error();
    const Error& why = done.error();
    co_return reworded(why, why.kind(),
                       why.text() + "; " + std::to_string(removed) + " keys were removed before",
                       Effect::unknown);
  }
  co_return failures;
}

Task<Pairs> get_tags(Call call, std::string key, std::string version_id) {
  NETSTOR_CHECK(check_key(key));
  Request request(*call.shard, "GET", key);
  request.query("tagging");
  if (!version_id.empty()) request.query("versionId", version_id);
  auto performing = perform(request);
  NETSTOR_CHECK(co_await std::move(performing));
  co_return s3::decode_tagging(request.text);
}

Task<void> set_tags(Call call, std::string key, Pairs tags, std::string version_id) {
  NETSTOR_CHECK(check_key(key));
  std::string text;
  s3::encode_tagging(tags, text);
  Request request(*call.shard, "PUT", key);
  request.query("tagging");
  if (!version_id.empty()) request.query("versionId", version_id);
  const std::string content_md5 = s3::content_md5(md5(std::as_bytes(std::span(text))));
  request.header("content-md5", content_md5);
  request.header("content-type", "application/xml");
  request.payload(std::move(text));
  request.changes = true;
  auto performing = perform(request);
  co_return co_await std::move(performing);
}

Task<void> remove_tags(Call call, std::string key, std::string version_id) {
  NETSTOR_CHECK(check_key(key));
  Request request(*call.shard, "DELETE", key);
  request.query("tagging");
  if (!version_id.empty()) request.query("versionId", version_id);
  request.changes = true;
  auto performing = perform(request);
  co_return co_await std::move(performing);
}

}  // namespace netstor::object
