// SPDX-License-Identifier: Apache-2.0
#pragma once
// How long requests took: a count for each power of two of nanoseconds. A plain value, of one shard until it
// is added up; recording is a few instructions and never allocates.

#include <netstor/options.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace netstor::net {

class Latency {
 public:
  /// Up to 1.024 µs, 2.048 µs, … 17.2 s; behind them what took longer.
  static constexpr std::size_t kBounds = 25;
  static constexpr std::uint64_t bound_ns(std::size_t i) noexcept { return std::uint64_t{1024} << i; }

  void record(Duration took) noexcept {
    const auto ns = static_cast<std::uint64_t>(std::max(took.count(), Duration::rep{1}));
    const auto bits = static_cast<std::size_t>(std::bit_width(ns - 1));
    ++counts_[std::min(bits < 10 ? 0 : bits - 10, kBounds)];
    sum_ns_ += ns;
  }

  std::uint64_t count() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t each : counts_) sum += each;
    return sum;
  }
  /// Of bound i alone; kBounds: of what took longer.
  std::uint64_t at(std::size_t i) const noexcept { return counts_[i]; }
  std::uint64_t sum_ns() const noexcept { return sum_ns_; }

  /// What `share` (0 to 1) of them did not exceed: a bound; 0 when there are none; twice the last bound for
  /// what took longer than it.
  std::uint64_t quantile_ns(double share) const noexcept {
    const double wanted = share * static_cast<double>(count());
    std::uint64_t seen = 0;
    if (wanted == 0) return 0;
    for (std::size_t i = 0; i < kBounds; ++i) {
      seen += counts_[i];
      if (static_cast<double>(seen) >= wanted) return bound_ns(i);
    }
    return bound_ns(kBounds);
  }

  /// `other` was recorded earlier: what is left came after it.
  Latency& operator-=(const Latency& other) noexcept {
    for (std::size_t i = 0; i <= kBounds; ++i) counts_[i] -= other.counts_[i];
    sum_ns_ -= other.sum_ns_;
    return *this;
  }
  Latency& operator+=(const Latency& other) noexcept {
    for (std::size_t i = 0; i <= kBounds; ++i) counts_[i] += other.counts_[i];
    sum_ns_ += other.sum_ns_;
    return *this;
  }

 private:
  std::array<std::uint64_t, kBounds + 1> counts_{};
  std::uint64_t sum_ns_ = 0;
};

/// What is asked of one volume, or of one bucket.
struct Traffic {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;  ///< and everything else that changes something
  std::uint64_t read_bytes = 0;
  std::uint64_t write_bytes = 0;
  std::uint64_t errors = 0;

  Traffic& operator+=(const Traffic& other) noexcept {
    reads += other.reads;
    writes += other.writes;
    read_bytes += other.read_bytes;
    write_bytes += other.write_bytes;
    errors += other.errors;
    return *this;
  }
};

}  // namespace netstor::net
