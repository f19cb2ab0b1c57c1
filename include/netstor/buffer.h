// SPDX-License-Identifier: Apache-2.0
#pragma once
// Memory: views of bytes, scatter lists, aligned buffers, and registration of memory that the caller owns.
//
//   netstor::Buffer block = netstor::Buffer::allocate(1 << 20).value();   // 1 MiB, 4096-aligned, zeroed
//   co_await volume.read(0, block.bytes());
//
// Any memory will do for I/O: the library borrows it from the call until the future is ready, and copies
// nothing on the way. An aligned buffer lets local files use direct I/O; a registered one lets a driver
// skip the per-operation pinning (io_uring fixed buffers) or reach it at all (RDMA: what is not registered,
// and a payload in several pieces, is copied on the way).
//
// Thread rule: a Buffer is a value; move it anywhere. A BufferPool belongs to one shard.
// Error rule: running out of memory, or of a pool, is ErrorKind::exhausted; nothing throws.

#include <netstor/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace netstor {

/// Bytes that the library reads from (a write's payload).
using Bytes = std::span<const std::byte>;
/// Bytes that the library writes to (a read's payload).
using MutableBytes = std::span<std::byte>;

/// A payload in several pieces, in order. The list itself is read during the call; the bytes that it
/// names are borrowed until the future is ready. At most kScatterPiecesMax pieces.
using ScatterList = std::span<const MutableBytes>;
using ConstScatterList = std::span<const Bytes>;
inline constexpr std::size_t kScatterPiecesMax = 64;

/// The alignment, in bytes, of every Buffer: what direct I/O wants on all common devices.
inline constexpr std::size_t kBufferAlignment = 4096;

class BufferPool;

/// An owned, aligned, move-only run of bytes. Freed (or given back to its pool) on destruction.
class Buffer {
 public:
  Buffer() noexcept = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer(std::move(other)).swap(*this);
    return *this;
  }
  ~Buffer() { reset(); }

  /// `size_bytes` of zeroed memory aligned to kBufferAlignment.
  static Result<Buffer> allocate(std::size_t size_bytes);

  MutableBytes bytes() noexcept { return {data_, size_}; }
  Bytes bytes() const noexcept { return {data_, size_}; }
  std::byte* data() noexcept { return data_; }
  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

  void reset() noexcept;
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(pool_, other.pool_);
  }

 private:
  friend class BufferPool;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  BufferPool* pool_ = nullptr;  // null: from the heap
};

/// A fixed number of equal buffers in one mapping, taken and given back without a system call.
/// Belongs to one shard; must outlive the buffers taken from it.
class BufferPool {
 public:
  /// `count` buffers of `size_bytes` (rounded up to kBufferAlignment). Nothing is allocated after this.
  static Result<std::unique_ptr<BufferPool>> make(std::size_t size_bytes, std::size_t count);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// A buffer (its bytes are what the last user left), or an empty one when all are out.
  Buffer take() noexcept;

  std::size_t buffer_bytes() const noexcept { return size_; }
  std::size_t available() const noexcept { return free_.size(); }
  std::size_t count() const noexcept { return count_; }
  /// The whole mapping, for registration with a driver.
  MutableBytes region() noexcept { return {base_, size_ * count_}; }

 private:
  friend class Buffer;
  BufferPool(std::byte* base, std::size_t size, std::size_t count);
  void give_back(std::byte* data) noexcept { free_.push_back(data); }
  std::byte* base_;
  std::size_t size_;
  std::size_t count_;
  std::vector<std::byte*> free_;  // capacity reserved at make
};

}  // namespace netstor
