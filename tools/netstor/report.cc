// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/report.h"

#include <netstor/uri.h>

#include "tools/netstor/table.h"
#include "tools/netstor/text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>
#include <sstream>

namespace netstor::tool {

using Json = nlohmann::ordered_json;

Facts facts_of(const std::string& description) {
  Facts facts;
  std::istringstream lines(description);
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(": ");
    if (colon != std::string::npos) facts.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  return facts;
}

Json json_of(const Metrics& metrics) {
  return {{"reads", metrics.reads},
          {"writes", metrics.writes},
          {"other", metrics.other},
          {"errors", metrics.errors},
          {"read_bytes", metrics.read_bytes},
          {"write_bytes", metrics.write_bytes},
          {"copied_bytes", metrics.copied_bytes},
          {"replays", metrics.replays},
          {"reconnects", metrics.reconnects},
          {"registrations_degraded", metrics.registrations_degraded},
          {"rdma_requests", metrics.rdma_requests},
          {"rdma_bytes", metrics.rdma_bytes},
          {"turns", metrics.turns},
          {"sleeps", metrics.sleeps},
          {"system_calls", metrics.system_calls}};
}

Json json_of(const Histogram& histogram) {
  Json buckets = Json::array();
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    if (histogram.at(i) == 0) continue;
    buckets.push_back({{"from_ns", Histogram::floor_of(i)},
                       {"to_ns", Histogram::floor_of(i + 1)},
                       {"count", histogram.at(i)}});
  }
  return {{"count", histogram.count()},
          {"min_ns", histogram.min()},
          {"mean_ns", histogram.mean()},
          {"p50_ns", histogram.quantile(0.5)},
          {"p90_ns", histogram.quantile(0.9)},
          {"p99_ns", histogram.quantile(0.99)},
          {"p99.9_ns", histogram.quantile(0.999)},
          {"max_ns", histogram.max()},
          {"histogram", std::move(buckets)}};
}

void print_rates(std::ostream& out, const LoadResult& result, std::size_t block_bytes) {
  const double per_second = static_cast<double>(result.operations()) / result.seconds;
  Table table("lrrr");
  table.add({"", "operations", "IOPS", "bandwidth"});
  const auto line = [&](const char* name, std::uint64_t count) {
    const double rate = static_cast<double>(count) / result.seconds;
    table.add({name, format_count(count), format_count(static_cast<std::uint64_t>(rate)),
               format_rate(rate * static_cast<double>(block_bytes))});
  };
  if (result.reads != 0) line("reads", result.reads);
  if (result.writes != 0) line("writes", result.writes);
  if (result.reads != 0 && result.writes != 0) {
    table.add({"all", format_count(result.operations()), format_count(static_cast<std::uint64_t>(per_second)),
               format_rate(per_second * static_cast<double>(block_bytes))});
  }
  table.print(out);
}

void print_latency(std::ostream& out, const Histogram& latency) {
  const auto time = [](std::uint64_t value) { return format_time(static_cast<double>(value)); };
  Table table("lrrrrrr");
  table.add({"latency", "min", "mean", "p50", "p99", "p99.9", "max"});
  table.add({"", time(latency.min()), format_time(latency.mean()), time(latency.quantile(0.5)),
             time(latency.quantile(0.99)), time(latency.quantile(0.999)), time(latency.max())});
  table.print(out);
}

void print_cost(std::ostream& out, const LoadResult& result) {
  const double operations = static_cast<double>(std::max<std::uint64_t>(result.operations(), 1));
  const auto each = [&](std::uint64_t count) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.2f", static_cast<double>(count) / operations);
    return std::string(text.data());
  };
  out << "an operation: " << each(result.metrics.system_calls) << " system calls, "
      << each(result.metrics.sleeps) << " sleeps, "
      << format_size(result.metrics.copied_bytes / static_cast<std::uint64_t>(operations))
      << " copied in user space\n";
}

void print_metrics(std::ostream& out, const Metrics& metrics) {
  const std::uint64_t operations = metrics.reads + metrics.writes + metrics.other;
  const std::uint64_t payload = metrics.read_bytes + metrics.write_bytes;
  Table table("lrl");
  table.add({"operations", format_count(operations), std::to_string(metrics.errors) + " answered an error"});
  table.add({"payload", format_size(payload), ""});
  table.add({"copied", format_size(metrics.copied_bytes), "in user space on the way"});
  table.add({"paths", format_count(metrics.reconnects),
             "brought up again, " + format_count(metrics.replays) + " operations replayed"});
  table.add(
      {"turns", format_count(metrics.turns), "of the loops, " + format_count(metrics.sleeps) + " slept"});
  table.add({"system calls", format_count(metrics.system_calls), "of the drivers"});
  if (metrics.registrations_degraded != 0) {
    table.add(
        {"registrations", format_count(metrics.registrations_degraded), "met the limit of locked memory"});
  }
  if (metrics.rdma_requests != 0) {
    table.add({"RDMA", format_size(metrics.rdma_bytes),
               "of buckets, in " + format_count(metrics.rdma_requests) + " requests"});
  }
  table.print(out);
}

}  // namespace netstor::tool
