// SPDX-License-Identifier: Apache-2.0
#include "lib/block/volume_op.h"

#include "lib/block/replay.h"
#include "lib/block/volume_shard.h"
#include "lib/engine/tracer.h"

#include <algorithm>

namespace netstor::detail {
namespace {

std::size_t fragment_bytes(unsigned capacity) noexcept {
  return sizeof(Fragment) + (capacity - 1) * sizeof(iovec);
}

void fragment_completed(Op& op) noexcept {
  auto& fragment = static_cast<Fragment&>(static_cast<DeviceOp&>(op));
  static_cast<VolumeShard*>(op.user)->completed(fragment);
}

}  // namespace

Future<void> VolumeOp::start(VolumeShard& shard, const VolumeRequest& request) {
  auto* op = make_state<VolumeOp>(shard, request);
  op->retain();
  Future<void> future(op);
  op->launch();
  return future;
}

VolumeOp::VolumeOp(VolumeShard& shard, const VolumeRequest& request)
    : shard_(shard),
      options_(request.options),
      trace_(tracer.request()),
      offset_(request.offset),
      length_(request.length),
      slice_bytes_max_(has_payload(request.verb) ? shard.limits().transfer_bytes_max
                                                 : shard.limits().zero_bytes_max),
      piece_count_(static_cast<std::uint32_t>(request.pieces.size())),
      expected_(request.expected),
      pieces_(&one_piece_) {
  destroy = [](StateBase& self) noexcept { State<void>::dispose(static_cast<VolumeOp&>(self)); };
  on_cancel = [](StateBase& self) noexcept { static_cast<VolumeOp&>(self).ask_to_stop(); };
  if (piece_count_ > 1) pieces_ = static_cast<iovec*>(allocate_block(piece_count_ * sizeof(iovec)));
  std::copy(request.pieces.begin(), request.pieces.end(), pieces_);
  first_.verb = request.verb;
  first_.parent = this;
  first_.complete = &fragment_completed;
  first_.user = &shard;
  whole_ = request.verb == DeviceVerb::flush;
}

VolumeOp::~VolumeOp() {
  for (Fragment* fragment = first_.sibling; fragment != nullptr;) {
    Fragment* const following = fragment->sibling;
    const std::size_t size = fragment_bytes(fragment->capacity);
    fragment->~Fragment();
    release_block(fragment, size);
    fragment = following;
  }
  if (pieces_ != &one_piece_) release_block(pieces_, piece_count_ * sizeof(iovec));
}

Fragment& VolumeOp::make_fragment() {
  const unsigned capacity = std::max(piece_count_, 1U);
  auto* fragment = new (allocate_block(fragment_bytes(capacity))) Fragment;
  fragment->capacity = static_cast<std::uint16_t>(capacity);
  fragment->verb = first_.verb;
  fragment->parent = this;
  fragment->complete = &fragment_completed;
  fragment->user = &shard_;
  fragment->sibling = first_.sibling;
  first_.sibling = fragment;
  return *fragment;
}

void VolumeOp::tell(const char* room, const char* what, const Fragment* fragment) noexcept {
  TracePoint point;
  point.request = trace_;
  point.room = room;
  point.what = what;
  point.verb = to_string(first_.verb).data();  // of a literal
  point.offset = fragment != nullptr ? fragment->offset : offset_;
  point.length = fragment != nullptr ? fragment->length : length_;
  point.path = shard_.scheme();
  tracer.tell(point);
}

void VolumeOp::launch() noexcept {
  // Completions come from a later turn, so nothing finishes under our feet. The request keeps one count of
  // its own until everything is launched.
  ++outstanding_;
  trace("volume", "asked", nullptr);
  const bool fits = whole_ || length_ <= slice_bytes_max_;
  if (fits) {
    if (whole_ || take_slice(first_)) {
      first_.force_unit_access = options_.force_unit_access;
      ++outstanding_;
      shard_.submit(first_);
    }
  } else {
    for (unsigned i = 0; i < kWindow && planned_ < length_; ++i) {
      Fragment& fragment = make_fragment();
      take_slice(fragment);
      fragment.force_unit_access = options_.force_unit_access;
      ++outstanding_;
      shard_.submit(fragment);
    }
  }
  if (--outstanding_ == 0) finish();
}

bool VolumeOp::take_slice(Fragment& fragment) noexcept {
  if (planned_ == length_) return false;
  fragment.may_have_happened = false;
  fragment.offset = offset_ + planned_;
  fragment.length = std::min(slice_bytes_max_, length_ - planned_);
  if (fragment.verb == DeviceVerb::compare_and_write) {
    fragment.expected = &expected_;
    fragment.expected_count = 1;
  }
  if (piece_count_ > 0 && fragment.length == length_) {
    fragment.pieces = pieces_;
    fragment.piece_count = piece_count_;
  } else if (piece_count_ > 0) {
    cut_pieces(fragment);
  }
  planned_ += fragment.length;
  return true;
}

void VolumeOp::cut_pieces(Fragment& fragment) noexcept {
  std::uint64_t left = fragment.length;
  unsigned count = 0;
  while (left > 0) {
    const iovec& piece = pieces_[piece_at_];
    const std::uint64_t part = std::min<std::uint64_t>(left, piece.iov_len - piece_planned_);
    if (part > 0)
      fragment.slices()[count++] = {static_cast<std::byte*>(piece.iov_base) + piece_planned_, part};
    left -= part;
    piece_planned_ += part;
    if (piece_planned_ == piece.iov_len) {
      ++piece_at_;
      piece_planned_ = 0;
    }
  }
  fragment.pieces = fragment.slices();
  fragment.piece_count = count;
}

void VolumeOp::fragment_done(Fragment& fragment) noexcept {
  const OpResult& result = fragment.result;
  if (result.ok) {
    any_done_ = true;
    if (!whole_ && failure_.ok && !cancelled_ && take_slice(fragment)) {
      shard_.submit(fragment);
      return;
    }
  } else {
    if (failure_.ok) failure_ = result;
    if (result.effect == Effect::unknown || fragment.may_have_happened) failure_.effect = Effect::unknown;
  }
  if (--outstanding_ == 0) finish();
}

void VolumeOp::ask_to_stop() noexcept {
  cancelled_ = true;
  ++outstanding_;
  for (Fragment* fragment = &first_; fragment != nullptr; fragment = fragment->sibling)
    shard_.cancel(*fragment);
  if (--outstanding_ == 0) finish();
}

void VolumeOp::finish() noexcept {
  on_cancel = nullptr;
  // Cancelled between slices: what was planned is done, the rest never began.
  if (failure_.ok && cancelled_ && !whole_ && planned_ < length_)
    failure_ = OpResult::failure(ErrorKind::cancelled);
  if (!failure_.ok && any_done_ && changes(first_.verb)) failure_.effect = Effect::unknown;
  shard_.count(first_.verb, length_, failure_.ok);
  trace("volume", failure_.ok ? "done" : "failed", nullptr);
  if (failure_.ok) {
    set({});
  } else {
    std::string what(to_string(first_.verb));
    if (!whole_) what += " of " + std::to_string(length_) + " bytes at " + std::to_string(offset_);
    set(failure_.error(what + " on " + shard_.uri()));
  }
  release();
}

}  // namespace netstor::detail
