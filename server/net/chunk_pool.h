// SPDX-License-Identifier: Apache-2.0
#pragma once
// The memory of one shard for data that is on its way: equal chunks of one mapping, whose pages cost
// nothing before their first use. A request takes all the chunks that it needs or none.

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace netstor::net {

inline constexpr std::size_t kChunkBytes = 64 * 1024;

/// A lazily backed mapping; null when the system has no more room for one.
class Mapping {
 public:
  Mapping() = default;
  explicit Mapping(std::size_t size_bytes) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();
  std::byte* data() const noexcept { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class ChunkPool {
 public:
  explicit ChunkPool(std::size_t size_bytes);

  bool usable() const noexcept { return mapping_.data() != nullptr; }
  std::size_t count() const noexcept { return count_; }
  /// All of it, for registration with a driver.
  std::span<std::byte> memory() noexcept { return {mapping_.data(), count_ * kChunkBytes}; }
  std::size_t in_use() const noexcept { return count_ - free_.size(); }
  static unsigned chunks_for(std::uint64_t bytes) noexcept {
    return static_cast<unsigned>((bytes + kChunkBytes - 1) / kChunkBytes);
  }
  /// Fills `pieces` with chunks for `bytes`; false when there are not enough.
  bool take(std::uint64_t bytes, iovec* pieces, unsigned& count) noexcept;
  void give_back(const iovec* pieces, unsigned count) noexcept;

 private:
  Mapping mapping_;
  std::size_t count_;
  std::vector<std::byte*> free_;
};

}  // namespace netstor::net
