// SPDX-License-Identifier: Apache-2.0
// See null_store.h.

#include "server/store/null_store.h"

#include "server/store/immediate_store.h"
#include "server/store/mapping.h"
#include "server/store/pieces.h"

#include <atomic>
#include <cstring>

namespace netstor::store {

namespace {

// Every view points here. Pages that are only read are the system's one page of zeroes.
constexpr std::size_t kZeroesBytes = 1 << 20;

class NullStore final : public ImmediateStore {
 public:
  NullStore(detail::Loop& loop, const StoreLimits& limits, const Mapping& zeroes) noexcept
      : ImmediateStore(loop, limits), zeroes_(zeroes) {}

  bool view(std::uint64_t offset, std::uint64_t length, iovec* pieces, unsigned& count) noexcept override {
    const std::uint64_t needed = (length + zeroes_.size() - 1) / zeroes_.size();
    if (!contains(offset, length) || needed > count) return false;
    count = 0;
    while (length > 0) {
      const auto part = std::min<std::uint64_t>(length, zeroes_.size());
      pieces[count++] = {.iov_base = zeroes_.data(), .iov_len = part};
      length -= part;
    }
    return true;
  }

  bool store_now(std::uint64_t offset, const iovec* pieces, unsigned count) noexcept override {
    return contains(offset, total_bytes(pieces, count));
  }

 private:
  OpResult perform(StoreOp& op) noexcept override {
    if (op.verb == DeviceVerb::read) {
      for (unsigned i = 0; i < op.piece_count; ++i)
        std::memset(op.pieces[i].iov_base, 0, op.pieces[i].iov_len);
    }
    return OpResult::success(op.length);
  }

  const Mapping& zeroes_;
};

class NullVolume final : public StoredVolume {
 public:
  NullVolume(VolumeIdentity identity, const StoreLimits& limits, Mapping zeroes)
      : StoredVolume(std::move(identity)), limits_(limits), zeroes_(std::move(zeroes)) {}

  std::string_view kind() const noexcept override { return "null"; }
  Future<std::unique_ptr<BlockStore>> open(PortContext& context) override {
    return make_ready<std::unique_ptr<BlockStore>>(
        std::unique_ptr<BlockStore>(new NullStore(context.loop(), limits(), zeroes_)));
  }
  Result<void> set_size(std::uint64_t size_bytes) override {
    size_bytes_.store(size_bytes, std::memory_order_relaxed);
    return ok();
  }

 private:
  StoreLimits limits() const {
    StoreLimits limits = limits_;
    limits.size_bytes = size_bytes_.load(std::memory_order_relaxed);
    return limits;
  }

  const StoreLimits limits_;
  std::atomic<std::uint64_t> size_bytes_{limits_.size_bytes};
  Mapping zeroes_;
};

}  // namespace

Result<std::unique_ptr<StoredVolume>> make_null_volume(VolumeIdentity identity, std::uint64_t size_bytes,
                                                       std::uint32_t block_bytes) {
  StoreLimits limits;
  limits.size_bytes = size_bytes;
  limits.block_bytes = block_bytes;
  limits.zero_bytes_max = 1 << 30;
  limits.atomic_bytes = limits.transfer_bytes_max;
  limits.depth = 1024;
  limits.immediate = true;
  // Nothing is kept, so that a flush could not make anything safer.
  limits.volatile_cache = false;
  limits.can_write_zeroes = limits.can_deallocate = limits.can_verify = true;
  limits.deallocated_reads_zeroes = true;
  // No compare: it would contradict the write before it.
  NETSTOR_TRY_RETURN(Mapping zeroes, Mapping::make(kZeroesBytes, false));
  return std::unique_ptr<StoredVolume>(new NullVolume(std::move(identity), limits, std::move(zeroes)));
}

}  // namespace netstor::store
