// SPDX-License-Identifier: Apache-2.0
// A segment on one shard, and cutting scatter lists; see object_shard.h.

#include "lib/engine/completion.h"
#include "server/store/object_shard.h"

#include <netstor/uri.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace netstor::store {

namespace {

// A device that is full although nothing of ours is in it shares its queue with others.
constexpr Duration kRetryAfter = std::chrono::microseconds(50);

}  // namespace

Task<void> Turn::take() {
  if (!std::exchange(taken_, true)) co_return ok();
  Promise<void> promise;
  auto mine = promise.future();
  waiting_.push_back(std::move(promise));
  // Nobody may give up on the way: whoever is given the turn has to give it on.
  static_cast<void>(co_await std::move(mine));
  co_return ok();
}

void Turn::give() noexcept {
  if (waiting_.empty()) {
    taken_ = false;
    return;
  }
  Promise<void> next = std::move(waiting_.front());
  waiting_.pop_front();
  next.set(Result<void>());
}

SegmentFile::SegmentFile(PortContext& context, std::shared_ptr<Segment> segment)
    : context_(context), segment_(std::move(segment)) {
  retry_.file = this;
  retry_.fire = [](detail::Timer& timer) noexcept { static_cast<Retry&>(timer).file->drain(); };
}

SegmentFile::~SegmentFile() { NETSTOR_ASSERT(device_ == nullptr && in_flight_ == 0); }

Task<void> SegmentFile::open() {
  if (device_ != nullptr) co_return ok();
  auto turn = opening_.take();
  static_cast<void>(co_await std::move(turn));
  Result<void> opened;
  if (device_ == nullptr) {
    auto port = context_.port("file");
    if (port) {
      OpenOp op;
      Uri uri;
      uri.scheme = "file";
      uri.path = segment_->path;
      op.uri = uri.to_string();
      op.cached = true;
      Completion done(op);
      (*port)->open(op);
      co_await done;
      if (op.result.ok) {
        device_ = std::move(op.device);
      } else {
        opened =
            op.result.error("open " + segment_->path + (op.detail.empty() ? "" : " (" + op.detail + ")"));
      }
    } else {
      opened = std::move(port).error();
    }
  }
  opening_.give();
  co_return opened;
}

Task<void> SegmentFile::run(DeviceOp& op) {
  Completion done(op);
  if (!waiting_.empty() || device_->submit(op) == Submit::full) {
    waiting_.push_back(&op);
    drain();
  } else {
    ++in_flight_;
  }
  co_await done;
  --in_flight_;
  drain();
  const bool flush = op.verb == DeviceVerb::flush;
  if (!op.result.ok) {
    co_return op.result.error((flush                         ? "flush "
                               : op.verb == DeviceVerb::read ? "read "
                                                             : "write ") +
                              segment_->path);
  }
  if (flush || op.result.bytes == op.length) co_return ok();
  co_return Error(ErrorKind::device_error, segment_->path + ": ends before its bytes", Effect::none,
                  Origin::system, EIO);
}

void SegmentFile::drain() noexcept {
  while (!waiting_.empty()) {
    if (device_->submit(*waiting_.front()) == Submit::full) {
      if (in_flight_ == 0 && !retry_.armed())
        context_.loop().arm(retry_, context_.loop().now() + kRetryAfter);
      return;
    }
    ++in_flight_;
    waiting_.pop_front();
  }
}

Task<void> SegmentFile::flush() {
  Promise<void> promise;
  auto flushed = promise.future();
  to_flush_.push_back(std::move(promise));
  if (!flushing_) run_flushes();
  Result<void> result = co_await std::move(flushed);
  co_return result;
}

detail::Detached SegmentFile::run_flushes() {
  flushing_ = true;
  while (!to_flush_.empty()) {
    auto waiting = std::exchange(to_flush_, {});
    DeviceOp op;
    op.verb = DeviceVerb::flush;
    auto running = run(op);
    Result<void> result = co_await std::move(running);
    // After a failure the system may forget what it could not write, and the next flush succeed.
    if (!result) segment_->failed = true;
    for (Promise<void>& promise : waiting) promise.set(result);
  }
  flushing_ = false;
}

Task<void> SegmentFile::close() {
  if (retry_.armed()) context_.loop().disarm(retry_);
  if (device_ == nullptr) co_return ok();
  Op closed;
  Completion done(closed);
  device_->close(closed);
  co_await done;
  device_.reset();
  co_return ok();
}

// --- scatter lists ------------------------------------------------------------------------------------

iovec Cutter::take(std::uint64_t max) noexcept {
  while (count_ > 0 && used_ == pieces_->iov_len) {
    ++pieces_;
    --count_;
    used_ = 0;
  }
  NETSTOR_ASSERT(count_ > 0);
  const std::size_t length = std::min<std::uint64_t>(pieces_->iov_len - used_, max);
  const iovec part{static_cast<char*>(pieces_->iov_base) + used_, length};
  used_ += length;
  return part;
}

void Cutter::cut(std::uint32_t segment, std::uint64_t offset, std::uint64_t length,
                 std::vector<Transfer>& into) {
  while (length > 0) {
    Transfer transfer{.segment = segment, .offset = offset, .length = 0, .pieces = {}};
    while (transfer.length < std::min(length, kTransferMax) && transfer.pieces.size() < kTransferPiecesMax) {
      transfer.pieces.push_back(take(std::min(length, kTransferMax) - transfer.length));
      transfer.length += transfer.pieces.back().iov_len;
    }
    offset += transfer.length;
    length -= transfer.length;
    into.push_back(std::move(transfer));
  }
}

void Cutter::copy_in(const char* from, std::uint64_t length) noexcept {
  while (length > 0) {
    const iovec part = take(length);
    std::memcpy(part.iov_base, from, part.iov_len);
    from += part.iov_len;
    length -= part.iov_len;
  }
}

void Cutter::append_to(std::string& text, std::uint64_t length) {
  while (length > 0) {
    const iovec part = take(length);
    text.append(static_cast<const char*>(part.iov_base), part.iov_len);
    length -= part.iov_len;
  }
}

// --- the shard's files --------------------------------------------------------------------------------

Task<SegmentFile*> ObjectShard::Inside::file(std::uint32_t number) {
  auto at = files.find(number);
  if (at == files.end()) {
    auto segment = core->segment(number);
    if (segment == nullptr) co_return damaged_index("a data file that is not there");
    at = files.emplace(number, std::make_unique<SegmentFile>(context, std::move(segment))).first;
  }
  SegmentFile* const file = at->second.get();
  auto opening = file->open();
  NETSTOR_CHECK(co_await std::move(opening));
  co_return file;
}

Task<Extent> ObjectShard::Inside::reserve(std::uint64_t bytes, bool large) {
  bytes = std::min(bytes, core->options().segment_bytes / 4);
  bytes = (bytes + kExtentAlignment - 1) / kExtentAlignment * kExtentAlignment;
  auto& segment = active[large ? 1 : 0];
  Turn& turn = reserving[large ? 1 : 0];
  auto waiting = turn.take();
  static_cast<void>(co_await std::move(waiting));
  Result<void> taken;
  if (segment == nullptr || segment->failed || segment->size - segment->next < bytes) {
    if (segment != nullptr) core->give_back(std::move(segment));
    auto another = co_await Helped(*core, [&] { return core->take_segment(bytes); });
    if (another) {
      segment = *std::move(another);
    } else {
      segment = nullptr;
      taken = std::move(another).error();
    }
  }
  Extent extent;
  if (taken) {
    extent = {segment->number, segment->next, segment->next, bytes};
    segment->next += bytes;
  }
  turn.give();
  if (!taken) co_return std::move(taken).error();
  co_return extent;
}

Task<void> ObjectShard::Inside::transfer_one(DeviceVerb verb, const Transfer* transfer) {
  auto opening = file(transfer->segment);
  NETSTOR_TRY(SegmentFile * opened, co_await std::move(opening));
  DeviceOp op;
  op.verb = verb;
  op.offset = transfer->offset;
  op.length = transfer->length;
  op.pieces = transfer->pieces.data();
  op.piece_count = static_cast<unsigned>(transfer->pieces.size());
  auto running = opened->run(op);
  Result<void> result = co_await std::move(running);
  co_return result;
}

/// All of them, together; waits for all, whatever becomes of one.
Task<void> ObjectShard::Inside::transfer(DeviceVerb verb, std::vector<Transfer> transfers) {
  if (transfers.size() == 1) {
    auto one = transfer_one(verb, transfers.data());
    Result<void> result = co_await std::move(one);
    co_return result;
  }
  std::vector<Future<void>> running;
  running.reserve(transfers.size());
  for (const Transfer& transfer : transfers) running.push_back(spawn(transfer_one(verb, &transfer)));
  Result<void> all;
  for (Future<void>& each : running) {
    Result<void> result = co_await std::move(each);
    if (all) all = std::move(result);
  }
  co_return all;
}

Task<void> ObjectShard::Inside::close() {
  closing = true;
  if (busy > 0) {
    idle.emplace();
    auto waiting = idle->future();
    static_cast<void>(co_await std::move(waiting));
  }
  for (auto& segment : active) {
    if (segment != nullptr) core->give_back(std::move(segment));
    segment = nullptr;
  }
  for (auto& [number, file] : files) {
    auto closing_file = file->close();
    static_cast<void>(co_await std::move(closing_file));
  }
  files.clear();
  core->wait_for_posts();
  co_return ok();
}

const BucketTable& ObjectShard::Inside::buckets() {
  const std::uint64_t changes = core->bucket_changes();
  if (bucket_table == nullptr || changes != bucket_changes) {
    bucket_table = core->buckets();
    bucket_changes = changes;
  }
  return *bucket_table;
}

Result<BucketRecord> ObjectShard::Inside::bucket(std::string_view name) {
  const auto& table = buckets();
  const auto at = table.find(name);
  if (at == table.end()) {
    return fault_error(ObjectFault::no_such_bucket, "there is no bucket '" + std::string(name) + "'");
  }
  return at->second;
}

}  // namespace netstor::store
