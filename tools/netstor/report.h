// SPDX-License-Identifier: Apache-2.0
#pragma once
// What bench and stat print of a load (a table, a picture, or a JSON document), and info and stat of a
// volume's description.

#include "tools/netstor/load.h"

#include <nlohmann/json_fwd.hpp>

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

namespace netstor::tool {

/// The "key: value" lines of VolumeInfo::description.
using Facts = std::vector<std::pair<std::string, std::string>>;
Facts facts_of(const std::string& description);

nlohmann::ordered_json json_of(const Metrics& metrics);
/// Percentiles and the histogram's buckets that are not empty.
nlohmann::ordered_json json_of(const Histogram& histogram);

void print_rates(std::ostream& out, const LoadResult& result, std::size_t block_bytes);
void print_latency(std::ostream& out, const Histogram& latency);
/// One line: what an operation cost beside time.
void print_cost(std::ostream& out, const LoadResult& result);
void print_metrics(std::ostream& out, const Metrics& metrics);

}  // namespace netstor::tool
