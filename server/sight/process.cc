// SPDX-License-Identifier: Apache-2.0
// The process as the system sees it. The names that are not ours are those that Prometheus's own client
// libraries use, so that dashboards for any program know them.

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/sight/families.h"

namespace netstor::sight {

void look_at_process(ProcessFacts& facts) {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    for (const timeval& time : {usage.ru_utime, usage.ru_stime})
      facts.cpu_seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  }
  std::uint64_t pages = 0;
  if (std::ifstream statm("/proc/self/statm"); statm >> pages >> pages)
    facts.resident_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::error_code failed;
  for (std::filesystem::directory_iterator each("/proc/self/fd", failed), end; !failed && each != end;
       each.increment(failed))
    ++facts.open_descriptors;
  if (rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.descriptors_max = limit.rlim_cur;
}

void write_process(Exposition& out, const ProcessFacts& facts) {
  const auto one = [&](std::string_view name, Exposition::Type type, std::string_view help, auto value) {
    out.family(name, type, help);
    out.sample({}, value);
  };
  out.family("netstor_build_info", Exposition::gauge, "1; the labels say which build runs.");
  out.sample({{"version", facts.version}, {"io_driver", facts.io_driver}}, std::uint64_t{1});
  one("netstor_ready", Exposition::gauge, "1: it serves, as /readyz says.", std::uint64_t{facts.ready});
  out.family("netstor_warnings_total", Exposition::counter,
             "What went wrong while serving, by kind, lines that the log left out too.");
  for (std::size_t i = 0; i < facts.warnings.size(); ++i)
    out.sample({{"kind", to_string(static_cast<net::Warnings::Kind>(i))}}, facts.warnings[i]);
  out.family("netstor_reloads_total", Exposition::counter, "Reloads (SIGHUP) that ended, by outcome.");
  out.sample({{"outcome", "in_force"}}, facts.reloads.in_force);
  out.sample({{"outcome", "failed"}}, facts.reloads.failed);
  one("netstor_reload_last_good", Exposition::gauge,
      "1: all of the last reload is in force, or there was none; 0: it failed, or has not ended.",
      std::uint64_t{facts.reloads.last_good});
  one("netstor_reload_last_seconds", Exposition::gauge,
      "When the last reload began, in seconds since 1970; 0: there was none.", facts.reloads.last_seconds);
  if (facts.space) {
    one("netstor_state_size_bytes", Exposition::gauge, "Of the file system with the state directory.",
        facts.space->size_bytes);
    one("netstor_state_free_bytes", Exposition::gauge, "Of it, what the server may still take.",
        facts.space->free_bytes);
  }
  one("process_start_time_seconds", Exposition::gauge, "When the process started, in seconds since 1970.",
      facts.started_seconds);
  one("process_cpu_seconds_total", Exposition::counter, "CPU time of all threads.", facts.cpu_seconds);
  one("process_resident_memory_bytes", Exposition::gauge, "Memory that is there.", facts.resident_bytes);
  one("process_open_fds", Exposition::gauge, "Open descriptors.", facts.open_descriptors);
  one("process_max_fds", Exposition::gauge, "The most that may be open.", facts.descriptors_max);
}

}  // namespace netstor::sight
