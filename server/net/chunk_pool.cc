// SPDX-License-Identifier: Apache-2.0

#include "server/net/chunk_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

namespace netstor::net {

Mapping::Mapping(std::size_t size_bytes) noexcept : size_(size_bytes) {
  void* const at =
      ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  data_ = at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

ChunkPool::ChunkPool(std::size_t size_bytes) : mapping_(size_bytes), count_(size_bytes / kChunkBytes) {
  if (!usable()) return;
  free_.reserve(count_);
  for (std::size_t i = count_; i-- != 0;) free_.push_back(mapping_.data() + i * kChunkBytes);
}

bool ChunkPool::take(std::uint64_t bytes, iovec* pieces, unsigned& count) noexcept {
  const unsigned needed = chunks_for(bytes);
  if (free_.size() < needed) return false;
  for (unsigned i = 0; i < needed; ++i) {
    pieces[i] = {.iov_base = free_.back(),
                 .iov_len = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kChunkBytes))};
    free_.pop_back();
    bytes -= pieces[i].iov_len;
  }
  count = needed;
  return true;
}

void ChunkPool::give_back(const iovec* pieces, unsigned count) noexcept {
  // In reverse, so that the next request gets the same chunks: their pages are there, and warm.
  for (unsigned i = count; i-- != 0;) free_.push_back(static_cast<std::byte*>(pieces[i].iov_base));
}

}  // namespace netstor::net
