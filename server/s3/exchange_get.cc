// SPDX-License-Identifier: Apache-2.0
// GetObject and HeadObject.

#include "server/s3/exchange.h"

#include "lib/wire/http/text.h"

namespace netstor::s3server {

using s3::ErrorCode;

namespace {

// Its body is elsewhere: whoever kept the answer would give an empty object to others.
void forbid_keeping(store::ObjectVersion& version) {
  std::erase_if(version.headers, [](const auto& field) { return field.first == "cache-control"; });
  version.headers.emplace_back("cache-control", "no-store");
}

}  // namespace

// A delete marker is told of where it is the answer.
void Exchange::describe_absent(const Error& error) {
  if (store::fault(error) == store::ObjectFault::delete_marker) refusal_.add("x-amz-delete-marker", "true");
}

Result<Exchange::Plan> Exchange::plan(store::ObjectVersion& version) {
  switch (judge(fields(), "", version)) {
    case Verdict::go_on:
      break;
    case Verdict::not_modified:
      refusal_.add_quoted("ETag", version.etag);
      return refusal(ErrorCode::not_modified);
    case Verdict::failed:
      return refusal(ErrorCode::precondition_failed);
  }
  if (user_ != nullptr) NETSTOR_CHECK_RETURN(override_headers(route_.query, version));
  Plan plan{.length = version.size};
  if (const auto number = route_.query.find("partNumber")) {
    const auto wanted = http::decode_number(*number, s3::kPartsMax);
    const std::size_t parts = version.parts.empty() ? 1 : version.parts.size();
    if (!wanted || *wanted == 0) return refusal(ErrorCode::invalid_argument, "partNumber: 1 to 10000");
    if (*wanted > parts)
      return refusal(ErrorCode::invalid_part, "The part number is not one of this object's.");
    for (std::size_t i = 0; i + 1 < *wanted; ++i) plan.offset += version.parts[i].size;
    if (!version.parts.empty()) {
      plan.length = version.parts[*wanted - 1].size;
      answer_.add("x-amz-mp-parts-count", parts);
    }
    answer_.status = 206;
  } else if (const auto range = fields().find("range")) {
    if (const auto spec = http::decode_range(*range)) {
      const auto resolved = http::resolve(*spec, version.size);
      if (!resolved) {
        refusal_.add("Content-Range", http::encode_content_range(std::nullopt, version.size));
        return refusal(ErrorCode::invalid_range);
      }
      plan = {.offset = resolved->offset, .length = resolved->length};
      answer_.status = 206;
    }
  }
  if (token_) forbid_keeping(version);
  describe(version, answer_);
  if (answer_.status == 206 && plan.length != 0)
    answer_.add("Content-Range",
                http::encode_content_range(http::ByteRange{.offset = plan.offset, .length = plan.length},
                                           version.size));
  const bool whole =
      plan.length == version.size;  // by a range, too: there is nothing else to compare it with
  if (whole && http::equal_without_case(fields().value("x-amz-checksum-mode"), "ENABLED"))
    describe_checksums(version.checksums, answer_);
  answer_.length = plan.length;
  return plan;
}

Task<void> Exchange::head_object() {
  auto asking = store().stat(route_.bucket, route_.key, version_id());
  Result<store::ObjectVersion> version = co_await std::move(asking);
  if (connection_.gone()) co_return ok();
  if (!version) {
    describe_absent(version.error());
    co_return std::move(version).error();
  }
  if (version->delete_marker) {
    refusal_.add("x-amz-delete-marker", "true");
    co_return refusal(ErrorCode::method_not_allowed);
  }
  if (auto planned = plan(*version); !planned) co_return std::move(planned).error();
  co_return ok();
}

Task<void> Exchange::get_object() {
  auto opening = store().open(route_.bucket, route_.key, version_id());
  Result<store::ObjectReader> reader = co_await std::move(opening);
  if (connection_.gone()) co_return ok();
  if (!reader) {
    describe_absent(reader.error());
    const bool marker = store::fault(reader.error()) == store::ObjectFault::delete_marker;
    if (marker && !version_id().empty()) co_return refusal(ErrorCode::method_not_allowed);
    co_return std::move(reader).error();
  }
  store::ObjectVersion version = reader->version();
  NETSTOR_TRY(const Plan what, plan(version));
  auto sending = token_ ? push_object(*std::move(reader), what) : send_object(*std::move(reader), what);
  Result<void> sent = co_await std::move(sending);
  co_return std::move(sent);
}

// While one portion is sent the next is read.
Task<void> Exchange::send_object(store::ObjectReader reader, Plan plan) {
  Memory& memory = shard_.memory();
  Lending lent[2];
  iovec pieces[2][Lending::kPiecesMax];
  iovec whole{};
  unsigned count = 0;
  std::uint64_t bytes = plan.length;
  const auto view = reader.view();
  if (view) {
    whole = {.iov_base = const_cast<std::byte*>(view->data()) + plan.offset, .iov_len = plan.length};
    count = plan.length == 0 ? 0 : 1;
  } else if (plan.length != 0) {
    co_await memory.lend(memory.portion(plan.length), lent[0]);
    bytes = std::min(plan.length, lent[0].bytes());
    count = lent[0].first(bytes, pieces[0]);
    auto reading = reader.read(plan.offset, pieces[0], count);
    NETSTOR_CHECK(co_await std::move(reading));
  }
  if (connection_.gone()) co_return ok();
  const std::string_view head = write_head(answer_);
  if (head.empty()) co_return Error(ErrorKind::internal, "a field that cannot be sent");
  std::uint64_t left = plan.length - bytes;
  std::uint64_t at = plan.offset + bytes;
  replied_ = true;
  connection_.respond({.head = std::as_bytes(std::span(head)),
                       .body = view ? &whole : pieces[0],
                       .body_pieces = count,
                       .body_follows = left != 0});
  for (unsigned turn = 1; left != 0; ++turn) {
    Lending& next = lent[turn % 2];
    iovec* const into = pieces[turn % 2];
    const bool ahead = !next.empty() || memory.try_lend(memory.portion(left), next);
    if (!ahead) {
      // No second portion to be had: this one, when it has left.
      if (!co_await connection_.sent()) co_return ok();
      lent[(turn + 1) % 2].give_back();
      co_await memory.lend(memory.portion(left), next);
      if (connection_.gone()) co_return ok();
    }
    bytes = std::min(left, next.bytes());
    count = next.first(bytes, into);
    auto reading = reader.read(at, into, count);
    Result<void> read = co_await std::move(reading);
    if (ahead && !co_await connection_.sent()) co_return ok();
    if (connection_.gone()) co_return ok();
    if (!read) co_return std::move(read).error();
    left -= bytes;
    at += bytes;
    connection_.respond_more(into, count, left == 0);
  }
  co_await connection_.sent();
  co_return ok();
}

}  // namespace netstor::s3server
