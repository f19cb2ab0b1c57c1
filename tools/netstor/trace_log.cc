// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/trace_log.h"

#include <netstor/uri.h>

#include "tools/netstor/service.h"
#include "tools/netstor/text.h"

#include <iostream>
#include <map>
#include <sstream>

namespace netstor::tool {

TraceLog::~TraceLog() { std::cerr << text() << std::flush; }

void TraceLog::follow(Runtime& runtime) {
  driver_ = runtime.io_driver();
  shards_.resize(runtime.shards());
  for (Shard& each : shards_) each.points.reserve(kPointsMax);
  const auto hook = [](void* user, const TracePoint& at) noexcept {
    Shard& shard = static_cast<TraceLog*>(user)->shards_[at.shard];
    if (shard.points.size() == kPointsMax) {
      ++shard.left_out;
      return;
    }
    Point& point = shard.points.emplace_back();
    point.at = at;
    point.path = at.path;
    point.bucket = at.bucket;
    point.key = at.key;
    point.detail = at.detail;
  };
  trace(runtime, hook, this);
}

void TraceLog::print(std::ostream& out, const Request& points) const {
  const TracePoint& first = points.front()->at;
  const Point& last = *points.back();
  out << "trace " << first.shard << "." << first.request << "  " << first.verb;
  if (!last.bucket.view().empty()) out << " s3://" << printable(last.bucket.view());
  if (!last.key.view().empty()) out << "/" << printable(last.key.view());
  if (first.length != 0) out << " of " << format_size(first.length) << " at " << first.offset;
  out << ", " << last.path.view() << " over " << driver_ << '\n';  // by what it went in the end
  for (const Point* const point : points) {
    const std::string time = format_time(static_cast<double>((point->at.at - first.at).count()));
    out << std::string(columns_of(time) < 10 ? 10 - columns_of(time) : 0, ' ') << time << "  "
        << point->at.room << ": " << point->at.what;
    if (!point->detail.view().empty()) out << ": " << printable(point->detail.view());
    if (point->at.length != first.length) {
      out << " (" << format_size(point->at.length) << " at " << point->at.offset << ")";
    }
    out << '\n';
  }
}

std::string TraceLog::text() const {
  std::ostringstream out;
  std::size_t requests = 0;
  std::uint64_t left_out = 0;
  for (const Shard& shard : shards_) {
    left_out += shard.left_out;
    std::map<std::uint64_t, Request> by_request;
    for (const Point& point : shard.points) by_request[point.at.request].push_back(&point);
    requests += by_request.size();
    for (const auto& [number, points] : by_request) print(out, points);
  }
  out << "trace: " << requests << " requests";
  if (left_out != 0) out << ", and " << left_out << " points of others that were not kept";
  out << '\n';
  return out.str();
}

}  // namespace netstor::tool
