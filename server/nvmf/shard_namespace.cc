// SPDX-License-Identifier: Apache-2.0

#include "server/nvmf/shard_namespace.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "server/nvmf/io_request.h"

namespace netstor::nvmf {

namespace {

nvme::NamespaceView view_of(std::uint32_t nsid, const store::VolumeIdentity& identity,
                            const store::StoreLimits& limits) {
  const auto shift = static_cast<std::uint8_t>(std::bit_width(limits.block_bytes) - 1);
  const auto blocks = [shift](std::uint64_t bytes) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes >> shift, 65536));
  };
  nvme::NamespaceView view{
      .nsid = nsid,
      .block_shift = shift,
      .volatile_cache = limits.volatile_cache,
      .can_write_zeroes = limits.can_write_zeroes,
      .can_deallocate = limits.can_deallocate,
      .deallocated_reads_zeroes = limits.deallocated_reads_zeroes,
      .can_compare = limits.can_compare,
      .can_verify = limits.can_verify,
      .thin = limits.thin,
      .blocks = limits.size_bytes >> shift,
      .atomic_blocks = std::max(1u, blocks(limits.atomic_bytes)),
      .fused_blocks_max = limits.can_compare_and_write ? blocks(limits.compare_and_write_bytes_max) : 0,
      .zero_blocks_max = blocks(limits.zero_bytes_max)};
  std::memcpy(view.uuid.data(), identity.uuid.data(), view.uuid.size());
  std::memcpy(view.nguid.data(), identity.nguid.data(), view.nguid.size());
  return view;
}

}  // namespace

ShardNamespace::ShardNamespace(std::uint32_t nsid, const store::VolumeIdentity& identity,
                               std::unique_ptr<store::BlockStore> store)
    : view_(view_of(nsid, identity, store->limits())),
      store_(std::move(store)),
      immediate_(store_->limits().immediate) {}

void ShardNamespace::retire(detail::Runnable& gone) noexcept {
  gone_ = &gone;
  retired_ = true;
  if (users_ == 0) close();
}

void ShardNamespace::close() noexcept {
  closed_.user = this;
  closed_.complete = [](Op& op) noexcept {
    detail::current_loop->push(*static_cast<ShardNamespace*>(op.user)->gone_);
  };
  store_->close(closed_);
}

void ShardNamespace::wait(IoRequest& io) noexcept {
  io.next = nullptr;
  (waiting_ == nullptr ? waiting_ : last_waiting_->next) = &io;
  last_waiting_ = &io;
}

void ShardNamespace::wait_first(IoRequest& io) noexcept {
  io.next = waiting_;
  if (waiting_ == nullptr) last_waiting_ = &io;
  waiting_ = &io;
}

IoRequest* ShardNamespace::next_waiting() noexcept {
  IoRequest* const first = waiting_;
  if (first != nullptr) waiting_ = first->next;
  return first;
}

}  // namespace netstor::nvmf
