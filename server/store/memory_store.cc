// SPDX-License-Identifier: Apache-2.0
// See memory_store.h. Every copy from or to the mapping holds its range of the StripeLock; only what is sent
// from a view does not, since nobody knows when the network is done with it.

#include "server/store/memory_store.h"

#include "server/store/immediate_store.h"
#include "server/store/mapping.h"
#include "server/store/pieces.h"
#include "server/store/stripe_lock.h"

namespace netstor::store {

namespace {

struct Bytes {
  Mapping mapping;
  StripeLock lock;
  explicit Bytes(Mapping made) noexcept : mapping(std::move(made)) {}
};

class MemoryStore final : public ImmediateStore {
 public:
  MemoryStore(detail::Loop& loop, const StoreLimits& limits, Bytes& bytes) noexcept
      : ImmediateStore(loop, limits), bytes_(bytes) {}

  bool view(std::uint64_t offset, std::uint64_t length, iovec* pieces, unsigned& count) noexcept override {
    if (count == 0 || !contains(offset, length)) return false;
    pieces[0] = {.iov_base = at(offset), .iov_len = length};
    count = 1;
    return true;
  }

  bool store_now(std::uint64_t offset, const iovec* pieces, unsigned count) noexcept override {
    const std::uint64_t length = total_bytes(pieces, count);
    if (!contains(offset, length)) return false;
    const StripeLock::Hold hold(bytes_.lock, offset, length);
    PieceCursor(pieces, count).copy_to(at(offset), length);
    return true;
  }

 private:
  std::byte* at(std::uint64_t offset) const noexcept { return bytes_.mapping.data() + offset; }

  OpResult perform(StoreOp& op) noexcept override {
    if (op.verb == DeviceVerb::flush || op.verb == DeviceVerb::verify) return OpResult::success(op.length);
    const StripeLock::Hold hold(bytes_.lock, op.offset, op.length);
    PieceCursor payload(op.pieces, op.piece_count);
    switch (op.verb) {
      case DeviceVerb::read:
        payload.copy_from(at(op.offset), op.length);
        break;
      case DeviceVerb::compare_and_write:
        if (!PieceCursor(op.expected, op.expected_count).equals(at(op.offset), op.length)) {
          return OpResult::failure(ErrorKind::compare_failed);
        }
        [[fallthrough]];
      case DeviceVerb::write:
        payload.copy_to(at(op.offset), op.length);
        break;
      case DeviceVerb::compare:
        if (!payload.equals(at(op.offset), op.length)) return OpResult::failure(ErrorKind::compare_failed);
        break;
      case DeviceVerb::write_zeroes:
      case DeviceVerb::deallocate:
        bytes_.mapping.clear(op.offset, op.length);
        break;
      case DeviceVerb::flush:
      case DeviceVerb::verify:
        break;
    }
    return OpResult::success(op.length);
  }

  Bytes& bytes_;
};

class MemoryVolume final : public StoredVolume {
 public:
  MemoryVolume(VolumeIdentity identity, const StoreLimits& limits, Mapping mapping)
      : StoredVolume(std::move(identity)), limits_(limits), bytes_(std::move(mapping)) {}

  std::string_view kind() const noexcept override { return "memory"; }
  Future<std::unique_ptr<BlockStore>> open(PortContext& context) override {
    return make_ready<std::unique_ptr<BlockStore>>(
        std::unique_ptr<BlockStore>(new MemoryStore(context.loop(), limits_, bytes_)));
  }

 private:
  StoreLimits limits_;
  Bytes bytes_;
};

}  // namespace

Result<std::unique_ptr<StoredVolume>> make_memory_volume(VolumeIdentity identity, std::uint64_t size_bytes,
                                                         std::uint32_t block_bytes) {
  StoreLimits limits;
  limits.size_bytes = size_bytes;
  limits.block_bytes = block_bytes;
  limits.zero_bytes_max = 64 << 20;
  limits.atomic_bytes = limits.transfer_bytes_max;
  limits.compare_and_write_bytes_max = limits.transfer_bytes_max;
  limits.depth = 1024;
  limits.immediate = true;
  // A write is where it will ever be when it is answered: a flush would have nothing to do. (What a power cut
  // leaves of it is nothing, flushed or not: that is what a memory volume is, and its report says so.)
  limits.volatile_cache = false;
  limits.can_write_zeroes = limits.can_deallocate = limits.deallocated_reads_zeroes = true;
  limits.can_compare = limits.can_compare_and_write = limits.can_verify = true;
  limits.thin = true;
  NETSTOR_TRY_RETURN(Mapping mapping, Mapping::make(size_bytes, true));
  return std::unique_ptr<StoredVolume>(new MemoryVolume(std::move(identity), limits, std::move(mapping)));
}

}  // namespace netstor::store
