// SPDX-License-Identifier: Apache-2.0
#include "lib/object/streams.h"

#include "lib/object/answers.h"
#include "lib/object/plan.h"

#include <algorithm>
#include <cstring>

namespace netstor::detail {

namespace {

Error ended() { return {ErrorKind::invalid_argument, "the stream has ended"}; }
Error one_at_a_time() {
  return {ErrorKind::invalid_argument, "a call of this stream is under way: one at a time"};
}

/// While a call is at work on a stream.
class InUse {
 public:
  explicit InUse(bool& busy) noexcept : busy_(busy) { busy_ = true; }
  ~InUse() { busy_ = false; }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

 private:
  bool& busy_;
};

/// A part of a stream, owned by the coroutine's caller.
Task<std::uint64_t> fill(object::Call call, std::string key, object::PieceList into, GetOptions options) {
  auto getting = object::get_object(call, std::move(key), std::move(into), std::move(options));
  NETSTOR_TRY(const ObjectRead read, co_await std::move(getting));
  co_return read.bytes;
}

/// Ends a stream whose last handle is gone, and frees it.
template <class Core>
void end_and_delete(Core* core, Task<void> (Core::*end)()) noexcept {
  struct End {
    static Task<void> run(Core* ended, Task<void> (Core::*end)()) {
      auto ending = (ended->*end)();
      Result<void> result = co_await std::move(ending);
      delete ended;
      co_return result;
    }
  };
  if (core->call().core->ended()) {
    delete core;
  } else {
    core->call().shard->loop().shard().run_on([core, end] { return End::run(core, end); }).detach();
  }
}

}  // namespace

void ReaderCore::release(ReaderCore* core) noexcept { end_and_delete(core, &ReaderCore::close); }
void WriterCore::release(WriterCore* core) noexcept { end_and_delete(core, &WriterCore::abort); }

ReaderCore::ReaderCore(object::Call call, std::string key, GetOptions options, ObjectInfo info)
    : call_(std::move(call)),
      key_(std::move(key)),
      options_(std::move(options)),
      info_(std::move(info)),
      planned_(options_.offset) {
  if (options_.offset == 0 && call_.core->options().verify_checksums) kept_ = object::kept_checksum(info_);
  if (kept_) sum_ = s3::Checksummer(kept_->kind);
}

Task<void> ReaderCore::look_ahead() {
  const BucketOptions& limits = call_.core->options();
  while (parts_.size() < limits.parallel && planned_ < info_.size_bytes) {
    const std::uint64_t bytes = std::min(limits.part_bytes, info_.size_bytes - planned_);
    Part part;
    // Ahead only as far as memory is free; what is wanted now waits for it.
    if (parts_.empty()) {
      auto reserving = call_.shard->reserve(bytes);
      NETSTOR_TRY(part.memory, co_await std::move(reserving));
    } else if (part.memory = call_.shard->try_reserve(bytes); !part.memory) {
      break;
    }
    NETSTOR_TRY(part.data, Buffer::allocate(bytes));
    GetOptions options = options_;
    options.offset = planned_;
    options.conditions = object::same_version(info_);
    part.coming = spawn(fill(call_, key_, object::pieces_of(part.data.bytes()), std::move(options)));
    part.bytes = bytes;
    planned_ += bytes;
    parts_.push_back(std::move(part));
  }
  co_return ok();
}

Task<std::uint64_t> ReaderCore::read(MutableBytes into) {
  if (busy_) co_return one_at_a_time();
  if (failed_) co_return Error(*failed_);
  const InUse use(busy_);
  auto filling = fill_in(into);
  Result<std::uint64_t> done = co_await std::move(filling);
  if (!done) failed_ = done.error();
  co_return done;
}

Task<std::uint64_t> ReaderCore::fill_in(MutableBytes into) {
  std::uint64_t done = 0;
  while (done < into.size()) {
    if (closed_) co_return ended();
    auto looking = look_ahead();
    NETSTOR_CHECK(co_await std::move(looking));
    if (parts_.empty()) break;
    Part& part = parts_.front();
    if (!part.here) {
      const Result<std::uint64_t> came = co_await part.coming.join();
      part.here = true;
      if (!came) co_return Error(came.error());
      if (*came != part.bytes) co_return Error(ErrorKind::protocol, "a part of " + key_ + " came short");
    }
    const std::uint64_t bytes = std::min<std::uint64_t>(part.bytes - part.read, into.size() - done);
    std::memcpy(into.data() + done, part.data.data() + part.read, bytes);
    sum_.update(into.subspan(done, bytes));
    part.read += bytes;
    done += bytes;
    if (part.read == part.bytes) parts_.pop_front();
  }
  // Nobody gets the last bytes of an object that is not what was put.
  if (kept_ && parts_.empty() && planned_ >= info_.size_bytes) {
    const s3::Checksum kept = *std::exchange(kept_, std::nullopt);
    if (sum_.finish() != kept) co_return object::corrupt(*call_.core, key_, kept.kind);
  }
  co_return done;
}

Task<void> ReaderCore::close() {
  if (busy_) co_return one_at_a_time();
  const InUse use(busy_);
  closed_ = true;
  for (Part& part : parts_) {
    if (std::exchange(part.here, true)) continue;
    part.coming.cancel();
    const auto came = co_await part.coming.join();
    static_cast<void>(came);
  }
  parts_.clear();
  co_return ok();
}

WriterCore::WriterCore(object::Call call, std::string key, PutOptions options)
    : call_(std::move(call)), key_(std::move(key)), options_(std::move(options)) {}

Task<void> WriterCore::take_oldest() {
  Result<UploadedPart> part = co_await sending_.front().done.join();
  sending_.pop_front();
  if (part) {
    parts_.push_back(*std::move(part));
  } else if (!failed_) {
    failed_ = std::move(part).error();
  }
  co_return ok();
}

Task<void> WriterCore::send_full() {
  if (upload_.empty()) {
    PutOptions options = options_;
    options.conditions = {};
    auto starting = object::start_upload(call_, key_, std::move(options));
    NETSTOR_TRY(upload_, co_await std::move(starting));
  }
  Sending next{.data = std::move(filling_), .memory = std::move(filling_memory_), .done = {}};
  const auto number = static_cast<unsigned>(parts_.size() + sending_.size()) + 1;
  const ChecksumAlgorithm checksum = options_.checksum.value_or(call_.core->options().checksum);
  next.done = spawn(object::upload_part(
      call_, {.key = key_, .id = upload_, .number = number, .encryption = options_.encryption},
      object::pieces_of(Bytes(next.data.bytes()).first(static_cast<std::size_t>(filled_))), checksum));
  filled_ = 0;
  sending_.push_back(std::move(next));
  co_return ok();
}

Task<void> WriterCore::write(Bytes from) {
  if (busy_) co_return one_at_a_time();
  if (ended_) co_return ended();
  const InUse use(busy_);
  auto taking = take(from);
  Result<void> taken = co_await std::move(taking);
  if (!taken && !failed_) failed_ = taken.error();
  co_return taken;
}

Task<void> WriterCore::take(Bytes from) {
  // Parts grow with the object, so that 10,000 of them are enough for 5 TiB.
  while (!from.empty()) {
    if (failed_) co_return Error(*failed_);
    if (!filling_) {
      while (sending_.size() >= call_.core->options().parallel ||
             (!sending_.empty() && sending_.front().done.ready())) {
        auto taking = take_oldest();
        NETSTOR_CHECK(co_await std::move(taking));
      }
      const std::uint64_t number = parts_.size() + sending_.size();
      const std::uint64_t bytes = call_.core->options().part_bytes << (number / 1000 > 6 ? 6 : number / 1000);
      filling_memory_ = call_.shard->try_reserve(bytes);
      while (!filling_memory_ && !sending_.empty()) {
        auto taking = take_oldest();
        NETSTOR_CHECK(co_await std::move(taking));
        filling_memory_ = call_.shard->try_reserve(bytes);
      }
      if (!filling_memory_) {
        auto reserving = call_.shard->reserve(bytes);
        NETSTOR_TRY(filling_memory_, co_await std::move(reserving));
      }
      NETSTOR_TRY(filling_, Buffer::allocate(bytes));
    }
    const std::uint64_t bytes = std::min<std::uint64_t>(from.size(), filling_.size() - filled_);
    std::memcpy(filling_.data() + filled_, from.data(), bytes);
    filled_ += bytes;
    from = from.subspan(bytes);
    if (filled_ == filling_.size()) {
      auto sending = send_full();
      NETSTOR_CHECK(co_await std::move(sending));
    }
  }
  co_return ok();
}

Task<ObjectInfo> WriterCore::finish() {
  if (busy_) co_return one_at_a_time();
  if (std::exchange(ended_, true)) co_return ended();
  const InUse use(busy_);
  auto storing = store();
  Result<ObjectInfo> stored = co_await std::move(storing);
  auto letting = let_go();
  NETSTOR_CHECK(co_await std::move(letting));
  // What may have been completed is nobody's to abort.
  if (!stored && !upload_.empty() && stored.error().effect() == Effect::none) {
    auto abandoning = object::abandon_upload(call_, key_, upload_);
    NETSTOR_CHECK(co_await std::move(abandoning));
  }
  co_return stored;
}

Task<ObjectInfo> WriterCore::store() {
  if (failed_) co_return object::without_effect(*failed_);
  if (upload_.empty()) {
    auto putting = object::put_object(
        call_, key_, object::pieces_of(Bytes(filling_.bytes()).first(static_cast<std::size_t>(filled_))),
        options_);
    co_return co_await std::move(putting);
  }
  if (filled_ != 0) {
    auto sending = send_full();
    if (Result<void> sent = co_await std::move(sending); !sent && !failed_) failed_ = sent.error();
  }
  while (!sending_.empty()) {
    auto taking = take_oldest();
    NETSTOR_CHECK(co_await std::move(taking));
  }
  if (failed_) co_return object::without_effect(*failed_);
  auto completing = object::complete_upload(call_, key_, upload_, std::move(parts_), options_.conditions);
  co_return co_await std::move(completing);
}

/// Ends what is under way, and gives back all memory.
Task<void> WriterCore::let_go() {
  for (Sending& one : sending_) one.done.cancel();
  while (!sending_.empty()) {
    auto taking = take_oldest();
    NETSTOR_CHECK(co_await std::move(taking));
  }
  filling_.reset();
  filling_memory_ = {};
  co_return ok();
}

Task<void> WriterCore::abort() {
  if (busy_) co_return one_at_a_time();
  if (std::exchange(ended_, true)) co_return ok();
  const InUse use(busy_);
  auto letting = let_go();
  NETSTOR_CHECK(co_await std::move(letting));
  if (upload_.empty()) co_return ok();
  auto aborting = object::abort_upload(call_, key_, upload_);
  co_return co_await std::move(aborting);
}

}  // namespace netstor::detail
