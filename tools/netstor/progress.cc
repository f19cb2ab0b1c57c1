// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/progress.h"

#include <netstor/uri.h>

#include "tools/netstor/text.h"

#include <algorithm>
#include <cstdio>

namespace netstor::tool {
namespace {

constexpr Duration kRedraw = std::chrono::milliseconds(100);

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Progress::Progress(std::string label, std::optional<std::uint64_t> total, Unit unit)
    : label_(std::move(label)),
      total_(total),
      unit_(unit),
      start_(std::chrono::steady_clock::now()),
      drawn_(start_) {
  const Terminal found = terminal();
  shown_ = found.progress;
  columns_ = found.columns;
}

Progress::~Progress() {
  // The line is for waiting; what has to stay is said by others.
  if (shown_ && drawn_ != start_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::uint64_t done) {
  if (!shown_) return;
  const Time now = std::chrono::steady_clock::now();
  if (now - drawn_ < kRedraw) return;
  draw(done, now);
  drawn_ = now;
}

void Progress::draw(std::uint64_t done, Time now) const {
  const double rate = static_cast<double>(done) / std::max(seconds(now - start_), 1e-9);
  const bool bytes = unit_ == Unit::bytes;
  const auto amount = [bytes](std::uint64_t value) {
    return bytes ? format_size(value) : format_count(value);
  };
  std::string line = label_ + "  " + amount(done);
  std::string tail =
      "  " + (bytes ? format_rate(rate) : format_count(static_cast<std::uint64_t>(rate)) + "/s");
  if (total_ && *total_ != 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(*total_));
    const double left = static_cast<double>(*total_ - std::min(done, *total_)) / std::max(rate, 1.0);
    tail += "  " + format_time(left * 1e9) + " left";
    line += " of " + amount(*total_) + "  ";
    const std::size_t used = columns_of(line) + columns_of(tail) + 3;
    if (used + 10 < columns_) {
      const std::size_t width = std::min<std::size_t>(columns_ - used, 40);
      const auto full = static_cast<std::size_t>(share * static_cast<double>(width));
      for (std::size_t i = 0; i < width; ++i) line += i < full ? "█" : "░";
    }
  }
  std::fprintf(stderr, "\r%s%s\033[K", line.c_str(), tail.c_str());
  std::fflush(stderr);
}

}  // namespace netstor::tool
