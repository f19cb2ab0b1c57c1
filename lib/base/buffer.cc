// SPDX-License-Identifier: Apache-2.0
// Aligned memory, alone and in pools.

#include <netstor/buffer.h>

#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace netstor {
namespace {

constexpr std::size_t round_up(std::size_t size) {
  return (size + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}
constexpr std::size_t kBufferBytesMax = std::size_t{1}
                                        << 46;  // what an address space may hold, and no overflow

}  // namespace

Result<Buffer> Buffer::allocate(std::size_t size_bytes) {
  Buffer buffer;
  if (size_bytes == 0) return buffer;
  if (size_bytes > kBufferBytesMax) {
    return Error(ErrorKind::exhausted, "a buffer of " + std::to_string(size_bytes) + " bytes is too large");
  }
  const std::size_t rounded = round_up(size_bytes);
  void* memory = std::aligned_alloc(kBufferAlignment, rounded);
  if (memory == nullptr) return Error::system(ENOMEM, "allocate a buffer");
  std::memset(memory, 0, rounded);
  buffer.data_ = static_cast<std::byte*>(memory);
  buffer.size_ = size_bytes;
  return buffer;
}

void Buffer::reset() noexcept {
  if (data_ == nullptr) return;
  if (pool_ != nullptr) {
    pool_->give_back(data_);
  } else {
    std::free(data_);
  }
  data_ = nullptr;
  size_ = 0;
  pool_ = nullptr;
}

Result<std::unique_ptr<BufferPool>> BufferPool::make(std::size_t size_bytes, std::size_t count) {
  if (size_bytes == 0 || count == 0 || size_bytes > kBufferBytesMax ||
      count > kBufferBytesMax / round_up(size_bytes)) {
    return Error(ErrorKind::invalid_argument,
                 "a buffer pool wants at least one buffer of at least one byte, and "
                 "no more than 64 TiB in all");
  }
  const std::size_t size = round_up(size_bytes);
  void* base = ::mmap(nullptr, size * count, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return Error::system(errno, "map a buffer pool");
  return std::unique_ptr<BufferPool>(new BufferPool(static_cast<std::byte*>(base), size, count));
}

BufferPool::BufferPool(std::byte* base, std::size_t size, std::size_t count)
    : base_(base), size_(size), count_(count) {
  free_.reserve(count);
  for (std::size_t i = count; i > 0; --i) free_.push_back(base + (i - 1) * size);
}

BufferPool::~BufferPool() { ::munmap(base_, size_ * count_); }

Buffer BufferPool::take() noexcept {
  Buffer buffer;
  if (free_.empty()) return buffer;
  buffer.data_ = free_.back();
  buffer.size_ = size_;
  buffer.pool_ = this;
  free_.pop_back();
  return buffer;
}

}  // namespace netstor
