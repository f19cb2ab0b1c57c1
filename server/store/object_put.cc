// SPDX-License-Identifier: Apache-2.0
// ObjectPut: bytes on their way. Small ones gather here until it is known that they stay small; others go to
// extents, which nobody knows of before the commit.

#include "server/store/object_put.h"

#include <algorithm>

namespace netstor::store {

namespace {

constexpr std::uint64_t kLargeFrom = 1 << 20;   // flushed apart from the smaller ones
constexpr std::uint64_t kFirstChunk = 1 << 20;  // of a size that is not known
constexpr std::uint64_t kChunkMax = 64 << 20;
constexpr std::uint64_t kKnownChunkMax = 1 << 30;
constexpr std::uint64_t kObjectBytesMax = std::uint64_t{5} << 40;

}  // namespace

ObjectPut::State::~State() {
  if (settled || content.extents.empty()) return;
  for (Extent& extent : content.extents) extent.offset = extent.base;
  busy->core->free(std::move(content.extents));
}

std::uint64_t ObjectPut::State::next_chunk() const noexcept {
  if (size && *size > content.size) return std::min(*size - content.size, kKnownChunkMax);
  return std::clamp(content.size, kFirstChunk, kChunkMax);
}

/// Finds a place for the next bytes.
Task<void> ObjectPut::State::place(std::shared_ptr<State> self, Cutter& cutter, std::uint64_t length,
                                   std::vector<Transfer>& transfers) {
  while (length > 0) {
    if (self->room == 0) {
      const bool large = !self->size || *self->size >= kLargeFrom;
      auto reserving = self->busy->reserve(std::max(self->next_chunk(), std::uint64_t{1}), large);
      NETSTOR_TRY(Extent extent, co_await std::move(reserving));
      self->room = std::exchange(extent.length, 0);
      self->content.extents.push_back(extent);
    }
    Extent& last = self->content.extents.back();
    const std::uint64_t take = std::min(length, self->room);
    cutter.cut(last.segment, last.base + last.length, take, transfers);
    last.length += take;
    self->room -= take;
    self->content.size += take;
    length -= take;
  }
  co_return ok();
}

Task<void> ObjectPut::State::append(std::shared_ptr<State> self, const iovec* pieces, unsigned count,
                                    std::uint64_t length) {
  auto waiting = self->placing.take();
  static_cast<void>(co_await std::move(waiting));
  Result<void> done;
  Cutter cutter(pieces, count);
  std::vector<Transfer> transfers;
  std::string gathered;
  if (self->failed) {
    done = *self->failed;
  } else if (self->busy->closing) {
    done = shard_closed();
  } else if (self->fits_inside(length)) {
    cutter.append_to(self->content.bytes, length);
    self->content.size += length;
  } else {
    gathered = std::exchange(self->content.bytes, {});
    self->content.size -= gathered.size();
    const iovec before{gathered.data(), gathered.size()};
    Cutter first(&before, 1);
    auto placing_first = place(self, first, gathered.size(), transfers);
    done = co_await std::move(placing_first);
    if (done) {
      auto placing_rest = place(self, cutter, length, transfers);
      done = co_await std::move(placing_rest);
    }
  }
  if (!done && !self->failed) self->failed = done.error();
  self->placing.give();
  if (!done || transfers.empty()) co_return done;
  auto writing = self->busy->transfer(DeviceVerb::write, std::move(transfers));
  done = co_await std::move(writing);
  // Nobody knows of these bytes before the commit, which will not be.
  if (!done && !self->failed) self->failed = done.error();
  co_return done;
}

bool ObjectPut::State::fits_inside(std::uint64_t more) const noexcept {
  const std::uint64_t max = busy->core->options().inline_bytes_max;
  return content.extents.empty() && std::max(size.value_or(0), content.size + more) <= max;
}

Future<void> ObjectPut::write(const iovec* pieces, unsigned count) {
  State& state = *state_;
  std::uint64_t length = 0;
  for (unsigned i = 0; i < count; ++i) length += pieces[i].iov_len;
  NETSTOR_ASSERT(!state.settled);
  if (length > kObjectBytesMax - std::min(kObjectBytesMax, state.taken)) {
    return make_ready<void>(fault_error(ObjectFault::too_large, "an object of more than 5 TiB"));
  }
  state.taken += length;
  // The usual small object, without a detour.
  if (!state.placing.taken() && !state.failed && !state.busy->closing && state.fits_inside(length)) {
    Cutter(pieces, count).append_to(state.content.bytes, length);
    state.content.size += length;
    return make_ready<void>(Result<void>());
  }
  return spawn(State::append(state_, pieces, count, length));
}

std::uint64_t ObjectPut::written() const noexcept { return state_->taken; }

/// Everything that was written is on stable storage.
Task<void> ObjectPut::State::flush(std::shared_ptr<State> self) {
  if (self->failed) co_return *self->failed;
  if (self->busy->closing) co_return shard_closed();
  std::vector<std::uint32_t> segments;
  for (const Extent& extent : self->content.extents) {
    if (std::find(segments.begin(), segments.end(), extent.segment) == segments.end()) {
      segments.push_back(extent.segment);
    }
  }
  for (const std::uint32_t number : segments) {
    auto opening = self->busy->file(number);
    NETSTOR_TRY(SegmentFile * file, co_await std::move(opening));
    auto flushing = file->flush();
    NETSTOR_CHECK(co_await std::move(flushing));
    if (file->segment().failed) {
      co_return Error(ErrorKind::device_error, file->segment().path + ": what was written is not safe");
    }
  }
  co_return ok();
}

namespace {

/// What failed with effect unknown may turn out to have happened: its bytes stay where they are.
bool settles(const Result<void>& result) { return result || result.error().effect() == Effect::unknown; }

Task<ObjectVersion> commit_object(std::shared_ptr<ObjectPut::State> state, std::string key, ObjectFacts facts,
                                  ObjectConditions conditions) {
  auto flushing = ObjectPut::State::flush(state);
  NETSTOR_CHECK(co_await std::move(flushing));
  ObjectCore& core = *state->busy->core;
  auto stored = co_await Committing(core, [&](Ledger& ledger) {
    return ledger.put_object(state->bucket, key, std::move(facts), state->content, conditions, core.now_ms());
  });
  state->settled = settles(stored ? Result<void>() : Result<void>(stored.error()));
  co_return stored;
}

Task<ObjectPart> commit_one_part(std::shared_ptr<ObjectPut::State> state, std::string key,
                                 std::string upload_id, std::uint32_t number, ObjectFacts facts) {
  auto flushing = ObjectPut::State::flush(state);
  NETSTOR_CHECK(co_await std::move(flushing));
  ObjectCore& core = *state->busy->core;
  auto stored = co_await Committing(core, [&](Ledger& ledger) {
    return ledger.put_part(state->bucket, key, upload_id, number, std::move(facts), state->content,
                           core.now_ms());
  });
  state->settled = settles(stored ? Result<void>() : Result<void>(stored.error()));
  co_return stored;
}

}  // namespace

ObjectPut::ObjectPut(std::shared_ptr<State> state) : state_(std::move(state)) {}
ObjectPut::ObjectPut(ObjectPut&&) noexcept = default;
ObjectPut& ObjectPut::operator=(ObjectPut&&) noexcept = default;
ObjectPut::~ObjectPut() = default;

void ObjectPut::abort() noexcept { state_.reset(); }

Future<ObjectVersion> ObjectPut::commit(std::string_view key, ObjectFacts facts,
                                        ObjectConditions conditions) {
  return spawn(commit_object(std::move(state_), std::string(key), std::move(facts), std::move(conditions)));
}

Future<ObjectPart> ObjectPut::commit_part(std::string_view key, std::string_view upload_id,
                                          std::uint32_t number, ObjectFacts facts) {
  return spawn(
      commit_one_part(std::move(state_), std::string(key), std::string(upload_id), number, std::move(facts)));
}

}  // namespace netstor::store
