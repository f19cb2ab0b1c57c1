// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the load programs for buckets share: what a stretch of time cost, and the line of JSON about it.

#include "bench/stats.h"

namespace netstor::bench {

/// Where a process stands; between two of them lies what was measured.
struct Cost {
  SteadyTime when{};
  double cpu_seconds = 0;
  static Cost now() { return {bench::now(), bench::cpu_seconds()}; }
};

/// Of resident memory. Not getrusage's, which begins with what the parent had.
inline double peak_mib() {
  double kib = 0;
  char line[256];
  std::FILE* const status = std::fopen("/proc/self/status", "r");
  while (status != nullptr && std::fgets(line, sizeof line, status) != nullptr) {
    if (std::strncmp(line, "VmHWM:", 6) == 0) kib = std::strtod(line + 6, nullptr);
  }
  if (status != nullptr) std::fclose(status);
  return kib / 1024;
}

/// CPU for each GB, and how far the process's memory went beyond the objects' own buffers.
inline void print_cost(const Latencies& latencies, const Cost& from, const Cost& to, std::size_t size,
                       unsigned depth, std::string more = "") {
  const double seconds = std::chrono::duration<double>(to.when - from.when).count();
  const double cpu = to.cpu_seconds - from.cpu_seconds;
  const double gigabytes = static_cast<double>(latencies.total()) * static_cast<double>(size) / 1e9;
  const double peak = peak_mib();
  const double beyond = peak - static_cast<double>(size) * depth / (1 << 20);
  more += ", \"gb_per_second\": " + std::to_string(gigabytes / seconds);
  more += ", \"cpu_per_gb\": " + std::to_string(cpu / std::max(gigabytes, 1e-9));
  more += ", \"peak_mib\": " + std::to_string(peak) + ", \"beyond_buffers_mib\": " + std::to_string(beyond);
  print_json(latencies, seconds, cpu, more);
}

}  // namespace netstor::bench
