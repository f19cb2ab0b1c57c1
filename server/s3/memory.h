// SPDX-License-Identifier: Apache-2.0
#pragma once
// The memory of one shard for objects on their way, lent in order: who asks while others wait stands behind
// them.

#include <netstor/ext/driver.h>

#include <algorithm>
#include <array>
#include <coroutine>
#include <utility>

#include "server/net/chunk_pool.h"

namespace netstor::s3server {

class Memory;

/// Up to 1 MiB, given back when it goes.
class Lending {
 public:
  static constexpr unsigned kPiecesMax = 16;
  Lending() = default;
  Lending(const Lending&) = delete;
  Lending& operator=(const Lending&) = delete;
  ~Lending() { give_back(); }
  void give_back() noexcept;

  [[nodiscard]] const iovec* pieces() const { return pieces_.data(); }
  [[nodiscard]] unsigned count() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < count_; ++i) sum += pieces_[i].iov_len;
    return sum;
  }
  /// The first bytes of it, as pieces: at most kPiecesMax.
  unsigned first(std::uint64_t bytes, iovec* out) const {
    unsigned count = 0;
    for (; bytes != 0; ++count) {
      out[count] = pieces_[count];
      out[count].iov_len = static_cast<std::size_t>(std::min<std::uint64_t>(out[count].iov_len, bytes));
      bytes -= out[count].iov_len;
    }
    return count;
  }

 private:
  friend class Memory;
  Memory* from_ = nullptr;
  std::array<iovec, kPiecesMax> pieces_{};
  unsigned count_ = 0;
};

class Memory {
 public:
  static constexpr std::size_t kLendingMax = Lending::kPiecesMax * net::kChunkBytes;
  Memory(detail::Loop& loop, std::size_t size_bytes) : loop_(loop), pool_(size_bytes) {}

  [[nodiscard]] bool usable() const { return pool_.usable() && pool_.count() >= Lending::kPiecesMax; }
  [[nodiscard]] std::size_t count() const { return pool_.count(); }
  /// All of it, for registration with a driver.
  std::span<std::byte> region() { return pool_.memory(); }
  [[nodiscard]] std::size_t in_use() const { return pool_.in_use(); }
  /// How much to ask for, of so many bytes. Less when more is lent than a core's cache holds, so that what
  /// was read is still there when it is sent; least when much is lent, so that slow peers hold little.
  [[nodiscard]] std::size_t portion(std::uint64_t bytes) const {
    constexpr std::size_t kCachedChunks = 32;  // 2 MiB
    const std::size_t most = pool_.in_use() * 2 > pool_.count() ? net::kChunkBytes
                             : pool_.in_use() > kCachedChunks   ? kLendingMax / 4
                                                                : kLendingMax;
    return static_cast<std::size_t>(bytes < most ? bytes : most);
  }
  /// At once, or not at all. `bytes`: 1 … kLendingMax.
  bool try_lend(std::size_t bytes, Lending& to) noexcept {
    if (first_ != nullptr || !pool_.take(bytes, to.pieces_.data(), to.count_)) return false;
    to.from_ = this;
    return true;
  }

  /// co_await memory.lend(bytes, to): in its turn.
  class Lend : detail::Runnable {
   public:
    Lend(Memory& memory, std::size_t bytes, Lending& to) : memory_(memory), bytes_(bytes), to_(to) {
      run = [](detail::Runnable& self) noexcept { static_cast<Lend&>(self).waiting_.resume(); };
    }
    bool await_ready() noexcept { return memory_.try_lend(bytes_, to_); }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      waiting_ = handle;
      (memory_.first_ == nullptr ? memory_.first_ : memory_.last_->behind_) = this;
      memory_.last_ = this;
    }
    void await_resume() const noexcept {}

   private:
    friend class Memory;
    Memory& memory_;
    std::size_t bytes_;
    Lending& to_;
    std::coroutine_handle<> waiting_;
    Lend* behind_ = nullptr;
  };
  Lend lend(std::size_t bytes, Lending& to) { return {*this, bytes, to}; }

 private:
  friend class Lending;
  void give_back(const iovec* pieces, unsigned count) noexcept {
    pool_.give_back(pieces, count);
    while (first_ != nullptr && pool_.take(first_->bytes_, first_->to_.pieces_.data(), first_->to_.count_)) {
      first_->to_.from_ = this;
      loop_.push(*std::exchange(first_, first_->behind_));
    }
  }
  detail::Loop& loop_;
  net::ChunkPool pool_;
  Lend* first_ = nullptr;
  Lend* last_ = nullptr;
};

inline void Lending::give_back() noexcept {
  if (count_ == 0) return;
  // A piece may have been cut to the bytes asked for; the pool wants its address only.
  from_->give_back(pieces_.data(), std::exchange(count_, 0U));
}

}  // namespace netstor::s3server
