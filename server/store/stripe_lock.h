// SPDX-License-Identifier: Apache-2.0
#pragma once
// Ranges of a memory volume, held for the time of a copy. One word for the volume: bit i stands for all
// regions of 64 KiB whose number is i modulo 64, so that a range is a mask which is taken whole or not at all
// (no order of taking, no deadlock). Spins: holders only copy memory, at most transfer_bytes_max.

#include <atomic>
#include <cstdint>

#include <sched.h>

namespace netstor::store {

class StripeLock {
 public:
  static std::uint64_t mask_of(std::uint64_t offset, std::uint64_t length) noexcept {
    if (length == 0) return 0;
    const std::uint64_t first = offset >> kRegionShift;
    const std::uint64_t regions = ((offset + length - 1) >> kRegionShift) - first + 1;
    if (regions >= 64) return ~std::uint64_t{0};
    const std::uint64_t ones = (std::uint64_t{1} << regions) - 1;
    const unsigned turn = first % 64;
    return turn == 0 ? ones : (ones << turn) | (ones >> (64 - turn));
  }

  /// Holds a range while it lives.
  class Hold {
   public:
    Hold(StripeLock& lock, std::uint64_t offset, std::uint64_t length) noexcept
        : lock_(lock), mask_(mask_of(offset, length)) {
      lock_.take(mask_);
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() { lock_.held_.fetch_and(~mask_, std::memory_order_release); }

   private:
    StripeLock& lock_;
    std::uint64_t mask_;
  };

 private:
  static constexpr unsigned kRegionShift = 16;
  static constexpr unsigned kSpins = 64;

  void take(std::uint64_t mask) noexcept {
    std::uint64_t seen = held_.load(std::memory_order_relaxed);
    for (unsigned tries = 0;; ++tries) {
      if ((seen & mask) == 0) {
        if (held_.compare_exchange_weak(seen, seen | mask, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
          return;
        }
        continue;
      }
      // The holder may have lost its processor to us.
      if (tries >= kSpins) ::sched_yield();
      seen = held_.load(std::memory_order_relaxed);
    }
  }

  alignas(64) std::atomic<std::uint64_t> held_{0};
};

}  // namespace netstor::store
