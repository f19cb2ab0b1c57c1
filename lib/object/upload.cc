// SPDX-License-Identifier: Apache-2.0
// Writing objects: in one request, or in parts.

#include "lib/base/encoding.h"
#include "lib/base/hash.h"
#include "lib/object/answers.h"
#include "lib/object/helper_thread.h"
#include "lib/object/operations.h"
#include "lib/object/parallel.h"
#include "lib/object/plan.h"
#include "lib/object/request.h"
#include "lib/wire/s3/checksum.h"

namespace netstor::object {
namespace {

constexpr std::uint64_t kContinueFrom = 1 << 20;

s3::ChecksumKind kind_of(ChecksumAlgorithm algorithm) { return static_cast<s3::ChecksumKind>(algorithm); }

/// What is said of a payload before it is sent.
struct Sums {
  std::string sha256;
  s3::Checksum checksum;
};

Sums sum_up(const PieceList& pieces, bool with_sha256, s3::ChecksumKind kind) {
  Sums sums;
  if (with_sha256) {
    Sha256 hash;
    for (const iovec& piece : pieces) hash.update(as_bytes(piece));
    sums.sha256 = to_hex(hash.finish());
  }
  if (kind != s3::ChecksumKind::none) {
    s3::Checksummer checksummer(kind);
    for (const iovec& piece : pieces) checksummer.update(as_bytes(piece));
    sums.checksum = checksummer.finish();
  }
  return sums;
}

/// Sends `from`, or the chunks that the request has; the caller has set everything else.
Task<void> perform_put(Request& request, std::uint64_t bytes) {
  if (bytes >= kContinueFrom) {
    request.header("expect", "100-continue");
    request.expects_continue = true;
  }
  request.changes = true;
  return perform(request);
}

/// Sends `from` with its sums; the caller has set everything else.
Task<s3::Checksum> send_payload(Request& request, OptionHeaders& headers, const PieceList& from,
                                ChecksumAlgorithm algorithm) {
  const std::uint64_t bytes = bytes_in(from);
  NETSTOR_CHECK(request.use_rdma(from, false));
  const bool signs = request.signs_payload() && bytes != 0;
  const bool with_sha256 = signs && !request.may_go_by_rdma();
  const s3::ChecksumKind kind = kind_of(algorithm);
  if (const auto form = request.chunked_form(kind); form && bytes != 0 && !request.may_go_by_rdma()) {
    ChunkedPayload chunks(from, *form, kind);
    request.payload(chunks);
    auto performing = perform_put(request, bytes);
    NETSTOR_CHECK(co_await std::move(performing));
    co_return chunks.checksum();
  }
  Sums sums;
  if (bytes <= kHashHere) {
    sums = sum_up(from, with_sha256, kind);
  } else if (with_sha256 || kind != s3::ChecksumKind::none) {
    auto summing = on_helper_thread(request.shard().loop(),
                                    [&]() -> Result<Sums> { return sum_up(from, with_sha256, kind); });
    NETSTOR_TRY(sums, co_await std::move(summing));
  }
  if (kind != s3::ChecksumKind::none) headers.add(request, s3::checksum_header(kind), sums.checksum.text());
  if (with_sha256) request.payload_hash(std::move(sums.sha256));
  if (signs && !with_sha256) {
    request.before_http([&]() -> Task<void> {
      auto summing = on_helper_thread(request.shard().loop(), [&]() -> Result<Sums> {
        return sum_up(from, true, s3::ChecksumKind::none);
      });
      NETSTOR_TRY(Sums late, co_await std::move(summing));
      request.payload_hash(std::move(late.sha256));
      co_return ok();
    });
  }
  request.payload(from.data(), static_cast<unsigned>(from.size()), bytes);
  auto performing = perform_put(request, bytes);
  NETSTOR_CHECK(co_await std::move(performing));
  co_return sums.checksum;
}

/// The ETag that S3 gives to what these parts become; nothing where the service has others.
std::string etag_of(const std::vector<UploadedPart>& parts) {
  s3::MultipartEtag etag;
  for (const UploadedPart& part : parts) {
    Md5::Digest digest;
    if (!decode_hex(part.etag, digest)) return {};
    etag.add(digest);
  }
  return etag.finish();
}

/// Completing failed with `why`. When the answer to a try was lost and the next one is told that there is no
/// such upload, the first one has done it, or somebody aborted: the object's ETag tells.
Task<ObjectInfo> completed_before(Call call, ObjectInfo info, const std::vector<UploadedPart>& parts,
                                  Error why) {
  if (why.effect() != Effect::unknown || why.code() != "NoSuchUpload") co_return why;
  auto heading = head_object(call, info.key, {});
  const Result<ObjectInfo> found = co_await std::move(heading);
  const std::string expected = etag_of(parts);
  if (found && !expected.empty() && found->etag == expected) co_return *found;
  co_return reworded(why, ErrorKind::disconnected,
                     why.text() + "; the answer to an earlier try was lost, which may have completed it",
                     Effect::unknown);
}

Task<ObjectInfo> put_at_once(Call call, const std::string& key, const PieceList& from,
                             const PutOptions& options, ChecksumAlgorithm algorithm) {
  Request request(*call.shard, "PUT", key);
  OptionHeaders headers;
  headers.add(request, options, algorithm);
  headers.add(request, options.conditions);
  note_condition(request, options.conditions);
  ObjectInfo info;
  info.key = key;
  request.on_head([&](const http::ResponseHead& head) {
    info.etag = without_quotes(head.fields.value("etag"));
    info.version_id = head.fields.value("x-amz-version-id");
  });
  auto sending = send_payload(request, headers, from, algorithm);
  NETSTOR_TRY(const s3::Checksum checksum, co_await std::move(sending));
  info.size_bytes = bytes_in(from);
  info.checksum_algorithm = algorithm;
  info.checksum = checksum.text();
  co_return info;
}

Task<ObjectInfo> put_in_parts(Call call, const std::string& key, const PieceList& from,
                              const PutOptions& options, ChecksumAlgorithm algorithm) {
  const std::uint64_t size = bytes_in(from);
  const std::uint64_t part = part_bytes_for(size, call.core->options().part_bytes);
  PutOptions without_condition = options;
  without_condition.conditions = {};
  auto starting = start_upload(call, key, std::move(without_condition));
  NETSTOR_TRY(const std::string id, co_await std::move(starting));
  std::vector<UploadedPart> parts((size + part - 1) / part);
  struct One {
    static Task<void> run(Call call, PartPlace place, PieceList bytes, ChecksumAlgorithm algorithm,
                          UploadedPart* part) {
      auto uploading = upload_part(call, std::move(place), std::move(bytes), algorithm);
      NETSTOR_TRY(*part, co_await std::move(uploading));
      co_return ok();
    }
  };
  auto all = in_parallel(parts.size(), call.core->options().parallel, [&](std::size_t i) {
    return One::run(
        call,
        {.key = key, .id = id, .number = static_cast<unsigned>(i) + 1, .encryption = options.encryption},
        slice(from, i * part, part), algorithm, &parts[i]);
  });
  Result<void> uploaded = co_await std::move(all);
  if (!uploaded) {
    auto abandoning = abandon_upload(call, key, id);
    NETSTOR_CHECK(co_await std::move(abandoning));
    co_return without_effect(uploaded.error());
  }
  auto completing = complete_upload(call, key, id, std::move(parts), options.conditions);
  Result<ObjectInfo> completed = co_await std::move(completing);
  if (!completed && completed.error().effect() == Effect::none) {
    auto abandoning = abandon_upload(call, key, id);
    NETSTOR_CHECK(co_await std::move(abandoning));
  }
  co_return completed;
}

}  // namespace

Task<ObjectInfo> put_object(Call call, std::string key, PieceList from, PutOptions options) {
  NETSTOR_CHECK(check_key(key));
  NETSTOR_CHECK(check(*call.core, options));
  const ChecksumAlgorithm algorithm = options.checksum.value_or(call.core->options().checksum);
  if (bytes_in(from) <= call.core->options().part_bytes) {
    auto putting = put_at_once(call, key, from, options, algorithm);
    co_return co_await std::move(putting);
  }
  auto putting = put_in_parts(call, key, from, options, algorithm);
  co_return co_await std::move(putting);
}

Task<std::string> start_upload(Call call, std::string key, PutOptions options) {
  NETSTOR_CHECK(check_key(key));
  NETSTOR_CHECK(check(*call.core, options));
  Request request(*call.shard, "POST", key);
  OptionHeaders headers;
  request.query("uploads");
  headers.add(request, options, options.checksum.value_or(call.core->options().checksum));
  request.changes = true;
  auto performing = perform(request);
  NETSTOR_CHECK(co_await std::move(performing));
  NETSTOR_TRY(s3::InitiateMultipartUploadResult answer, s3::decode_initiate_result(request.text));
  co_return std::move(answer.upload_id);
}

Task<UploadedPart> upload_part(Call call, PartPlace place, PieceList from, ChecksumAlgorithm algorithm) {
  NETSTOR_CHECK(check_key(place.key));
  if (place.number < 1 || place.number > kPartsMost) {
    co_return Error(ErrorKind::invalid_argument, "a part has a number from 1 to 10,000");
  }
  const std::string number = std::to_string(place.number);
  Request request(*call.shard, "PUT", place.key);
  OptionHeaders headers;
  request.query("partNumber", number);
  request.query("uploadId", place.id);
  headers.add_key(request, place.encryption);
  UploadedPart part;
  part.number = place.number;
  part.size_bytes = bytes_in(from);
  part.checksum_algorithm = algorithm;
  request.on_head(
      [&](const http::ResponseHead& head) { part.etag = without_quotes(head.fields.value("etag")); });
  auto sending = send_payload(request, headers, from, algorithm);
  NETSTOR_TRY(const s3::Checksum checksum, co_await std::move(sending));
  part.checksum = checksum.text();
  co_return part;
}

Task<UploadedPart> copy_part(Call call, PartPlace place, std::string source, std::uint64_t offset,
                             std::uint64_t length, CopyOptions options) {
  NETSTOR_CHECK(check_key(source));
  const std::string number = std::to_string(place.number);
  Request request(*call.shard, "PUT", place.key);
  OptionHeaders headers;
  request.query("partNumber", number);
  request.query("uploadId", place.id);
  if (length == 0) {
    GetOptions which;
    which.version_id = options.source_version_id;
    which.encryption = options.source_encryption;
    which.conditions = options.source_conditions;
    auto heading = head_object(call, source, which);
    NETSTOR_TRY(const ObjectInfo info, co_await std::move(heading));
    if (offset >= info.size_bytes) {
      co_return Error(ErrorKind::out_of_range,
                      "part_copy: the source has " + std::to_string(info.size_bytes) + " bytes");
    }
    length = info.size_bytes - offset;
    options.source_conditions = same_version(info);
  }
  const std::string bucket = options.source_bucket.empty() ? call.core->name() : options.source_bucket;
  headers.add_copy_source(request, bucket, source, options);
  headers.add_key(request, place.encryption);
  headers.add(request, "x-amz-copy-source-range",
              "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + length - 1));
  request.changes = true;
  request.may_hide_error = true;
  auto performing = perform(request);
  NETSTOR_CHECK(co_await std::move(performing));
  NETSTOR_TRY(const auto answer, s3::decode_copy_result(request.text));
  const auto* copied = std::get_if<s3::CopyResult>(&answer);
  if (copied == nullptr) co_return Error(ErrorKind::protocol, "part_copy: no result in the answer");
  UploadedPart part;
  part.number = place.number;
  part.size_bytes = length;
  part.etag = copied->etag;
  co_return part;
}

Task<std::vector<UploadedPart>> list_parts(Call call, std::string key, std::string id) {
  NETSTOR_CHECK(check_key(key));
  std::vector<UploadedPart> parts;
  for (std::string marker;;) {
    Request request(*call.shard, "GET", key);
    request.query("uploadId", id);
    if (!marker.empty()) request.query("part-number-marker", marker);
    auto performing = perform(request);
    NETSTOR_CHECK(co_await std::move(performing));
    NETSTOR_TRY(const s3::ListPartsResult page, s3::decode_list_parts(request.text));
    for (const s3::ListedPart& one : page.parts) {
      UploadedPart part;
      part.number = one.number;
      part.size_bytes = one.size_bytes;
      part.etag = one.etag;
      if (one.checksum) {
        part.checksum_algorithm = static_cast<ChecksumAlgorithm>(one.checksum->kind);
        part.checksum = one.checksum->text();
      }
      parts.push_back(std::move(part));
    }
    if (!page.truncated || parts.size() >= kPartsMost) co_return parts;
    if (std::string next = std::to_string(page.next_part_number_marker); next != marker) {
      marker = std::move(next);
    } else {
      co_return goes_nowhere("parts");
    }
  }
}

Task<ObjectInfo> complete_upload(Call call, std::string key, std::string id, std::vector<UploadedPart> parts,
                                 Conditions conditions) {
  NETSTOR_CHECK(check_key(key));
  if (parts.empty())
    co_return Error(ErrorKind::invalid_argument, "an upload is completed with at least one part");
  std::sort(parts.begin(), parts.end(),
            [](const UploadedPart& a, const UploadedPart& b) { return a.number < b.number; });
  s3::CompleteMultipartUpload body;
  for (const UploadedPart& part : parts) {
    body.parts.push_back({.number = part.number,
                          .etag = part.etag,
                          .checksum = s3::decode_checksum(kind_of(part.checksum_algorithm), part.checksum)});
    const bool kept = !part.checksum.empty() && part.checksum_algorithm != ChecksumAlgorithm::md5;
    if (!kept) body.parts.back().checksum.reset();
  }
  std::string text;
  s3::encode(body, text);
  Request request(*call.shard, "POST", key);
  OptionHeaders headers;
  request.query("uploadId", id);
  headers.add(request, conditions);
  note_condition(request, conditions);
  request.header("content-type", "application/xml");
  request.payload(std::move(text));
  request.changes = true;
  request.may_hide_error = true;
  ObjectInfo info;
  info.key = key;
  request.on_head(
      [&](const http::ResponseHead& head) { info.version_id = head.fields.value("x-amz-version-id"); });
  for (const UploadedPart& part : parts) info.size_bytes += part.size_bytes;
  auto performing = perform(request);
  if (Result<void> done = co_await std::move(performing); !done) {
    auto looking = completed_before(call, info, parts, std::move(done).error());
    NETSTOR_TRY(info, co_await std::move(looking));
    co_return info;
  }
  NETSTOR_TRY(const auto answer, s3::decode_complete_result(request.text));
  if (const auto* completed = std::get_if<s3::CompleteMultipartUploadResult>(&answer)) {
    info.etag = completed->etag;
    if (completed->checksum) {
      info.checksum_algorithm = static_cast<ChecksumAlgorithm>(completed->checksum->checksum.kind);
      info.checksum = completed->checksum->text();
    }
  }
  co_return info;
}

Task<void> abandon_upload(Call call, std::string key, std::string id) {
  detail::CancelScope* const scope = co_await detail::OwnScope{};
  if (scope == nullptr || !scope->cancelled) {
    auto aborting = abort_upload(call, key, id);
    const Result<void> aborted = co_await std::move(aborting);
    if (aborted || scope == nullptr || !scope->cancelled) co_return ok();
  }
  spawn(abort_upload(call, key, id)).detach();
  co_return ok();
}

Task<void> abort_upload(Call call, std::string key, std::string id) {
  NETSTOR_CHECK(check_key(key));
  Request request(*call.shard, "DELETE", key);
  request.query("uploadId", id);
  request.changes = true;
  auto performing = perform(request);
  co_return co_await std::move(performing);
}

Task<std::vector<UploadInfo>> list_uploads(Call call, std::string prefix) {
  std::vector<UploadInfo> uploads;
  std::string key_marker, id_marker;
  for (;;) {
    Request request(*call.shard, "GET", {});
    request.query("uploads");
    request.query("encoding-type", "url");
    if (!prefix.empty()) request.query("prefix", prefix);
    if (!key_marker.empty()) request.query("key-marker", key_marker);
    if (!id_marker.empty()) request.query("upload-id-marker", id_marker);
    auto performing = perform(request);
    NETSTOR_CHECK(co_await std::move(performing));
    NETSTOR_TRY(s3::ListMultipartUploadsResult page, s3::decode_list_uploads(request.text));
    for (s3::ListedUpload& one : page.uploads) {
      uploads.push_back({.key = std::move(one.key), .id = std::move(one.upload_id), .started = one.started});
    }
    if (!page.truncated || page.next_key_marker.empty()) co_return uploads;
    if (page.next_key_marker == key_marker && page.next_upload_id_marker == id_marker)
      co_return goes_nowhere("uploads");
    key_marker = std::move(page.next_key_marker);
    id_marker = std::move(page.next_upload_id_marker);
  }
}

}  // namespace netstor::object
