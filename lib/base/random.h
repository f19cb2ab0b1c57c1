// SPDX-License-Identifier: Apache-2.0
//
// A small seeded generator: xoshiro256** filled by splitmix64. The same seed gives the same numbers on
// every machine, which is what the simulator and jitter need. It keeps no secret: nothing that an
// adversary must not guess is drawn from it.

#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace netstor {

/// A bijection of 64 bits that scatters them: turns counters into seeds, and chains values into a hash.
constexpr std::uint64_t scatter_bits(std::uint64_t value) noexcept {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) noexcept {
    for (std::uint64_t& word : state_) word = scatter_bits(seed += 0x9e3779b97f4a7c15U);
  }

  constexpr std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// 0 … limit - 1; 0 when limit is 0. The bias is limit / 2^64, nothing for what it is used for.
  constexpr std::uint64_t below(std::uint64_t limit) noexcept {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * limit) >> 64);
  }
  /// first … last, both included.
  constexpr std::uint64_t between(std::uint64_t first, std::uint64_t last) noexcept {
    return first + below(last - first + 1);
  }
  /// True with this probability. 0 draws nothing, so that a fault switched off leaves the rest of the
  /// sequence as it was.
  constexpr bool chance(double probability) noexcept {
    if (probability <= 0) return false;
    return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace netstor
