// SPDX-License-Identifier: Apache-2.0
#pragma once
// A log-linear histogram of nanoseconds: fixed memory, a few instructions a value, 1.6 % wide buckets up to
// 68 s. Values beyond are counted in the last bucket; the exact largest is kept beside it.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace netstor::tool {

class Histogram {
 public:
  static constexpr unsigned kSubBits = 6;  // buckets in each power of two: 64
  static constexpr unsigned kTopBit = 36;
  static constexpr std::size_t kBuckets = (kTopBit - kSubBits + 1) << kSubBits;

  void record(std::uint64_t value) noexcept {
    ++counts_[bucket_of(value)];
    sum_ += value;
    if (value > max_) max_ = value;
    if (value < min_) min_ = value;
  }

  void add(const Histogram& other) noexcept;

  std::uint64_t count() const noexcept;
  std::uint64_t min() const noexcept { return min_ > max_ ? 0 : min_; }
  std::uint64_t max() const noexcept { return max_; }
  double mean() const noexcept;
  /// The value that `share` (0 … 1) of all values do not exceed, to a bucket's width.
  std::uint64_t quantile(double share) const noexcept;
  /// How many values lie in [from, to), to a bucket's width.
  std::uint64_t between(std::uint64_t from, std::uint64_t to) const noexcept;

  std::uint64_t at(std::size_t bucket) const noexcept { return counts_[bucket]; }
  /// The smallest value of a bucket.
  static constexpr std::uint64_t floor_of(std::size_t bucket) noexcept {
    const std::size_t power = bucket >> kSubBits;
    const std::uint64_t within = bucket & ((1U << kSubBits) - 1);
    return power == 0 ? within : ((std::uint64_t{1} << kSubBits) | within) << (power - 1);
  }
  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < (1U << kSubBits)) return static_cast<std::size_t>(value);
    const auto power =
        static_cast<unsigned>(std::bit_width(value)) - kSubBits;  // 1 for the first power above
    if (power > kTopBit - kSubBits) return kBuckets - 1;
    const std::uint64_t within = (value >> (power - 1)) & ((1U << kSubBits) - 1);
    return (static_cast<std::size_t>(power) << kSubBits) | static_cast<std::size_t>(within);
  }

 private:
  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
};

static_assert(Histogram::bucket_of(63) == 63 && Histogram::bucket_of(64) == 64 &&
              Histogram::bucket_of(127) == 127);
static_assert(Histogram::bucket_of(128) == 128 && Histogram::bucket_of(129) == 128);
static_assert(Histogram::floor_of(Histogram::bucket_of(1'000'000)) <= 1'000'000);
static_assert(Histogram::floor_of(Histogram::bucket_of(1'000'000) + 1) > 1'000'000);
static_assert(Histogram::bucket_of(~std::uint64_t{0}) == Histogram::kBuckets - 1);

}  // namespace netstor::tool
