// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/picture.h"

#include "tools/netstor/histogram.h"
#include "tools/netstor/table.h"
#include "tools/netstor/text.h"

#include <array>
#include <cmath>
#include <ostream>
#include <vector>

namespace netstor::tool {
namespace {

constexpr std::size_t kRowsMax = 14;

struct Row {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint64_t count = 0;
};

/// Round figures that divide a decade about evenly on a logarithmic scale, from fine to coarse; in tenths.
const std::array<std::vector<unsigned>, 5> kSteps = {{{10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82},
                                                      {10, 15, 20, 30, 50, 70},
                                                      {10, 20, 50},
                                                      {10, 30},
                                                      {10}}};

/// The boundaries of one division that enclose all values: the last one at or below the least, the first one
/// above the greatest.
std::vector<std::uint64_t> boundaries(const std::vector<unsigned>& steps, std::uint64_t least,
                                      std::uint64_t greatest) {
  std::vector<std::uint64_t> found = {0};
  for (std::uint64_t decade = 10;; decade *= 10) {
    for (const unsigned step : steps) {
      const std::uint64_t at = decade / 10 * step;
      if (at <= least) found.clear();
      found.push_back(at);
      if (at > greatest) return found;
    }
  }
}

/// The finest division that fits.
std::vector<Row> rows_of(const Histogram& histogram) {
  std::vector<std::uint64_t> marks;
  for (const std::vector<unsigned>& steps : kSteps) {
    marks = boundaries(steps, histogram.min(), histogram.max());
    if (marks.size() <= kRowsMax + 1) break;
  }
  std::vector<Row> rows;
  for (std::size_t i = 0; i + 1 < marks.size(); ++i) {
    // A bucket of the histogram that lies across a boundary belongs to the row in which it begins; the first
    // row takes what begins before it.
    rows.push_back({marks[i], marks[i + 1], histogram.between(i == 0 ? 0 : marks[i], marks[i + 1])});
  }
  return rows;
}

std::string bar_of(double share, unsigned columns) {
  static constexpr std::array<const char*, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<unsigned>(std::lround(share * columns * 8));
  std::string bar;
  for (unsigned i = 0; i < eighths / 8; ++i) bar += "█";
  bar += kEighths[eighths % 8];
  // Something is not nothing.
  return bar.empty() && share > 0 ? "▏" : bar;
}

/// Which percentiles end in this row.
std::string marks_of(const Histogram& histogram, const Row& row) {
  static constexpr std::array<std::pair<double, const char*>, 3> kMarks = {
      {{0.50, "p50"}, {0.99, "p99"}, {0.999, "p99.9"}}};
  std::string marks;
  for (const auto& [share, name] : kMarks) {
    const std::uint64_t value = histogram.quantile(share);
    if (value >= row.from && value < row.to) marks += (marks.empty() ? "◄ " : " ") + std::string(name);
  }
  return marks;
}

}  // namespace

void print_picture(std::ostream& out, const Histogram& histogram, const Terminal& terminal) {
  const std::uint64_t all = histogram.count();
  if (all == 0) return;
  const std::vector<Row> rows = rows_of(histogram);
  std::uint64_t most = 0;
  for (const Row& row : rows) most = std::max(most, row.count);
  const unsigned columns = terminal.columns > 100 ? 48 : terminal.columns > 60 ? terminal.columns - 52 : 12;
  Table table("rlrrl");
  for (const Row& row : rows) {
    const double share = static_cast<double>(row.count) / static_cast<double>(all);
    std::string bar = bar_of(static_cast<double>(row.count) / static_cast<double>(most), columns);
    const std::string marks = marks_of(histogram, row);
    if (!marks.empty()) bar += (bar.empty() ? "" : " ") + faint(terminal, marks);
    table.add({format_time(static_cast<double>(row.from)), "…", format_time(static_cast<double>(row.to)),
               row.count == 0 ? "" : format_percent(share), bar});
  }
  table.print(out, "  ");
}

}  // namespace netstor::tool
