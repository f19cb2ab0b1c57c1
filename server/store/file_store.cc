// SPDX-License-Identifier: Apache-2.0
// FileStore of file_parts.h.
//
// An operation's way: submit → (range lock) → begin → device → finish. While it is on the way the
// store's own `complete` stands in the place of the caller's, which waits in op.side.

#include "lib/base/assert.h"
#include "server/store/file_parts.h"
#include "server/store/pieces.h"

#include <cerrno>
#include <utility>

namespace netstor::store {

namespace {

// A device that is full although nothing of ours is in it shares its queue with others: look again after
// this.
constexpr Duration kRetryAfter = std::chrono::microseconds(50);

bool changes_bytes(DeviceVerb verb) noexcept {
  return verb == DeviceVerb::write || verb == DeviceVerb::write_zeroes || verb == DeviceVerb::deallocate ||
         verb == DeviceVerb::compare_and_write;
}

bool moves_exactly_its_length(DeviceVerb verb) noexcept {
  return verb == DeviceVerb::read || verb == DeviceVerb::write;
}

}  // namespace

FileStore::FileStore(detail::Loop& loop, FileShared& shared, std::unique_ptr<Device> device,
                     const StoreLimits& limits)
    : loop_(loop), shared_(shared), device_(std::move(device)), limits_(limits) {
  device_->observe(this);
  retry_.store = this;
  retry_.fire = [](detail::Timer& timer) noexcept { static_cast<Retry&>(timer).store->drain(); };
  end_.store = this;
  end_.run = [](detail::Runnable& step) noexcept {
    Op& closed = *static_cast<Step&>(step).store->closed_;
    closed.result = OpResult::success();
    closed.complete(closed);
  };
}

FileStore::~FileStore() {
  NETSTOR_ASSERT(in_flight_ == 0 && device_closed_);
  if (retry_.armed()) loop_.disarm(retry_);
}

Submit FileStore::submit(StoreOp& op) {
  NETSTOR_ASSERT(!closing_);
  if (in_flight_ == limits_.depth) return Submit::full;
  ++in_flight_;
  op.side.store = this;
  op.side.loop = &loop_;
  op.side.complete = op.complete;
  op.side.locked = false;
  op.side.alone = op.verb == DeviceVerb::compare_and_write;
  op.side.later.op = &op;
  if (const auto refused = refusal(op, limits_)) {
    finish_later(op, *refused);
  } else if (shared_.lost.load(std::memory_order_relaxed)) {
    finish_later(op, FileShared::gone());
  } else if (!changes_bytes(op.verb)) {
    begin(op);
  } else {
    op.side.locked = true;
    op.side.later.run = [](detail::Runnable& step) noexcept {
      StoreOp& locked = *static_cast<StoreSide::Later&>(step).op;
      static_cast<FileStore*>(locked.side.store)->begin(locked);
    };
    if (shared_.ranges.take(op)) begin(op);
  }
  return Submit::accepted;
}

void FileStore::begin(StoreOp& op) noexcept {
  if (op.side.alone && !closing_) {
    // First the one half, then the other; the range lock makes them one.
    op.verb = DeviceVerb::compare;
    op.side.payload = std::exchange(op.pieces, op.expected);
    op.side.payload_count = std::exchange(op.piece_count, op.expected_count);
  }
  op.complete = &FileStore::on_device;
  send(op);
}

void FileStore::on_device(Op& done) noexcept {
  auto& op = static_cast<StoreOp&>(done);
  auto& self = *static_cast<FileStore*>(op.side.store);
  self.received();
  if (op.side.alone && op.verb == DeviceVerb::compare) {
    op.verb = op.result.ok ? DeviceVerb::write : DeviceVerb::compare_and_write;
    op.pieces = op.side.payload;
    op.piece_count = op.side.payload_count;
    if (op.result.ok) return self.send(op);
  }
  self.finish(op);
}

void FileStore::send(StoreOp& op) noexcept {
  if (closing_) return finish_later(op, OpResult::failure(ErrorKind::cancelled));
  op.next = nullptr;
  if (waiting_ == nullptr && device_->submit(op) == Submit::accepted) {
    ++device_in_flight_;
    return;
  }
  *waiting_end_ = &op;
  waiting_end_ = &op.next;
  if (device_in_flight_ == 0 && !retry_.armed()) loop_.arm(retry_, loop_.now() + kRetryAfter);
}

void FileStore::received() noexcept {
  --device_in_flight_;
  drain();
}

void FileStore::drain() noexcept {
  while (waiting_ != nullptr) {
    auto& op = static_cast<StoreOp&>(*waiting_);
    Op* const following = op.next;
    if (!closing_ && device_->submit(op) == Submit::full) {
      if (device_in_flight_ == 0 && !retry_.armed()) loop_.arm(retry_, loop_.now() + kRetryAfter);
      return;
    }
    ++device_in_flight_;
    waiting_ = following;
    if (waiting_ == nullptr) waiting_end_ = &waiting_;
    if (!closing_) continue;
    op.result = OpResult::failure(ErrorKind::cancelled);
    return op.complete(op);  // which comes back here for the next one
  }
}

OpResult FileStore::checked(const StoreOp& op) noexcept {
  if (!op.result.ok) return op.result;
  const Effect effect = changes_bytes(op.verb) ? Effect::unknown : Effect::none;
  // Somebody cut the file short.
  if (moves_exactly_its_length(op.verb) && op.result.bytes != op.length) {
    return OpResult::failure(ErrorKind::device_error, Origin::system, EIO, effect);
  }
  const bool promises = op.verb == DeviceVerb::flush || (changes_bytes(op.verb) && op.force_unit_access);
  if (promises && !shared_.still_there()) {
    OpResult gone = FileShared::gone();
    gone.effect = effect;
    return gone;
  }
  return op.result;
}

void FileStore::finish_later(StoreOp& op, const OpResult& result) noexcept {
  op.result = result;
  op.side.later.run = [](detail::Runnable& step) noexcept {
    StoreOp& done = *static_cast<StoreSide::Later&>(step).op;
    static_cast<FileStore*>(done.side.store)->finish(done);
  };
  loop_.push(op.side.later);
}

void FileStore::finish(StoreOp& op) noexcept {
  op.result = checked(op);
  if (op.side.alone) op.verb = DeviceVerb::compare_and_write;
  if (op.side.locked) shared_.ranges.give_back(op);
  op.complete = op.side.complete;
  --in_flight_;
  op.complete(op);
  end_if_done();
}

void FileStore::device_lost(OpResult) noexcept { shared_.lost.store(true, std::memory_order_relaxed); }

void FileStore::close(Op& closed) {
  NETSTOR_ASSERT(!closing_);
  closing_ = true;
  closed_ = &closed;
  drain_.store = this;
  drain_.run = [](detail::Runnable& step) noexcept { static_cast<Step&>(step).store->drain(); };
  loop_.push(drain_);
  device_close_.store = this;
  device_close_.complete = [](Op& done) noexcept {
    FileStore& self = *static_cast<CloseOp&>(done).store;
    self.device_closed_ = true;
    self.end_if_done();
  };
  device_->close(device_close_);
}

void FileStore::end_if_done() noexcept {
  // Writers that wait for another shard's compare_and_write are still to come: they end in begin().
  if (!device_closed_ || in_flight_ > 0 || std::exchange(ending_, true)) return;
  loop_.push(end_);
}

}  // namespace netstor::store
