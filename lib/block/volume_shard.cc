// SPDX-License-Identifier: Apache-2.0
#include "lib/block/volume_shard.h"

#include "lib/base/assert.h"
#include "lib/block/replay.h"
#include "lib/block/volume_core.h"
#include "lib/engine/completion.h"
#include "lib/engine/stop_asks.h"

namespace netstor::detail {

VolumeShard::VolumeShard(VolumeCore& core, ShardLoop& loop)
    : core_(core),
      loop_(loop),
      users_([](void* self) noexcept { static_cast<VolumeShard*>(self)->unused(); }, this) {
  pump_.shard = this;
  pump_.run = [](Runnable& self) noexcept {
    auto& pump = static_cast<Pump&>(self);
    pump.queued = false;
    pump.shard->pump();
  };
  patience_.shard = this;
  patience_.fire = [](Timer& self) noexcept { static_cast<Patience&>(self).shard->give_up(); };
}

VolumeShard::~VolumeShard() { NETSTOR_ASSERT(device_ == nullptr && waiting_head_ == nullptr); }

const std::string& VolumeShard::uri() const noexcept { return core_.uri(); }
const std::string& VolumeShard::scheme() const noexcept { return core_.parsed_uri().scheme; }

void VolumeShard::submit(Fragment& fragment) noexcept {
  if (path_ == Path::up && waiting_head_ == nullptr && device_->submit(fragment) == Submit::accepted) {
    fragment.place = Fragment::Place::device;
    fragment.parent->trace("device", "submitted", &fragment);
    return;
  }
  fragment.parent->trace("volume", path_ == Path::up ? "waits for room" : "waits for a path", &fragment);
  wait(fragment);
  if (path_ == Path::gone) pump_later();
}

void VolumeShard::completed(Fragment& fragment) noexcept {
  NETSTOR_ASSERT(fragment.place == Fragment::Place::device);  // completed twice
  fragment.place = Fragment::Place::idle;
  fragment.parent->trace("device", fragment.result.ok ? "answered" : "failed", &fragment);
  const bool cancelled = fragment.parent->cancelled();
  if (fragment.result.kind == ErrorKind::cancelled && !cancelled && !closed_) {
    // The device was closed under it, because the session was lost on another shard.
    fragment.result.kind = ErrorKind::disconnected;
  }
  if (!fragment.result.ok && !cancelled && path_ != Path::gone &&
      may_replay(fragment.verb, fragment.parent->options(), fragment.result)) {
    ++loop_.metrics().replays;
    fragment.parent->trace("volume", "replays", &fragment);
    // However the next try ends, this one may have happened.
    fragment.may_have_happened |= fragment.result.effect == Effect::unknown;
    wait(fragment);
  } else {
    fragment.parent->fragment_done(fragment);
  }
  if (waiting_head_ != nullptr && path_ != Path::down) pump();
}

void VolumeShard::cancel(Fragment& fragment) noexcept {
  if (fragment.place == Fragment::Place::device) {
    device_->cancel(fragment);
  } else if (fragment.place == Fragment::Place::waiting) {
    unlink(fragment);
    fragment.result = OpResult::failure(ErrorKind::cancelled);
    fragment.parent->fragment_done(fragment);
  }
}

void VolumeShard::wait(Fragment& fragment) noexcept { link(fragment, waiting_tail_, nullptr); }

void VolumeShard::link(Fragment& fragment, Fragment* before, Fragment* after) noexcept {
  fragment.place = Fragment::Place::waiting;
  fragment.before = before;
  fragment.after = after;
  (before != nullptr ? before->after : waiting_head_) = &fragment;
  (after != nullptr ? after->before : waiting_tail_) = &fragment;
}

void VolumeShard::unlink(Fragment& fragment) noexcept {
  (fragment.before != nullptr ? fragment.before->after : waiting_head_) = fragment.after;
  (fragment.after != nullptr ? fragment.after->before : waiting_tail_) = fragment.before;
  fragment.place = Fragment::Place::idle;
}

void VolumeShard::pump() noexcept {
  while (waiting_head_ != nullptr && path_ != Path::down) {
    Fragment& fragment = *waiting_head_;
    unlink(fragment);
    if (path_ == Path::gone) {
      // What was asked after the loss never left; what waited for a replay keeps what its loss said, unless
      // the volume's end is why there is none.
      if (closed_ || fragment.result.ok || fragment.result.kind != ErrorKind::disconnected) {
        fragment.result = why_;
        fragment.result.effect = Effect::none;
      }
      fragment.parent->fragment_done(fragment);
    } else if (device_->submit(fragment) == Submit::accepted) {
      fragment.place = Fragment::Place::device;
      fragment.parent->trace("device", "submitted", &fragment);
    } else {
      link(fragment, nullptr, waiting_head_);
      return;
    }
  }
}

void VolumeShard::pump_later() noexcept {
  if (pump_.queued) return;
  pump_.queued = true;
  loop_.push(pump_);
}

void VolumeShard::count(DeviceVerb verb, std::uint64_t length, bool succeeded) noexcept {
  Metrics& metrics = loop_.metrics();
  if (verb == DeviceVerb::read) {
    ++metrics.reads;
    if (succeeded) metrics.read_bytes += length;
  } else if (verb == DeviceVerb::write) {
    ++metrics.writes;
    if (succeeded) metrics.write_bytes += length;
  } else {
    ++metrics.other;
  }
  if (!succeeded) ++metrics.errors;
}

Task<void> VolumeShard::open(std::optional<Ticket> share) {
  const auto ended_meanwhile = [this] {
    const char* const why = closed_ ? ": the volume was closed meanwhile" : ": the runtime is ending";
    return Error(ErrorKind::cancelled, "open " + core_.uri() + why);
  };
  if (closed_ || loop_.stopping()) co_return ended_meanwhile();
  const Uri& where = core_.parsed_uri();
  NETSTOR_TRY(Port * port, loop_.port(where.scheme));
  OpenOp op;
  op.uri = core_.uri();
  op.options = &core_.options();
  op.writable = !core_.options().read_only;
  op.share = share;
  CancellableCompletion opened(op, [&] { port->cancel_open(op); });
  const StopAsks stopping(loop_, opened);
  port->open(op);
  co_await opened;
  if (!op.result.ok) {
    if (closed_ || loop_.stopping()) co_return ended_meanwhile();
    Error error = op.result.error("open " + core_.uri());
    if (op.detail.empty()) co_return std::move(error);
    co_return Error(error.kind(), "open " + core_.uri() + ": " + op.detail, error.effect(), error.origin(),
                    error.native());
  }
  NETSTOR_ASSERT(device_ == nullptr);  // the parts are brought up by one at a time
  device_ = std::move(op.device);
  if (closed_ || loop_.stopping()) {
    auto ended = end_device();
    NETSTOR_CHECK(co_await std::move(ended));
    co_return ended_meanwhile();
  }
  if (!share) {
    if (Result<void> known = core_.recognise(*device_); !known) {
      auto ended = end_device();
      NETSTOR_CHECK(co_await std::move(ended));
      co_return std::move(known).error();
    }
  }
  limits_ = device_->limits();
  device_->observe(this);
  path_ = Path::up;
  if (patience_.armed()) loop_.disarm(patience_);
  loop_.remove_stop_hook(*this);
  loop_.add_stop_hook(*this);
  pump_later();
  co_return ok();
}

Task<void> VolumeShard::end_device() {
  // Another coroutine may be ending it already (a loss and a close at once): the first one does the work.
  if (ending_) {
    while (ending_) NETSTOR_CHECK(co_await yield());
    co_return ok();
  }
  if (!device_) co_return ok();
  ending_ = true;
  device_->observe(nullptr);
  Op op;
  Completion closed(op);
  device_->close(op);
  co_await closed;
  device_.reset();
  ending_ = false;
  co_return ok();
}

Task<void> VolumeShard::drop() {
  if (path_ == Path::up) hold_on();
  auto ended = end_device();
  NETSTOR_CHECK(co_await std::move(ended));
  co_return ok();
}

Task<void> VolumeShard::refuse(OpResult why) {
  if (path_ != Path::down) co_return ok();
  if (patience_.armed()) loop_.disarm(patience_);
  path_ = Path::gone;
  why_ = why;
  pump();
  co_return ok();
}

Task<void> VolumeShard::close() {
  const UseCount::Use use(users_);
  if (std::exchange(closed_, true)) {
    while (!finished_) NETSTOR_CHECK(co_await yield());
    co_return ok();
  }
  why_ = OpResult::failure(ErrorKind::cancelled);
  if (patience_.armed()) loop_.disarm(patience_);
  path_ = Path::gone;
  pump();
  auto ended = end_device();
  NETSTOR_CHECK(co_await std::move(ended));
  pump();
  loop_.remove_stop_hook(*this);
  while (pump_.queued) NETSTOR_CHECK(co_await yield());
  finished_ = true;
  co_return ok();
}

// From then on the core may be freed by any thread.
void VolumeShard::unused() noexcept {
  if (finished_ && !std::exchange(told_, true)) core_.part_closed();
}

Task<void> VolumeShard::close_for_stop() {
  const UseCount::Use use(users_);
  if (&core_.home() == &loop_) {
    auto quiet = core_.stop_recovering();
    NETSTOR_CHECK(co_await std::move(quiet));
  }
  auto closed = close();
  co_return co_await std::move(closed);
}

void VolumeShard::stop(Runnable& ended) noexcept {
  spawn(close_for_stop()).then([&ended](Result<void>) { ended.run(ended); }).detach();
}

void VolumeShard::hold_on() noexcept {
  path_ = Path::down;
  why_ = OpResult::failure(ErrorKind::disconnected);
  const Duration patience = core_.options().path_loss_timeout;
  loop_.arm(patience_, loop_.now() + patience);
}

void VolumeShard::give_up() noexcept {
  // The end of the runtime rings every alarm; what waits is answered when it closes the volume.
  if (path_ != Path::down || loop_.stopping()) return;
  path_ = Path::gone;
  pump();
}

void VolumeShard::device_lost(OpResult why) noexcept {
  if (path_ != Path::up) return;
  hold_on();
  why_ = why.as_lost_path();
  core_.path_lost(*this);
}

void VolumeShard::device_changed() noexcept {
  if (!core_.recognise(*device_).ok()) return device_lost(OpResult::failure(ErrorKind::not_found));
  limits_ = device_->limits();
}

void VolumeShard::device_has_room() noexcept { pump(); }

}  // namespace netstor::detail
