// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the load programs share: a latency record of fixed size, pinning, CPU time, and one line of JSON that
// bench/run.py reads.

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace netstor::bench {

using SteadyTime = std::chrono::steady_clock::time_point;
inline SteadyTime now() noexcept { return std::chrono::steady_clock::now(); }

/// Nanoseconds in buckets of 1/32 of a power of two: any quantile within 3 %, no allocation.
class Latencies {
 public:
  void add(std::chrono::nanoseconds taken) noexcept {
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(taken.count(), 1));
    ++counts_[bucket(ns)];
    ++total_;
    max_ns_ = std::max(max_ns_, ns);
  }
  double quantile_us(double part) const noexcept {
    auto left = static_cast<std::uint64_t>(part * static_cast<double>(total_));
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > left) return static_cast<double>(middle(i)) / 1000;
      left -= counts_[i];
    }
    return static_cast<double>(max_ns_) / 1000;
  }
  double max_us() const noexcept { return static_cast<double>(max_ns_) / 1000; }
  std::uint64_t total() const noexcept { return total_; }
  void reset() noexcept { *this = Latencies(); }

 private:
  static constexpr unsigned kSubBits = 5;
  static std::size_t bucket(std::uint64_t ns) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(ns));
    if (width <= kSubBits + 1) return ns;
    const unsigned shift = width - kSubBits - 1;
    return (std::size_t{shift} << kSubBits) + (ns >> shift);
  }
  static std::uint64_t middle(std::size_t index) noexcept {
    if (index < (2U << kSubBits)) return index;
    const std::size_t shift = (index >> kSubBits) - 1;
    return (((index & ((1U << kSubBits) - 1)) | (1U << kSubBits)) << shift) +
           ((std::uint64_t{1} << shift) / 2);
  }
  std::array<std::uint64_t, 64U << kSubBits> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ns_ = 0;
};

inline void pin_to_cpu(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) std::perror("pin");
}

/// User and system time of this process, in seconds.
inline double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

inline void print_json(const Latencies& latencies, double seconds, double cpu, const std::string& more = "") {
  std::printf(
      "{\"operations\": %llu, \"seconds\": %.3f, \"per_second\": %.0f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
      "\"p999_us\": %.2f, \"max_us\": %.1f, \"cpu_seconds\": %.3f%s}\n",
      static_cast<unsigned long long>(latencies.total()), seconds,
      static_cast<double>(latencies.total()) / seconds, latencies.quantile_us(0.5),
      latencies.quantile_us(0.99), latencies.quantile_us(0.999), latencies.max_us(), cpu, more.c_str());
}

/// "--name value" from the command line.
inline std::string argument(int argc, char** argv, const char* name, const char* fallback) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) return argv[i + 1];
  }
  return fallback;
}
inline long number(int argc, char** argv, const char* name, const char* fallback) {
  return std::strtol(argument(argc, argv, name, fallback).c_str(), nullptr, 10);
}

}  // namespace netstor::bench
