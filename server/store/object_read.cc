// SPDX-License-Identifier: Apache-2.0
// Looking up and reading. What is cached is answered at once, without a system call or a lock that others
// hold for longer than a few instructions.

#include "server/store/object_shard.h"

#include <algorithm>

namespace netstor::store {

struct ObjectReader::State {
  State(ObjectShard::Inside& shard, Lookup&& its_found) : busy(shard), found(std::move(its_found)) {}
  ~State() {
    if (pinned) busy->core->unpin(found.layout.extents);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  bool has_files() const noexcept {
    return std::any_of(found.layout.extents.begin(), found.layout.extents.end(),
                       [](const Extent& extent) { return extent.segment != 0; });
  }
  /// From now on its bytes stay.
  void pin() {
    busy->core->pin(found.layout.extents);
    pinned = true;
  }

  Busy busy;
  Lookup found;
  bool pinned = false;
};

namespace {

struct Wanted {
  BucketRecord bucket;
  std::string key;
  std::string version_id;
};

/// Delete markers cannot be opened; told of only when they were named.
std::optional<Error> marker_error(const VersionRecord& record, std::string_view version_id,
                                  bool naming_helps) {
  if (!record.version.delete_marker || (naming_helps && !version_id.empty())) return std::nullopt;
  return fault_error(ObjectFault::delete_marker, "the object was deleted");
}

/// Pinned, then seen once more: whoever removes the version looks for pins after that.
Task<ObjectReader> pin_and_check(ObjectShard::Inside* shard, Wanted wanted, std::optional<Lookup> found) {
  const Busy busy(*shard);
  ObjectCore& core = *shard->core;
  for (;;) {
    if (!found) {
      auto looked = co_await Helped(core, [&] {
        return look_up(core.index(), wanted.bucket, wanted.key, wanted.version_id, true, false);
      });
      if (!looked) co_return std::move(looked).error();
      found = *std::move(looked);
    }
    if (auto error = marker_error(found->record, wanted.version_id, false)) co_return *std::move(error);
    auto state = std::make_shared<ObjectReader::State>(*shard, *std::exchange(found, std::nullopt));
    if (!state->has_files()) co_return ObjectReader(std::move(state));
    state->pin();
    const std::string& id = state->found.record.version.version_id;
    auto again = look_up(core.index(), wanted.bucket, wanted.key, id, false, true);
    if (again && !*again) {
      again = co_await Helped(
          core, [&] { return look_up(core.index(), wanted.bucket, wanted.key, id, false, false); });
    }
    if (again && (**again).record.sequence == state->found.record.sequence) {
      co_return ObjectReader(std::move(state));
    }
    if (!again && fault(again.error()) == ObjectFault::none) co_return std::move(again).error();
  }
}

Task<ObjectVersion> stat_slowly(ObjectShard::Inside* shard, Wanted wanted) {
  const Busy busy(*shard);
  auto looked = co_await Helped(*shard->core, [&] {
    return look_up(shard->core->index(), wanted.bucket, wanted.key, wanted.version_id, false, false);
  });
  if (!looked) co_return std::move(looked).error();
  VersionRecord& record = (**looked).record;
  if (auto error = marker_error(record, wanted.version_id, true)) co_return *std::move(error);
  co_return std::move(record.version);
}

Task<void> read_pieces(std::shared_ptr<ObjectReader::State> state, std::vector<Transfer> transfers) {
  if (state->busy->closing) co_return shard_closed();
  auto reading = state->busy->transfer(DeviceVerb::read, std::move(transfers));
  Result<void> result = co_await std::move(reading);
  co_return result;
}

}  // namespace

Future<ObjectReader> ObjectShard::open(std::string_view bucket, std::string_view key,
                                       std::string_view version_id) {
  if (inside_->closing) return make_ready<ObjectReader>(shard_closed());
  auto record = inside_->bucket(bucket);
  if (!record) return make_ready<ObjectReader>(std::move(record).error());
  auto found = look_up(inside_->core->index(), *record, key, version_id, true, true);
  if (!found) return make_ready<ObjectReader>(std::move(found).error());
  if (*found) {
    if (auto error = marker_error((**found).record, version_id, false)) {
      return make_ready<ObjectReader>(*std::move(error));
    }
    const auto& extents = (**found).layout.extents;
    const bool inside =
        std::all_of(extents.begin(), extents.end(), [](const Extent& extent) { return extent.segment == 0; });
    if (inside) {
      return make_ready<ObjectReader>(
          ObjectReader(std::make_shared<ObjectReader::State>(*inside_, **std::move(found))));
    }
  }
  Wanted wanted{*std::move(record), std::string(key), std::string(version_id)};
  return spawn(pin_and_check(inside_.get(), std::move(wanted), *std::move(found)));
}

Future<ObjectVersion> ObjectShard::stat(std::string_view bucket, std::string_view key,
                                        std::string_view version_id) {
  if (inside_->closing) return make_ready<ObjectVersion>(shard_closed());
  auto record = inside_->bucket(bucket);
  if (!record) return make_ready<ObjectVersion>(std::move(record).error());
  auto found = look_up(inside_->core->index(), *record, key, version_id, false, true);
  if (!found) return make_ready<ObjectVersion>(std::move(found).error());
  if (*found) {
    if (auto error = marker_error((**found).record, version_id, true)) {
      return make_ready<ObjectVersion>(*std::move(error));
    }
    return make_ready<ObjectVersion>(std::move((**found).record.version));
  }
  return spawn(stat_slowly(inside_.get(), {*std::move(record), std::string(key), std::string(version_id)}));
}

// --- the reader ---------------------------------------------------------------------------------------

ObjectReader::ObjectReader(std::shared_ptr<State> state) : state_(std::move(state)) {}
ObjectReader::ObjectReader(ObjectReader&&) noexcept = default;
ObjectReader& ObjectReader::operator=(ObjectReader&&) noexcept = default;
ObjectReader::~ObjectReader() = default;

const ObjectVersion& ObjectReader::version() const noexcept { return state_->found.record.version; }

std::optional<std::span<const std::byte>> ObjectReader::view() const noexcept {
  const auto& extents = state_->found.layout.extents;
  if (extents.empty()) return std::span<const std::byte>();
  if (extents.size() > 1 || extents[0].segment != 0) return std::nullopt;
  const std::string_view bytes = state_->found.inside[0].bytes();
  return std::as_bytes(std::span(bytes));
}

Future<void> ObjectReader::read(std::uint64_t offset, const iovec* pieces, unsigned count) {
  std::uint64_t length = 0;
  for (unsigned i = 0; i < count; ++i) length += pieces[i].iov_len;
  if (offset > version().size || length > version().size - offset) {
    return make_ready<void>(Error(ErrorKind::out_of_range, "beyond the end of the object"));
  }
  Cutter cutter(pieces, count);
  std::vector<Transfer> transfers;
  const auto& extents = state_->found.layout.extents;
  for (std::size_t i = 0; length > 0 && i < extents.size(); ++i) {
    const Extent& extent = extents[i];
    if (offset >= extent.length) {
      offset -= extent.length;
      continue;
    }
    const std::uint64_t take = std::min(length, extent.length - offset);
    if (extent.segment == 0) {
      cutter.copy_in(state_->found.inside[i].bytes().data() + offset, take);
    } else {
      cutter.cut(extent.segment, extent.offset + offset, take, transfers);
    }
    length -= take;
    offset = 0;
  }
  if (length > 0) return make_ready<void>(damaged_index("an object shorter than its size"));
  if (transfers.empty()) return make_ready<void>(Result<void>());
  return spawn(read_pieces(state_, std::move(transfers)));
}

}  // namespace netstor::store
