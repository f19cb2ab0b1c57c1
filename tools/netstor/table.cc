// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/table.h"

#include "tools/netstor/text.h"

#include <algorithm>
#include <ostream>

namespace netstor::tool {

void Table::add(std::vector<std::string> cells) {
  cells.resize(alignment_.size());
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out, std::string_view indent) const {
  std::vector<std::size_t> widths(alignment_.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line(indent);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - columns_of(row[i]), ' ');
      const bool last = i + 1 == row.size();
      if (alignment_[i] == 'r') line += padding;
      line += row[i];
      if (last) continue;
      if (alignment_[i] == 'l') line += padding;
      line += "  ";
    }
    // Nothing follows the last words of a line.
    line.resize(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

}  // namespace netstor::tool
