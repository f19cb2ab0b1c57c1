// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/histogram.h"

#include <cmath>
#include <numeric>

namespace netstor::tool {

void Histogram::add(const Histogram& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
  min_ = std::min(min_, other.min_);
}

std::uint64_t Histogram::count() const noexcept {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

double Histogram::mean() const noexcept {
  const std::uint64_t all = count();
  return all == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(all);
}

std::uint64_t Histogram::quantile(double share) const noexcept {
  const std::uint64_t all = count();
  if (all == 0) return 0;
  const auto wanted = std::clamp<std::uint64_t>(
      static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all))), 1, all);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    // The middle of the bucket, which cannot lie outside of what was seen.
    if (seen >= wanted) return std::clamp((floor_of(i) + floor_of(i + 1)) / 2, min(), max_);
  }
  return max_;
}

std::uint64_t Histogram::between(std::uint64_t from, std::uint64_t to) const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (floor_of(i) >= from && floor_of(i) < to) sum += counts_[i];
  }
  return sum;
}

}  // namespace netstor::tool
